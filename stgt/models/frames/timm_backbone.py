"""Any image model of timm as a frame encoder."""

from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from stgt.errors import StgtError
from stgt.models.frames.base import FrameModel, Maps


class TimmBackbone(FrameModel):
    """A model of timm (Wightman, github.com/huggingface/pytorch-image-models) under its own name.

    A model that cannot be made for images of ``image_size``, or cannot read them, reads images resized to the side that
    timm has it for; ``image_size`` is then that.

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
        native = timm.get_pretrained_cfg(self.model_name)
        settings = {"pretrained": False, "num_classes": 0}
        try:
            sized = {**settings, "img_size": self.image_size} if native.fixed_input_size else settings
            trunk = timm.create_model(self.model_name, **sized)
            _try(trunk, self.image_size)
        except Exception:  # whatever a model raises for a side that it cannot be made for, or cannot read
            trunk = None
        if trunk is not None:
            return trunk
        self.image_size = native.input_size[-1]
        try:
            trunk = timm.create_model(self.model_name, **settings)
            _try(trunk, self.image_size)
        except Exception as error:
            raise StgtError(f"timm's {self.model_name} cannot be used as a frame encoder: {error}") from error
        return trunk


@torch.no_grad()
def _try(trunk: nn.Module, image_size: int) -> None:
    """Read one black image, as an encoder will."""
    like = next(trunk.parameters())
    trunk.eval()
    trunk.forward_head(trunk.forward_features(like.new_zeros(1, 3, image_size, image_size)), pre_logits=True)
    trunk.train()
