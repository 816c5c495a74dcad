"""ST-GCN++: ST-GCN with the good practice of its successors."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.models.blocks import stride_mask
from stgt.models.registry import Attention, ExpressionModel, Inputs, register_model
from stgt.models.stgcn import LAYERS, spatial_partition

#: Dilations of the branches that convolve over three steps; a max pool and a pointwise branch stand beside them.
DILATIONS = (1, 2, 3, 4)
BRANCHES = len(DILATIONS) + 2


class AdaptiveGraphConvolution(nn.Module):
    """``y = relu(bn(sum_k A_k x W_k) + r(x))``: the adjacency is where training starts, not what it is held to.

    Every entry of the K matrices ``A_k`` is a parameter, also where the face's graph has no edge. ``r`` is the
    identity, or a normalised pointwise convolution where the channels differ.

    Shape: (B, C_in, T, V) -> (B, C_out, T, V).
    """

    def __init__(self, in_channels: int, out_channels: int, partition: Tensor) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(partition.clone())
        self.convolution = nn.Conv2d(in_channels, len(partition) * out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = shortcut(in_channels, out_channels, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        subsets, nodes, _ = self.adjacency.shape
        y = self.convolution(x).unflatten(1, (subsets, -1))  # (B, K, C, T, V)
        y = y.permute(0, 2, 3, 1, 4).flatten(3) @ self.adjacency.reshape(subsets * nodes, nodes)
        return F.relu(self.norm(y) + self.residual(x))


class MultiBranchTemporalConvolution(nn.Module):
    """Six branches over time, each on a sixth of the channels, joined by a pointwise convolution.

    Four convolve three steps with dilations 1 to 4, one takes the maximum of three steps, one is pointwise (Liu et al.,
    arXiv 2003.14111, gave the idea). The first branch has the channels that six does not divide. Invalid steps count as
    zeros under every kernel; a zero never exceeds what follows a ReLU, so they do not enter the maximum either.

    Shape: (B, C, T, V), mask (B, T) -> (B, C, ceil(T / stride), V).
    """

    def __init__(self, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        share = channels // BRANCHES
        first = channels - share * (BRANCHES - 1)
        self.widths = (first, *[share] * (BRANCHES - 2))
        # The pointwise parts of all branches that look at more than one step, in one product.
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, sum(self.widths), 1, bias=False), nn.BatchNorm2d(sum(self.widths)), nn.ReLU()
        )
        self.dilated = nn.ModuleList(
            nn.Conv2d(width, width, (3, 1), (stride, 1), (dilation, 0), (dilation, 1), bias=False)
            for width, dilation in zip(self.widths[:-1], DILATIONS, strict=True)
        )
        self.maximum = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.pointwise = nn.Conv2d(channels, share, 1, (stride, 1), bias=False)
        self.join = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        mask = mask[:, None, :, None]
        *parts, last = (self.reduce(x) * mask).split(self.widths, dim=1)
        y = [convolution(part) for convolution, part in zip(self.dilated, parts, strict=True)]
        y = torch.cat((*y, self.maximum(last), self.pointwise(x * mask)), dim=1)
        return self.drop(self.join(y))


class STGCNPlusPlusBlock(nn.Module):
    """``relu(temporal(spatial(x)) + r(x))``; shape (B, C_in, T, V), (B, T) -> (B, C_out, ceil(T / stride), V)."""

    def __init__(
        self, in_channels: int, out_channels: int, partition: Tensor, stride: int, dropout: float, residual: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.spatial = AdaptiveGraphConvolution(in_channels, out_channels, partition)
        self.temporal = MultiBranchTemporalConvolution(out_channels, stride, dropout)
        self.residual = shortcut(in_channels, out_channels, stride) if residual else None

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        x = x * mask[:, None, :, None]
        y = self.temporal(self.spatial(x), mask)
        return F.relu(y if self.residual is None else y + self.residual(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """What a residual connection needs where both of its ends differ."""
    if (in_channels, stride) == (out_channels, 1):
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, (stride, 1), bias=False), nn.BatchNorm2d(out_channels))


@register_model("stgcn++")
class STGCNPlusPlus(ExpressionModel):
    """ST-GCN++ of Duan, Wang, Chen and Lin ("PYSKL", ACM Multimedia 2022, arXiv 2205.09443) on the face's graph.

    ST-GCN's ten layers of 1, 2 and 4 times ``config.width`` channels (64 in the paper) with two changes: the adjacency
    is a parameter and the graph convolution has a residual connection; the temporal kernel of 9 gives way to six
    branches, which see farther with fewer parameters. On the 25 joints and 60 classes of NTU RGB+D the paper counts
    1.39 million. Mean pooling, so what it reads out as attention is uniform. Our reading: invalid frames are masked,
    which the original does not know, and convolutions before a batch normalisation have no bias, where it would do
    nothing. Of the settings only layout, width and dropout apply; it reads geometry alone, whatever the streams.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig) -> None:
        if config.width < BRANCHES:
            raise StgtError(f"model.width is {config.width}; each of the {BRANCHES} temporal branches needs a channel")
        super().__init__(config, num_classes, window, num_features=LAYERS[-1][0] * config.width)
        partition = spatial_partition(self.layout)
        self.input_norm = nn.BatchNorm1d(len(self.layout) * GEOMETRY_CHANNELS)
        channels = (GEOMETRY_CHANNELS, *(factor * config.width for factor, _ in LAYERS))
        self.layers = nn.ModuleList(
            STGCNPlusPlusBlock(
                channels[index], channels[index + 1], partition, stride, config.dropout, residual=index > 0
            )
            for index, (_, stride) in enumerate(LAYERS)
        )

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        geometry, mask = inputs.geometry, inputs.mask
        x = self.input_norm(geometry.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, geometry.shape[2:])
        x = x.permute(0, 3, 1, 2)
        steps = mask
        for layer in self.layers:
            x = layer(x, steps)
            steps = stride_mask(steps, layer.stride)
        weight = steps / steps.sum(dim=1, keepdim=True).clamp(min=1)
        features = (x.mean(dim=3) * weight[:, None]).sum(dim=2)
        frame_weights = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
        nodes = (mask[..., None] / len(self.layout)).expand(-1, -1, len(self.layout))
        return features, Attention(nodes=nodes, frames=frame_weights)
