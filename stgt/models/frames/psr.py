"""PSR: one face at several resolutions, one of them made by super-resolution."""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model

#: Channels of the convolutions of VGG-16 (Simonyan & Zisserman, arXiv 1409.1556); None is a max pool.
VGG16 = (64, 64, None, 128, 128, None, 256, 256, 256, None, 512, 512, 512, None, 512, 512, 512, None)
#: How many of VGG-16's layers each resolution has for itself: two convolutions with norm and ReLU.
OWN_LAYERS = 6
BRANCHES = 3
FEATURES = 512
RESIDUAL_BLOCKS, WIDTH = 16, 64


class SpatialTransformer(nn.Module):
    """Spatial transformer (Jaderberg et al., NeurIPS 2015, arXiv 1506.02025): an affine map, guessed from the image.

    Shape: (N, 3, S, S) -> the same, warped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.locate = nn.Sequential(
            nn.Conv2d(3, 8, 7),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(160, 32),
            nn.ReLU(),
            nn.Linear(32, 6),
        )
        # It begins at the identity; small weights, not zeros, or the layers before would not learn at first.
        nn.init.normal_(self.locate[-1].weight, std=1e-3)
        self.locate[-1].bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])

    def forward(self, images: Tensor) -> Tensor:
        """See the class for the shapes."""
        grid = F.affine_grid(self.locate(images).view(-1, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut, without normalisation; shape (N, C, H, W) -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        return x + self.second(F.relu(self.first(x)))


class SuperResolution(nn.Module):
    """The baseline EDSR (Lim et al., CVPR workshops 2017, arXiv 1707.02921), twice the side; 1.37 million parameters.

    Shape: (N, 3, S, S) -> (N, 3, 2 S, 2 S).
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(WIDTH) for _ in range(RESIDUAL_BLOCKS)), nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        )
        self.tail = nn.Sequential(
            nn.Conv2d(WIDTH, 4 * WIDTH, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(WIDTH, 3, 3, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """See the class for the shapes."""
        x = self.head(images)
        return self.tail(x + self.body(x))


class VGGLayers(nn.Module):
    """Some of the convolutional layers of VGG-16 with batch normalisation, under timm's names."""

    def __init__(self, first: int, last: int | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in VGG16:
            if width is None:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        numbered = list(enumerate(layers))[first:last]
        for layer in layers[first:last]:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.features = nn.Sequential(OrderedDict((str(number), layer) for number, layer in numbered))

    def forward(self, x: Tensor) -> Tensor:
        """A map -> the map after the layers."""
        return self.features(x)


class LateFusion(nn.Module):
    """One classifier for the features of all branches, whose probabilities are averaged.

    Shape: (N, branches * D) -> (N, K), logarithms of mean probabilities.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(num_features // BRANCHES, num_classes)

    def branch_logits(self, features: Tensor) -> Tensor:
        """(N, branches * D) -> (N, branches, K)."""
        return self.classifier(features.unflatten(1, (BRANCHES, -1)))

    def forward(self, features: Tensor) -> Tensor:
        """See the class for the shapes."""
        log_probabilities = self.branch_logits(features).log_softmax(dim=2)
        return log_probabilities.logsumexp(dim=1) - math.log(BRANCHES)


@register_frame_model("psr")
class PyramidWithSuperResolution(FrameModel):
    """PSR of Vo, Lee, Yang and Kim (IEEE Access 8, 2020): three resolutions of a face, one network, late fusion.

    Six blocks, as the paper names them: a spatial transformer; scaling, which gives the image at half its side, that
    one brought back to the whole side by super-resolution (EDSR), and the image itself; low-level layers of VGG-16 for
    each of the three; the rest of VGG-16, shared; a fully connected block, shared; and the fusion of what the three
    say. Trained with cross entropy on labels smoothed by a prior: how often people mistake one class for another.

    Extras: ``branch_logits`` (N, 3, K) of half side, super-resolved and whole image, for a loss on each of them.

    Published: RAF-DB 88.98 %, AffectNet-8 60.68 %, of VGG-16; no count of parameters. Our reading: two convolutions of
    VGG-16 are low-level (the code takes one, two or more), the fully connected block is the code's default (mean and
    maximum of the map, 512), the branches weigh the same. EDSR starts from scratch here, the authors' from weights of
    its own training; weights by ``"timm"`` fill VGG-16 alone.
    """

    paper = "Vo et al.: Pyramid with super resolution for in-the-wild facial expression recognition, IEEE Access 2020"
    paper_loss = "branches(smoothing=0.1)"
    default_dropout = 0.5
    feature_parts = BRANCHES
    trunk_name = "vgg16_bn"

    def build(self) -> int:
        """See `FrameModel`."""
        self.transformer = SpatialTransformer()
        self.super_resolution = SuperResolution()
        self.low_level = nn.ModuleList(VGGLayers(0, OWN_LAYERS) for _ in range(BRANCHES))
        self.high_level = VGGLayers(OWN_LAYERS, None)
        channels = 2 * VGG16[-2]
        self.embed = nn.Sequential(
            nn.BatchNorm1d(channels),
            nn.Dropout(self.dropout / 2),
            nn.Linear(channels, FEATURES),
            nn.ReLU(),
            nn.BatchNorm1d(FEATURES),
        )
        return BRANCHES * FEATURES

    def make_head(self, num_classes: int, num_features: int) -> nn.Module:
        """See `FrameModel`."""
        return LateFusion(num_features, num_classes)

    def trunks(self) -> list[nn.Module]:
        """See `FrameModel`."""
        return [*self.low_level, self.high_level]

    def encode(self, images: Tensor) -> Maps:
        """Three maps: (N, 512, S / 64, S / 64), and two of (N, 512, S / 32, S / 32)."""
        images = self.transformer(images)
        side = self.image_size // 2
        half = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
        pyramid = (half, self.super_resolution(half), images)
        return tuple(self.high_level(low(image)) for low, image in zip(self.low_level, pyramid, strict=True))

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        features = [self.embed(torch.cat((x.mean(dim=(2, 3)), x.amax(dim=(2, 3))), dim=1)) for x in maps]
        return torch.cat(features, dim=1), {}

    def head_extras(self, head: nn.Module, dropped: Tensor, logits: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """What each branch says."""
        return {"branch_logits": head.branch_logits(dropped)}
