"""The VGG-13 of FER+: a small grey network, trained on the votes of ten people."""

import torch
from torch import Tensor, nn

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model

#: Channels of the four stages, and convolutions in each.
STAGES = ((64, 2), (128, 2), (256, 3), (256, 3))
FEATURES = 1024
#: Side of the last map for the paper's images.
SIDE = 4
#: Shares of red, green and blue in a grey value (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


@register_frame_model("vgg13-ferplus")
class FERPlusVGG13(FrameModel):
    """The VGG-13 of Barsoum, Zhang, Canton Ferrer and Zhang (ICMI 2016, arXiv 1608.01041).

    Grey 64 x 64 images; two stages of two and two of three 3 x 3 convolutions, each stage with a max pool and dropout
    of 0.25; two fully connected layers of 1024 with dropout of 0.5. The paper trains it on four targets made of the ten
    votes for an image (majority, several labels, a label drawn anew each epoch, the distribution); the best is the
    distribution. The network is the same for all of them, so there are no extras.

    Images are prepared as in the authors' code: grey levels are equalised to -1 .. 1 by their histogram, a plane fitted
    to them by least squares is taken away (light from one side), and what is left has variance 1.

    Published: FER+ 84.99 %; 8.76 M parameters (counted in the authors' code, 8 classes). Our reading: grey is luma; the
    dropout of the stages stays half of that of the fully connected layers when it is set; of images larger than the
    paper's the last map is averaged to the side it has there.
    """

    paper = "Barsoum et al.: Training deep networks for facial expression recognition with crowd-sourced label distribution, ICMI 2016"  # noqa: E501
    published_parameters = 8_760_000
    published_classes = 8
    published_image_size = 64
    default_dropout = 0.5

    def build(self) -> int:
        """See `FrameModel`."""
        layers: list[nn.Module] = []
        channels = 1
        for width, depth in STAGES:
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers += [nn.MaxPool2d(2), nn.Dropout(self.dropout / 2)]
        self.convolutions = nn.Sequential(*layers)
        side = min(self.image_size >> len(STAGES), SIDE)
        self.embed = nn.Sequential(
            nn.AdaptiveAvgPool2d(side),
            nn.Flatten(),
            nn.Linear(channels * side * side, FEATURES),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(FEATURES, FEATURES),
            nn.ReLU(),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        steps = torch.linspace(-1, 1, self.image_size)
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        plane = torch.stack((torch.ones_like(rows), rows, columns)).flatten(1)
        # On a symmetric grid the three are orthogonal: least squares is a projection on each of them.
        self.register_buffer("plane", plane / plane.norm(dim=1, keepdim=True), persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA), persistent=False)
        return FEATURES

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) pixels from 0 to 1 -> (N, 1, S, S), equalised grey levels of mean 0 and variance 1."""
        grey = (pixels * self.luma[:, None, None]).sum(dim=1)
        levels = equalise(grey).flatten(1)
        levels = levels - (levels @ self.plane.T) @ self.plane
        deviation = levels.square().mean(dim=1, keepdim=True).sqrt()
        levels = levels / deviation.masked_fill(deviation < 1e-6, 1)
        return levels.view_as(grey)[:, None]

    def encode(self, images: Tensor) -> Maps:
        """(N, 256, S / 16, S / 16)."""
        return self.convolutions(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        return self.embed(maps), {}


def equalise(grey: Tensor) -> Tensor:
    """Histogram equalisation over 256 levels, each image for itself: (N, S, S) from 0 to 1 -> -1 to 1."""
    levels = (grey * 255).round().clamp(0, 255).long().flatten(1)
    counts = levels.new_zeros(len(levels), 256).scatter_add(1, levels, torch.ones_like(levels))
    shares = counts.cumsum(dim=1).to(grey.dtype) / levels.shape[1]
    return (2 * shares - 1).gather(1, levels).view_as(grey)
