"""ResNet-18 with feature integration, shared affinity and an additive angular margin."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet18Trunk

#: Side of the integrated map: that of ResNet-18's last map for 224 pixels.
SIDE = 7
SHUFFLE = 16
KERNEL, STRIDE = 32, 8
#: Of the running mean that evaluation uses in place of the batch.
MOMENTUM = 0.1


class FeatureIntegration(nn.Module):
    """The maps of the last three stages as one: each brought to 512 channels and 7 x 7, then summed.

    Shape: (N, 128, ..), (N, 256, ..), (N, 512, ..) -> (N, 512, 7, 7).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels))
            for width in (channels // 4, channels // 2)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """See the class for the shapes."""
        *early, last = maps
        early = [lateral(_resize(x)) for lateral, x in zip(self.lateral, early, strict=True)]
        return F.relu(_resize(last) + sum(early))


def _resize(x: Tensor) -> Tensor:
    """Any side -> 7: means where it is larger, bilinear where it is smaller."""
    if x.shape[-1] >= SIDE:
        return F.adaptive_avg_pool2d(x, SIDE)
    return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear")


class SharedAffinity(nn.Module):
    """Amend representation module: the map laid out as two large ones, and what faces of a batch have in common.

    The 512 channels of 7 x 7 are arranged as 2 channels of 112 x 112 (pixel shuffle by 16); both go through the same
    32 x 32 convolution of stride 8, which weighs the borders, eroded by padding, less; batch normalised ``x``. Then

        y = mean over channels of x + alpha * mean over batch and channels of x

    with a learned alpha. In evaluation a running mean stands for the batch's, so that no image depends on the others.

    Shape: (N, 512, 7, 7) -> (N, 121).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        planes = channels // SHUFFLE**2
        side = (SIDE * SHUFFLE - KERNEL) // STRIDE + 1
        self.convolution = nn.Conv2d(1, 1, KERNEL, STRIDE, bias=False)
        self.norm = nn.BatchNorm2d(planes)
        self.alpha = nn.Parameter(torch.ones(1))
        self.register_buffer("running_affinity", torch.zeros(side, side))
        self.num_features = side * side

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        x = F.pixel_shuffle(x, SHUFFLE)
        x = self.norm(self.convolution(x.flatten(0, 1)[:, None]).view(*x.shape[:2], *self.running_affinity.shape))
        affinity = self.running_affinity
        if self.training:
            affinity = x.mean(dim=(0, 1))
            self.running_affinity.lerp_(affinity.detach(), MOMENTUM)
        return (x.mean(dim=1) + self.alpha * affinity).flatten(1)


class CosineClassifier(nn.Module):
    """``scale * cos(theta_k)``, theta_k the angle between the feature and the weights of class k.

    Shape: (N, D) -> (N, K).
    """

    def __init__(self, num_features: int, num_classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(num_classes, num_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """See the class for the shapes."""
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


@register_frame_model("resnet18-fi-sa")
class ResNet18FeatureIntegrationSharedAffinity(FrameModel):
    """ResNet-18, feature integration, shared affinity (Shi & Zhu, arXiv 2103.10189), additive angular margin.

    Maps of several stages are integrated (`FeatureIntegration`), amended (`SharedAffinity`), and classified by their
    angle to the classes. In training, the margin of ArcFace (Deng et al., CVPR 2019, arXiv 1801.07698) is added to the
    angle of the true class y, with s = `SCALE` and m = `MARGIN`:

        - log( exp(s cos(theta_y + m)) / (exp(s cos(theta_y + m)) + sum over k != y of exp(s cos theta_k)) )

    The logits are ``s cos theta``, without margin, as at inference. Extras: ``cosine`` (N, K), which is what the margin
    loss starts from.

    Published: RAF-DB 90.55 % for shared affinity alone. Of the three together 92.24 % overall, 86.69 % class mean and
    11.2 M parameters were claimed, but no paper holds them: that feature integration is a sum of the stages 2 to 4 is
    our reading, as are s, m and the running mean.
    """

    SCALE = 30.0
    MARGIN = 0.3

    paper = "Shi, Zhu: Learning to amend facial expression representation via de-albino and affinity, arXiv 2103.10189"
    paper_loss = "additive_angular_margin(margin=0.3,scale=30)"
    published_parameters = 11_200_000
    trunk_name = "resnet18"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = ResNet18Trunk()
        self.integration = FeatureIntegration(self.trunk.channels)
        self.affinity = SharedAffinity(self.trunk.channels)
        return self.affinity.num_features

    def make_head(self, num_classes: int, num_features: int) -> nn.Module:
        """See `FrameModel`."""
        return CosineClassifier(num_features, num_classes, self.SCALE)

    def encode(self, images: Tensor) -> Maps:
        """(N, 512, 7, 7) for images of any side."""
        return self.integration(self.trunk.forward_stages(images)[1:])

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        return self.affinity(maps), {}

    def head_extras(self, head: nn.Module, dropped: Tensor, logits: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """The logits without their scale."""
        return {"cosine": logits / self.SCALE}
