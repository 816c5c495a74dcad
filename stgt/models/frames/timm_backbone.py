"""Any image model of timm as a frame encoder."""

from pathlib import Path

import timm
from torch import Tensor, nn

from stgt.errors import StgtError
from stgt.models.frames.base import FrameModel, Maps


class TimmBackbone(FrameModel):
    """A model of timm (Wightman, github.com/huggingface/pytorch-image-models) under its own name.

    Models that read images of one side only are made for ``image_size`` where timm can do that, and else read images
    resized to the side that they are for.

    Args:
        model_name: as ``timm.list_models()`` lists it.
        num_classes: K.
        settings: as for `FrameModel`.
    """

    paper = "Wightman, PyTorch Image Models, 2019; the model's own paper is in timm's documentation"

    def __init__(self, model_name: str, num_classes: int, **settings: int | float | str | Path | None) -> None:
        self.model_name = model_name
        super().__init__(num_classes, **settings)

    @property
    def name(self) -> str:
        """timm's name."""
        return self.model_name

    @property
    def trunk_name(self) -> str:
        """timm's name: all but the classifier is trunk."""
        return self.model_name

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = self._make_trunk()
        expected = self.trunk.pretrained_cfg
        self.pixel_mean, self.pixel_std = expected["mean"], expected["std"]
        return self.trunk.head_hidden_size

    def encode(self, images: Tensor) -> Maps:
        """See `FrameModel`."""
        return self.trunk.forward_features(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        return self.trunk.forward_head(maps, pre_logits=True), {}

    def _make_trunk(self) -> nn.Module:
        settings = {"pretrained": False, "num_classes": 0}
        fixed = timm.get_pretrained_cfg(self.model_name)
        try:
            if not fixed.fixed_input_size:
                return timm.create_model(self.model_name, **settings)
            try:
                return timm.create_model(self.model_name, **settings, img_size=self.image_size)
            except (TypeError, AssertionError, ValueError, RuntimeError):  # none of its own for sides that do not fit
                self.image_size = fixed.input_size[-1]
                return timm.create_model(self.model_name, **settings)
        except Exception as error:
            raise StgtError(f"timm's {self.model_name} cannot be made as a frame encoder: {error}") from error
