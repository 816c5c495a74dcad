"""DAN: several heads that are kept from looking at the same."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet18Trunk

HEADS = 4


class SpatialAttention(nn.Module):
    """``x * sum over channels of ReLU(c33(y) + c13(y) + c31(y)), y = c11(x)``; each c is a convolution and batch norm.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 2
        self.reduce = _convolution(channels, narrow, (1, 1))
        self.square = _convolution(narrow, channels, (3, 3))
        self.horizontal = _convolution(narrow, channels, (1, 3))
        self.vertical = _convolution(narrow, channels, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W), not negative."""
        y = self.reduce(x)
        return F.relu(self.square(y) + self.horizontal(y) + self.vertical(y)).sum(dim=1, keepdim=True)


class ChannelAttention(nn.Module):
    """``g * sigmoid(W2 ReLU(BN(W1 g)))`` of the mean ``g`` of a map.

    Shape: (N, C, H, W) -> (N, C).
    """

    def __init__(self, channels: int, hidden: int = 32) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        mean = x.mean(dim=(2, 3))
        return mean * self.gate(mean)


@register_frame_model("dan")
class DAN(FrameModel):
    """Wen, Lin, Wang, Xu: Distract Your Attention. Biomimetics 8(2), 2023; arXiv 2109.07270.

    The map of a ResNet-18 goes through 4 heads of cross attention, each spatial, then channel attention. Their vectors
    ``h_k`` (512) are held against each other, channel by channel, and added: ``sum_k log softmax_k(h)``. A linear layer
    and batch normalisation make the logits. Two losses belong to it: affinity of the trunk's mean to the centre of its
    class, and partition, ``log(1 + K / variance over the heads)``.

    Published: RAF-DB 89.70, AffectNet-7 65.69, AffectNet-8 62.09 %, of a trunk trained on MS-Celeb-1M; 19.7 M
    parameters (counted in the authors' code). Biases in front of a batch normalisation, which have no effect, are left
    out here.

    Extras: ``heads`` (N, 4, 512), log softmax over the heads, for the partition loss; ``trunk`` (N, 512), for the
    affinity loss.
    """

    paper = "Wen, Lin, Wang, Xu: Distract Your Attention, Biomimetics 8(2), 2023, arXiv 2109.07270"
    paper_loss = "cross_entropy(smoothing=0,class_weights=0)+affinity:1+partition:1"
    published_parameters = 19_720_000
    published_classes = 8
    trunk_name = "resnet18"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = ResNet18Trunk()
        channels = self.trunk.channels
        self.heads = nn.ModuleList(
            nn.Sequential(SpatialAttention(channels), ChannelAttention(channels)) for _ in range(HEADS)
        )
        for layer in self.heads.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.001)  # all gates begin at one half
        return channels

    def make_head(self, num_classes: int, num_features: int) -> nn.Module:
        """See `FrameModel`."""
        return nn.Sequential(nn.Linear(num_features, num_classes, bias=False), nn.BatchNorm1d(num_classes))

    def encode(self, images: Tensor) -> Maps:
        """See `FrameModel`."""
        return self.trunk(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        heads = torch.stack([head(maps) for head in self.heads], dim=1).log_softmax(dim=1)
        return heads.sum(dim=1), {"heads": heads, "trunk": maps.mean(dim=(2, 3))}


def _convolution(in_channels: int, out_channels: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False), nn.BatchNorm2d(out_channels)
    )
