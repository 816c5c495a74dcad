"""RAN: a face and five crops of it, weighed by what they show."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet18Trunk

#: Crops as shares of the side: left, top, side.
CROPS = (
    (0.0, 0.0, 0.75),  # top left
    (0.25, 0.0, 0.75),  # top right
    (0.125, 0.25, 0.75),  # bottom
    (0.05, 0.05, 0.9),  # centre
    (0.075, 0.075, 0.85),
)


class RegionAttention(nn.Module):
    """Self-attention, then relation attention over regions: who counts by itself, and who beside the others.

    ``a_i = sigmoid(q f_i)``, ``m = sum a_i f_i / sum a_i``, ``b_i = sigmoid(p [f_i : m])``; the result is
    ``sum a_i b_i [f_i : m] / sum a_i b_i``.

    Shape: (N, R, D) -> pooled (N, 2 D), a (N, R), b (N, R).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attention = nn.Linear(width, 1)
        self.relation = nn.Linear(2 * width, 1)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class for the shapes."""
        alone = torch.sigmoid(self.self_attention(regions))
        mean = (alone * regions).sum(dim=1, keepdim=True) / alone.sum(dim=1, keepdim=True)
        pairs = torch.cat((regions, mean.expand_as(regions)), dim=-1)
        related = torch.sigmoid(self.relation(pairs))
        weights = alone * related
        pooled = (weights * pairs).sum(dim=1) / weights.sum(dim=1)
        return pooled, alone[..., 0], related[..., 0]


@register_frame_model("ran")
class RAN(FrameModel):
    """Wang, Peng, Yang, Meng, Qiao: Region Attention Networks. IEEE TIP 29, 2020; arXiv 1905.04075.

    The whole face and five fixed crops of it, brought to its size, go through the same ResNet-18; `RegionAttention`
    makes one vector of the six. The region-biased loss ``max(0, margin - (max_i>0 a_i - a_0))`` asks that some crop
    counts more than the whole.

    Published: FER+ 88.55, RAF-DB 86.90 % (as remembered, not checked; of a trunk trained on MS-Celeb-1M); 11.2 M
    parameters (counted in the authors' code). Our reading: the crops' places, three of 0.75 of the side in the corners
    above and in the middle below, two of 0.9 and 0.85 in the centre. The authors' code for FER+ takes a softmax of both
    attentions over the regions besides; here they are those of the paper.

    Extras: ``attention`` (N, 6), the self-attention a, the whole face first, for the region-biased loss; ``relation``
    (N, 6), b.
    """

    paper = "Wang, Peng, Yang, Meng, Qiao: Region Attention Networks, IEEE TIP 29, 2020, arXiv 1905.04075"
    paper_loss = "cross_entropy(smoothing=0,class_weights=0)+region_biased(margin=0.02):1"
    published_parameters = 11_190_000
    published_classes = 8
    trunk_name = "resnet18"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = ResNet18Trunk()
        self.attention = RegionAttention(self.trunk.channels)
        return 2 * self.trunk.channels

    def encode(self, images: Tensor) -> Maps:
        """(N, 6, 512, H, W), the whole face first."""
        regions = torch.stack((images, *crop_regions(images)), dim=1)
        return self.trunk(regions.flatten(0, 1)).unflatten(0, regions.shape[:2])

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        pooled, attention, relation = self.attention(maps.mean(dim=(3, 4)))
        return pooled, {"attention": attention, "relation": relation}


def crop_regions(images: Tensor) -> list[Tensor]:
    """(N, C, S, S) -> the five `CROPS`, each brought to (N, C, S, S)."""
    size = images.shape[-1]
    regions = []
    for left, top, side in CROPS:
        x, y, length = round(left * size), round(top * size), round(side * size)
        crop = images[:, :, y : y + length, x : x + length]
        regions.append(F.interpolate(crop, size=(size, size), mode="bilinear"))
    return regions
