"""LResNet50E-IR: the network of face recognition, reading expressions."""

from torch import Tensor, nn

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model

#: Channels of the four stages, and units in each.
STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
FEATURES = 512
#: Side of the last map for the paper's images.
SIDE = 7


class ImprovedResidualUnit(nn.Module):
    """Norm, convolution, norm, PReLU, convolution, norm, around a shortcut; it ends without an activation.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if (in_channels, stride) != (out_channels, 1):
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        return self.layers(x) + self.shortcut(x)


@register_frame_model("lresnet50e-ir")
class LResNet50EIR(FrameModel):
    """LResNet50E-IR of Deng et al. ("ArcFace", CVPR 2019, arXiv 1801.07698) with a classifier of expressions.

    L: the first convolution is 3 x 3 without stride, so that a face of 112 x 112 pixels ends as a map of 7 x 7. E: the
    map becomes the embedding (512) through batch normalisation, dropout, a fully connected layer and batch
    normalisation. IR: residual units as in `ImprovedResidualUnit`, 3, 4, 14 and 3 of them.

    Published: 43.58 M parameters without a classifier; RAF-DB 89.075 %, by leaderboards that give the name of the
    network and no more. Our reading: it is this one, pre-trained on identities, with a linear classifier on the
    embedding and cross entropy; of images larger than the paper's the last map is averaged to the side it has there.
    timm's hub has no weights for it: give a file, or train from scratch. There are no extras.
    """

    paper = "Deng et al.: ArcFace: additive angular margin loss for deep face recognition, CVPR 2019"
    published_parameters = 43_576_000 + 7 * 513
    published_image_size = 112
    default_dropout = 0.4
    pixel_mean = (0.5, 0.5, 0.5)
    pixel_std = (0.502, 0.502, 0.502)

    def build(self) -> int:
        """See `FrameModel`."""
        channels, side = STAGES[0][0], self.image_size
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
        ]
        for width, depth in STAGES:
            for unit in range(depth):
                layers.append(ImprovedResidualUnit(channels, width, stride=2 if unit == 0 else 1))
                channels = width
            side = -(-side // 2)
        self.convolutions = nn.Sequential(*layers)
        side = min(side, SIDE)
        self.embed = nn.Sequential(
            nn.AdaptiveAvgPool2d(side),
            nn.BatchNorm2d(channels),
            nn.Dropout(self.dropout),
            nn.Flatten(),
            nn.Linear(channels * side * side, FEATURES),
            nn.BatchNorm1d(FEATURES),
        )
        return FEATURES

    def encode(self, images: Tensor) -> Maps:
        """(N, 512, S / 16, S / 16)."""
        return self.convolutions(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        return self.embed(maps), {}

    def drop(self, features: Tensor) -> Tensor:
        """The dropout of the paper comes before the embedding, and none after it."""
        return features
