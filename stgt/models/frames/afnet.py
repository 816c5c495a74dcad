"""AFNet: branches that look at different places, channels that may be missing, and a pyramid of the whole face."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet18Trunk

BRANCHES = 4
PYRAMID_WIDTH = 128
#: Share of the channels that training hides from the channel attention.
MASKED_CHANNELS = 0.25


class MultiBranchAttention(nn.Module):
    """Branches of spatial attention, each with a map of its own; what is occluded should get a low weight in all.

    Branch k: ``A_k = sigmoid(c_k(ReLU(BN(d_k(x)))))`` with ``d_k`` a 1x1 convolution to an eighth of the channels and
    ``c_k`` one of 3x3 with dilation k; the result is ``x * max_k A_k`` (the strongest branch counts at each place).

    Shape: (N, C, H, W) -> (N, C, H, W), attention (N, BRANCHES, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 8
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(),
                nn.Conv2d(hidden, 1, 3, padding=1 + branch, dilation=1 + branch),
                nn.Sigmoid(),
            )
            for branch in range(BRANCHES)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class for the shapes."""
        attention = torch.cat([branch(x) for branch in self.branches], dim=1)
        return x * attention.amax(dim=1, keepdim=True), attention


class MaskedChannelAttention(nn.Module):
    """``m g * sigmoid(W2 ReLU(W1 (m g)))`` of the mean ``g``; in training ``m`` hides random channels of every face.

    Shape: (N, C, H, W) -> (N, C).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = nn.Dropout(MASKED_CHANNELS)
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // 16), nn.ReLU(), nn.Linear(channels // 16, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        mean = self.mask(x.mean(dim=(2, 3)))
        return mean * self.gate(mean)


class FeaturePyramid(nn.Module):
    """Feature pyramid (Lin et al., CVPR 2017, arXiv 1612.03144), every level pooled to its mean.

    Shape: maps from fine to coarse -> (N, levels * width).
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(each, width, 1) for each in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """See the class for the shapes."""
        lateral = [layer(level) for layer, level in zip(self.lateral, maps, strict=True)]
        for fine in range(len(lateral) - 2, -1, -1):
            above = F.interpolate(lateral[fine + 1], size=lateral[fine].shape[2:], mode="nearest")
            lateral[fine] = lateral[fine] + above
        smooth = [layer(level) for layer, level in zip(self.smooth, lateral, strict=True)]
        return torch.cat([F.relu(level).mean(dim=(2, 3)) for level in smooth], dim=1)


@register_frame_model("afnet")
class AFNet(FrameModel):
    """Chen, Li, Tian, Wei, Seberi: attention fusion network and hybrid knowledge distillation. Neurocomputing, 2025.

    doi 10.1016/j.neucom.2025.129656. Made for occluded faces: local features by `MultiBranchAttention` and
    `MaskedChannelAttention` on the last map, global features of several scales by a `FeaturePyramid`, concatenated.
    The paper distils a light student from it at several layers.

    Published: neither code nor the number of parameters, and no figure that we could check. Only the parts are the
    paper's; our reading is all else: ResNet-18 as the trunk, four branches with dilations 1 to 4, the strongest branch
    counting, a quarter of the channels masked, a pyramid of three levels of 128 channels.

    Extras: ``attention`` (N, 4, H, W), the branches' maps, for attention transfer.
    """

    paper = (
        "Chen, Li, Tian, Wei, Seberi: Attention fusion network and hybrid knowledge distillation, Neurocomputing, 2025"
    )
    trunk_name = "resnet18"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = ResNet18Trunk()
        channels = self.trunk.channels
        self.places = MultiBranchAttention(channels)
        self.channels = MaskedChannelAttention(channels)
        self.pyramid = FeaturePyramid((128, 256, 512), PYRAMID_WIDTH)
        return channels + 3 * PYRAMID_WIDTH

    def encode(self, images: Tensor) -> Maps:
        """Maps of 128, 256 and 512 channels at strides 8, 16 and 32."""
        return tuple(self.trunk.forward_stages(images)[1:])

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        attended, attention = self.places(maps[-1])
        return torch.cat((self.channels(attended), self.pyramid(maps)), dim=1), {"attention": attention}
