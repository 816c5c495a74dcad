"""The surface that all frame encoders share: a face crop in, logits of its expression out."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.errors import StgtError

#: What is given in place of a path for the weights that timm's hub has for an encoder's trunk.
TIMM_WEIGHTS = "timm"

#: Sides of images that an encoder can be made for, in pixels.
IMAGE_SIZES = (64, 260)

#: What an encoder makes of images before they become a vector: a map (N, C, H, W), tokens (N, L, C), or several.
Maps = Tensor | tuple[Tensor, ...]


class FrameOutput(NamedTuple):
    """All that an encoder says of images.

    Attributes:
        logits: (N, K).
        features: (N, D), what the classifier reads.
        extras: what the losses of the encoder's paper need besides, by the names in its docstring.
    """

    logits: Tensor
    features: Tensor
    extras: dict[str, Tensor]


class FrameModel(nn.Module, ABC):
    """What every frame encoder is: images of faces in, logits of the classes out.

    A subclass makes its layers in `build`, and says in `encode` and `pool` how images become maps, and maps features.
    In evaluation an image's result must not depend on the other images of its batch.

    Args:
        num_classes: K.
        image_size: S, the side in pixels at which the network reads images; images of another side are resized to it.
        dropout: probability before the classifier (and where else the paper has it); None: the paper's.
        weights: None: random, from scratch; ``"timm"``: those of timm's hub for the trunk, which needs the internet; or
            a safetensors file of the whole encoder, or of its trunk under timm's names.

    Raises:
        StgtError: a setting that cannot be, or weights that cannot be had or do not fit.
    """

    #: The name in the registry, set by it.
    name: ClassVar[str] = ""
    #: Authors, title, venue.
    paper: ClassVar[str] = ""
    #: What the paper minimises, as ``OptimisationConfig.loss`` has it; here plain cross entropy.
    paper_loss: ClassVar[str] = "cross_entropy(smoothing=0,class_weights=0)"
    #: Learned parameters as the paper or its code has them, None where neither says; at how many classes, which side.
    published_parameters: ClassVar[int | None] = None
    published_classes: ClassVar[int] = 7
    published_image_size: ClassVar[int] = 224
    #: Dropout of the paper.
    default_dropout: ClassVar[float] = 0.0
    #: Parts of a feature that the classifier reads apart from each other.
    feature_parts: ClassVar[int] = 1
    #: The name of the trunk in timm, where timm has weights for it; see `trunks`.
    trunk_name: ClassVar[str | None] = None
    #: Mean and deviation of pixels over 1, of red, green and blue; ImageNet's unless the paper has others.
    pixel_mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    pixel_std: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)

    def __init__(
        self,
        num_classes: int,
        *,
        image_size: int = 112,
        dropout: float | None = None,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise StgtError(f"a frame encoder needs at least 2 classes, not {num_classes}")
        if not IMAGE_SIZES[0] <= image_size <= IMAGE_SIZES[1]:
            raise StgtError(
                f"image_size is {image_size}, but frame encoders read faces of {IMAGE_SIZES[0]} to {IMAGE_SIZES[1]} "
                "pixels a side"
            )
        if dropout is not None and not 0 <= dropout < 1:
            raise StgtError(f"dropout is {dropout}; it is a probability, from 0 to below 1")
        self.num_classes = num_classes
        self.image_size = image_size
        self.dropout = self.default_dropout if dropout is None else dropout
        self.num_features = self.build()
        self.register_buffer("mean", torch.tensor(self.pixel_mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(self.pixel_std)[:, None, None], persistent=False)
        self.head_drop = nn.Dropout(self.dropout)
        self.head = self.make_head(num_classes, self.num_features)
        #: Where the weights come from, in words.
        self.origin = "from scratch"
        if weights is not None:
            from stgt.models.frames.weights import load_weights

            self.origin = load_weights(self, weights)

    @abstractmethod
    def build(self) -> int:
        """Make all layers but the classifier, for ``self.image_size`` and ``self.dropout``; gives D."""

    @abstractmethod
    def encode(self, images: Tensor) -> Maps:
        """(N, 3, S, S) of `normalise`, of the model's own side -> maps."""

    @abstractmethod
    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """Maps -> features (N, D), and the extras of `FrameOutput` that come with them."""

    def auxiliary(self, maps: Maps) -> dict[str, Tensor]:  # noqa: ARG002 - what others need
        """Further extras, of layers that only the losses need: `forward` does without them."""
        return {}

    def make_head(self, num_classes: int, num_features: int) -> nn.Module:
        """A fresh classifier, (N, num_features) -> (N, num_classes); of D features, or several times as many."""
        return nn.Linear(num_features, num_classes)

    def trunks(self) -> list[nn.Module]:
        """The layers that take the weights of ``trunk_name``: ``self.trunk``, unless there are several."""
        return [self.trunk]

    def drop(self, features: Tensor) -> Tensor:
        """Features (N, D) as the classifier reads them: with the dropout of the paper, in training."""
        return self.head_drop(features)

    def head_extras(self, head: nn.Module, dropped: Tensor, logits: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Extras of a classifier of `make_head`, of features as `drop` gives them (N, D) and their logits (N, K)."""
        return {}

    def classify(self, features: Tensor) -> Tensor:
        """Features (N, D) -> logits (N, K)."""
        return self.head(self.drop(features))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K).

        Args:
            images: (N, 3, S, S), red, green, blue; uint8, or floats from 0 to 1. Grey faces have three equal channels.

        Raises:
            StgtError: a tensor of another shape or kind.
        """
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Maps:
        """The maps of images, before they become a vector; images as in ``forward``."""
        return self.encode(self.normalise(self.resize(images)))

    def forward_head(self, maps: Maps, pre_logits: bool = False) -> Tensor:
        """Maps -> logits (N, K); with ``pre_logits`` the features (N, D) that the classifier reads."""
        features, _ = self.pool(maps)
        return features if pre_logits else self.classify(features)

    def forward_all(self, images: Tensor) -> FrameOutput:
        """Logits, features, and what the losses of the paper need; images as in ``forward``."""
        maps = self.forward_features(images)
        features, extras = self.pool(maps)
        dropped = self.drop(features)
        logits = self.head(dropped)
        of_head = self.head_extras(self.head, dropped, logits)
        return FrameOutput(logits, features, {**extras, **self.auxiliary(maps), **of_head})

    def reset_classifier(self, num_classes: int) -> None:
        """A new, untrained classifier for another number of classes on the same features."""
        if num_classes < 2:
            raise StgtError(f"a frame encoder needs at least 2 classes, not {num_classes}")
        like = next(self.head.parameters())
        self.num_classes = num_classes
        self.head = self.make_head(num_classes, self.num_features).to(like).train(self.training)

    def resize(self, images: Tensor) -> Tensor:
        """Images as in ``forward`` -> (N, 3, image_size, image_size), floats from 0 to 1."""
        if not torch.compiler.is_compiling():
            _check_images(images)
            if images.device.type == "cpu":  # in this order of memory its convolutions take up to half of the time
                images = images.contiguous(memory_format=torch.channels_last)
        pixels = images.to(self.mean.dtype)
        pixels = pixels / 255 if images.dtype == torch.uint8 else pixels
        if images.shape[-1] == self.image_size:
            return pixels
        return F.interpolate(pixels, size=(self.image_size, self.image_size), mode="bilinear", antialias=True)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels from 0 to 1 -> as the trunk's weights expect them."""
        return (pixels - self.mean) / self.std

    def denormalise(self, images: Tensor) -> Tensor:
        """What `normalise` gave -> pixels from 0 to 1, for texture maps that are computed from them."""
        return images * self.std + self.mean


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise StgtError(
            f"images have the shape {tuple(images.shape)}, but a frame encoder reads (N, 3, S, S): square, channels "
            "before height and width, grey ones with three equal channels"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise StgtError(f"images are {images.dtype}; a frame encoder reads uint8, or floats from 0 to 1")
