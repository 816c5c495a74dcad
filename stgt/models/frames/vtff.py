"""VTFF: colour and texture, fused where each says more, then read as a sentence of visual words."""

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet18Trunk
from stgt.models.frames.texture import local_binary_patterns

WIDTH = 768
LAYERS = 4
ATTENTION_HEADS = 8


class AttentionalSelectiveFusion(nn.Module):
    """``w * texture + (1 - w) * colour`` with ``w = sigmoid(G(u) + L(u))``, ``u = A texture + B colour``.

    ``G`` looks at the mean of the whole map and gives a number for every channel, ``L`` at every place by itself and
    gives a number for it; both are two 1x1 convolutions with batch normalisation, the first narrower by ``reduction``.

    Shape: (N, C, H, W), (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.texture = nn.Conv2d(channels, channels, 1)
        self.colour = nn.Conv2d(channels, channels, 1, bias=False)
        self.overall = _bottleneck(channels, channels // reduction, channels)
        self.local = _bottleneck(channels, channels // reduction, 1)

    def forward(self, texture: Tensor, colour: Tensor) -> Tensor:
        """See the class for the shapes."""
        weight = self.weights(texture, colour)
        return weight * texture + (1 - weight) * colour

    def weights(self, texture: Tensor, colour: Tensor) -> Tensor:
        """(N, C, H, W) from 0 to 1: how much of the texture to take."""
        both = self.texture(texture) + self.colour(colour)
        return torch.sigmoid(self.overall(both.mean(dim=(2, 3), keepdim=True)) + self.local(both))


@register_frame_model("vtff")
class VTFF(FrameModel):
    """Ma, Sun, Li: Visual Transformers and Attentional Selective Fusion. IEEE TAFFC, 2021; arXiv 2103.16854.

    One ResNet-18 reads the image, another its local binary patterns. `AttentionalSelectiveFusion` joins the two maps;
    every place of the result becomes a visual word of 768 numbers, and with a class token and learned positions they go
    through 4 transformer layers of 8 heads. The class token is the feature.

    Published: RAF-DB 88.14, FER+ 88.81, AffectNet-7 61.85 %; 51.8 M parameters (as remembered, not checked; the layers
    here add up to it). Our reading: reduction by 8 in the fusion, one weight for each place in its local part (both as
    public reimplementations have them), patterns of radius 1 fed as three equal channels, layer normalisation first.
    """

    paper = "Ma, Sun, Li: Visual Transformers and Attentional Selective Fusion, IEEE TAFFC, 2021, arXiv 2103.16854"
    published_parameters = 51_800_000
    trunk_name = "resnet18"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk, self.texture_trunk = ResNet18Trunk(), ResNet18Trunk()
        self.fusion = AttentionalSelectiveFusion(self.trunk.channels)
        self.words = nn.Linear(self.trunk.channels, WIDTH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.zeros(1, self.trunk.side(self.image_size) ** 2 + 1, WIDTH))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.layers = nn.Sequential(
            *(Block(WIDTH, ATTENTION_HEADS, qkv_bias=True, proj_drop=self.dropout) for _ in range(LAYERS))
        )
        self.norm = nn.LayerNorm(WIDTH)
        return WIDTH

    def trunks(self) -> list[nn.Module]:
        """Both, which begin alike."""
        return [self.trunk, self.texture_trunk]

    def encode(self, images: Tensor) -> Maps:
        """The fused map (N, 512, H, W)."""
        patterns = local_binary_patterns(self.denormalise(images))
        texture = self.texture_trunk(self.normalise(patterns.expand_as(images)))
        return self.fusion(texture, self.trunk(images))

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        words = self.words(maps.flatten(2).transpose(1, 2))
        tokens = torch.cat((self.class_token.expand(len(words), -1, -1), words), dim=1) + self.positions
        return self.norm(self.layers(tokens)[:, 0]), {}


def _bottleneck(channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )
