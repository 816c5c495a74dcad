"""ACNN-LBP: texture tells a convolutional network where to look, and what it saw must show the face again."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.texture import grey_levels, local_binary_patterns

#: Channels of the convolutions before each halving.
FEATURE_BLOCKS = ((64, 64), (128, 128), (256, 256, 256))
TEXTURE_BLOCKS = ((32,), (64,), (128,))
CLASSIFIER_BLOCKS = ((512, 512),)


@register_frame_model("acnn-lbp")
class ACNNLBP(FrameModel):
    """Li, Jin, Zhou, Kubota, Ju: Attention mechanism-based CNN for facial expression recognition.

    Neurocomputing 411, 2020, doi 10.1016/j.neucom.2020.06.014. Four modules: feature extraction ``f``; attention
    ``A = sigmoid(W [f : t])`` with ``t`` the features of the local binary patterns, so that small movements, which
    show in the texture, steer it; reconstruction of the face from ``(1 + A) f``; classification of the same.

    Published: CK+ 98.95, Oulu-CASIA 94.63 % (as remembered, not checked); no code, no number of parameters. Our
    reading: the sizes (VGG's first three blocks for the image, one convolution a block for the texture), the attention
    as one number for each place, the reconstruction of grey levels at the images' own size with a squared error.

    Extras: ``attention`` (N, 1, S / 8, S / 8); ``reconstruction`` and ``reconstruction_target`` (N, 1, S, S), grey
    levels from 0 to 1.
    """

    paper = "Li, Jin, Zhou, Kubota, Ju: Attention mechanism-based CNN, Neurocomputing 411, 2020"
    paper_loss = "cross_entropy(smoothing=0,class_weights=0)+reconstruction:1"
    default_dropout = 0.5

    def build(self) -> int:
        """See `FrameModel`."""
        self.features, channels = _blocks(3, FEATURE_BLOCKS)
        self.texture, texture_channels = _blocks(1, TEXTURE_BLOCKS)
        self.attention = nn.Sequential(
            _convolution(channels + texture_channels, 64), nn.ReLU(), nn.Conv2d(64, 1, 1), nn.Sigmoid()
        )
        self.reconstruction = nn.Sequential(
            _convolution(channels, 64), nn.ReLU(), _Enlarge(64, 32), _Enlarge(32, 16), _Enlarge(16, 1, last=True)
        )
        self.classification, width = _blocks(channels, CLASSIFIER_BLOCKS)
        return width

    def encode(self, images: Tensor) -> Maps:
        """Attended features (N, 256, S / 8, S / 8), the attention, and the grey face."""
        pixels = self.denormalise(images)
        features = self.features(images)
        # Around zero, as the normalised image.
        texture = self.texture(2 * local_binary_patterns(pixels) - 1)
        attention = self.attention(torch.cat((features, texture), dim=1))
        return (1 + attention) * features, attention, grey_levels(pixels).to(images.dtype) / 255

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        attended, attention, _ = maps
        return self.classification(attended).mean(dim=(2, 3)), {"attention": attention}

    def auxiliary(self, maps: Maps) -> dict[str, Tensor]:
        """The face made again from the attended features, and the face."""
        attended, _, grey = maps
        face = self.reconstruction(attended)
        face = F.interpolate(face, size=grey.shape[2:], mode="bilinear")  # sides that 8 does not divide
        return {"reconstruction": torch.sigmoid(face), "reconstruction_target": grey}


class _Enlarge(nn.Module):
    """Twice the side, then a convolution.

    Shape: (N, in_channels, H, W) -> (N, out_channels, 2 H, 2 W).
    """

    def __init__(self, in_channels: int, out_channels: int, last: bool = False) -> None:
        super().__init__()
        self.convolution = (
            nn.Conv2d(in_channels, out_channels, 3, padding=1)
            if last
            else nn.Sequential(_convolution(in_channels, out_channels), nn.ReLU())
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(F.interpolate(x, scale_factor=2, mode="nearest"))


def _blocks(channels: int, blocks: tuple[tuple[int, ...], ...]) -> tuple[nn.Sequential, int]:
    """Convolutions of the given channels, the side halved after every block; and the channels of the result."""
    layers: list[nn.Module] = []
    for block in blocks:
        for width in block:
            layers += [_convolution(channels, width), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers), channels


def _convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels))
