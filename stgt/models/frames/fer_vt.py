"""FER-VT: attention over a grid on the image, and a transformer over the levels of a pyramid."""

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet34Trunk

GRID = 4
WIDTH = 192
LAYERS = 12
ATTENTION_HEADS = 8
#: Every level of the pyramid becomes a token of TOKEN_CHANNELS maps of TOKEN_SIDE x TOKEN_SIDE.
TOKEN_CHANNELS, TOKEN_SIDE = 3, 8


class GridAttention(nn.Module):
    """Weighs the cells of a grid over the image by how much the others attend to them, then refines the image by that.

    Low-level features of each cell give a query and a key; ``A = softmax(Q K^T / sqrt(d))`` over the cells. The weight
    of a cell is the mean attention that it receives, times the number of cells; weighted image and image are
    transformed, added, and what a small residual network makes of the sum is added to the image.

    Shape: images (N, 3, S, S) -> (N, 3, S, S), weights (N, GRID, GRID) with mean 1.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.low_level = nn.Sequential(_convolution(3, channels), nn.LeakyReLU(), _convolution(channels, channels))
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)  # a bias would add the same to all that a softmax weighs
        self.from_image = nn.Sequential(_convolution(3, 3), nn.ReLU())
        self.from_weighted = nn.Sequential(_convolution(3, 3), nn.ReLU())
        self.refine = nn.Sequential(
            _convolution(3, 3), nn.PReLU(3), _convolution(3, 3), nn.PReLU(3), nn.Conv2d(3, 3, 3, padding=1)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class for the shapes."""
        cells = F.adaptive_avg_pool2d(F.leaky_relu(self.low_level(images)), GRID).flatten(2).transpose(1, 2)
        scores = self.query(cells) @ self.key(cells).transpose(1, 2) / cells.shape[-1] ** 0.5
        weights = (scores.softmax(dim=-1).mean(dim=1) * GRID**2).unflatten(1, (GRID, GRID))
        weighted = images * F.interpolate(weights[:, None], size=images.shape[2:], mode="nearest")
        return images + self.refine(self.from_image(images) + self.from_weighted(weighted)), weights


class PyramidToken(nn.Module):
    """One level of the pyramid as a token.

    Shape: (N, C, H, W) -> (N, WIDTH).
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(channels, TOKEN_CHANNELS, 1, bias=False), nn.BatchNorm2d(TOKEN_CHANNELS))
        flat = TOKEN_CHANNELS * TOKEN_SIDE**2
        self.embed = nn.Sequential(nn.LayerNorm(flat), nn.ReLU(), nn.Dropout(dropout), nn.Linear(flat, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        small = F.adaptive_avg_pool2d(F.leaky_relu(self.reduce(x)), TOKEN_SIDE)
        return self.embed(small.flatten(1))


@register_frame_model("fer-vt")
class FERVT(FrameModel):
    """Huang, Huang, Wang, Jiang: Grid-wise attention and visual transformer. Information Sciences 580, 2021.

    doi 10.1016/j.ins.2021.08.043. `GridAttention` works on the image, a ResNet-34 reads the result, and the maps of its
    last three stages become a token each (`PyramidToken`); with a class token and positions they go through a
    transformer, and the class token is the feature.

    Published: CK+ 100, RAF-DB 88.26 %, FER+ 90.04 % (this as remembered, not checked); no code, no number of
    parameters. Our reading: ResNet-34, grid of 4 x 4, tokens of 192 numbers, 12 layers of 8 heads, dropout of 0.2 in
    the tokens (all as a public reimplementation has them); the weight of a cell as `GridAttention` says, and that the
    refined image keeps the image.

    Extras: ``grid`` (N, 4, 4), the weights of the cells, mean 1.
    """

    paper = "Huang, Huang, Wang, Jiang: Grid-wise attention and visual transformer, Information Sciences 580, 2021"
    default_dropout = 0.1
    trunk_name = "resnet34"

    def build(self) -> int:
        """See `FrameModel`."""
        self.grid = GridAttention()
        self.trunk = ResNet34Trunk()
        self.tokens = nn.ModuleList(PyramidToken(channels, 2 * self.dropout) for channels in (128, 256, 512))
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.zeros(1, len(self.tokens) + 1, WIDTH))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.layers = nn.Sequential(
            *(Block(WIDTH, ATTENTION_HEADS, qkv_bias=True, proj_drop=self.dropout) for _ in range(LAYERS))
        )
        self.norm = nn.LayerNorm(WIDTH)
        return WIDTH

    def encode(self, images: Tensor) -> Maps:
        """Maps of 128, 256 and 512 channels at strides 8, 16 and 32, and the weights of the grid."""
        refined, weights = self.grid(images)
        return (*self.trunk.forward_stages(refined)[1:], weights)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        *levels, weights = maps
        tokens = [self.class_token.expand(len(weights), -1, -1)[:, 0]]
        tokens += [token(level) for token, level in zip(self.tokens, levels, strict=True)]
        read = self.layers(torch.stack(tokens, dim=1) + self.positions)
        return self.norm(read[:, 0]), {"grid": weights}


def _convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels))
