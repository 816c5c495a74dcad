"""The parts that models are built from.

Tensors are channels last: (B, T, V, C) for B windows, T frames, V nodes, C channels.

Masks are (B, T) bool, true where a frame is valid. Every frame has all its nodes or none, so only time is ever masked.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GraphConvolution(nn.Module):
    """``y = (A * M) x W + b`` on every frame: a GCN layer whose edges have learned importance.

    ``A`` is the fixed normalised adjacency (Kipf & Welling, arXiv 1609.02907), ``M`` a learned factor for each edge,
    at first 1 (Yan et al., arXiv 1801.07455); where ``A`` is zero there is no edge and ``M`` has no effect. The
    topology is the same for all frames, so one dense product over all of them is faster than message passing; it
    equals PyG's sparse ``GCNConv`` on the same weights.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        adjacency: (V, V), or (K, V, V) for K subsets of edges with a weight matrix each, whose outputs are summed.

    Shape: (B, T, V, in_channels) -> (B, T, V, out_channels).
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor) -> None:
        super().__init__()
        adjacency = adjacency if adjacency.ndim == 3 else adjacency[None]
        self.subsets = len(adjacency)
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.linear = nn.Linear(in_channels, self.subsets * out_channels, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        batch, length, nodes, _ = x.shape
        adjacency = self.adjacency * self.importance
        # (V, K V): a node gathers from the nodes of all subsets in one product.
        adjacency = adjacency.permute(1, 0, 2).reshape(nodes, -1)
        y = self.linear(x).reshape(batch * length, nodes, self.subsets, -1)
        y = y.transpose(1, 2).reshape(batch * length, self.subsets * nodes, -1)
        y = torch.baddbmm(self.bias, adjacency.expand(batch * length, -1, -1), y)
        return y.reshape(batch, length, nodes, -1)


class TemporalConvolution(nn.Module):
    """Convolution over time, the same for every node; invalid frames count as zeros, like the padding at both ends.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel: frames under the kernel, odd.
        stride: a frame is kept out of this many.

    Shape: (B, T, V, in_channels), (B, T) -> (B, ceil(T / stride), V, out_channels).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1), ((kernel - 1) // 2, 0))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        x = x * mask[:, :, None, None]
        # (B, C, T, V) as a view: this memory order is what oneDNN calls channels last, and its fastest.
        return self.convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def stride_mask(mask: Tensor, stride: int) -> Tensor:
    """(B, T) -> (B, ceil(T / stride)): a step is valid if one of its frames is."""
    if stride == 1:
        return mask
    padded = F.pad(mask, (0, -mask.shape[1] % stride))
    return padded.unflatten(1, (-1, stride)).any(dim=2)


class MaskedBatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy, arXiv 1502.03167) whose statistics are of the valid frames alone.

    Expressions are small beside what all faces share; dividing by what varies in the training clips is what lets a
    model learn from few of them. Evaluation uses running statistics, so a window never depends on its batch.

    Args:
        channels: C.

    Shape: (B, T, C), (B, T) -> (B, T, C); zeros where invalid.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        if not self.training:
            return self.norm(x.flatten(0, 1)).view_as(x) * mask[..., None]
        rows = x[mask]
        if len(rows) < 2:  # nothing to take a variance of
            norm = self.norm
            normal = F.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        else:
            normal = self.norm(rows)
        return torch.zeros_like(x, dtype=normal.dtype).masked_scatter(mask[..., None], normal)


class DropChannels(nn.Module):
    """Dropout of whole channels of a sample. Far cheaper on a CPU than a random number for every element.

    Shape: (B, ..., C) -> the same.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """See the class for the shapes."""
        if not self.training or self.probability == 0:
            return x
        keep = x.new_ones(len(x), *[1] * (x.ndim - 2), x.shape[-1])
        return x * F.dropout(keep, self.probability)


class SpatioTemporalBlock(nn.Module):
    """Graph convolution over the nodes, then a convolution over time, around a residual connection.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        adjacency: (V, V); None: no node hears of another one, and a linear map stands for the graph convolution.
        stride: in time.
        dropout: probability.

    Shape: (B, T, V, in_channels), (B, T) -> (B, ceil(T / stride), V, out_channels).
    """

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: Tensor | None, stride: int, dropout: float
    ) -> None:
        super().__init__()
        self.stride = stride
        self.norm = nn.LayerNorm(in_channels)
        self.spatial = (
            nn.Linear(in_channels, out_channels)
            if adjacency is None
            else GraphConvolution(in_channels, out_channels, adjacency)
        )
        self.temporal = TemporalConvolution(out_channels, out_channels, stride=stride)
        self.drop = DropChannels(dropout)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Linear(in_channels, out_channels, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        y = F.silu(self.spatial(self.norm(x)))
        y = self.drop(self.temporal(y, mask))
        return self.shortcut(self._shorten(x, mask)) + y

    def _shorten(self, x: Tensor, mask: Tensor) -> Tensor:
        """The mean of the valid frames of every step."""
        if self.stride == 1:
            return x
        gap = -x.shape[1] % self.stride
        weight = F.pad(mask, (0, gap)).unflatten(1, (-1, self.stride)).to(x.dtype)
        weight = weight / weight.sum(dim=2, keepdim=True).clamp(min=1)
        x = F.pad(x, (0, 0, 0, 0, 0, gap)).unflatten(1, (-1, self.stride))
        return (x * weight[..., None, None]).sum(dim=2)


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and feed-forward layer (Xiong et al., arXiv 2002.04745) over the tokens of each sequence.

    Args:
        width: channels, a multiple of heads.
        heads: attention heads.
        dropout: probability, of channels after each of the two parts.
        expansion: hidden width of the feed-forward part over ``width``.

    Shape: (N, L, width), mask (N, L) or None -> (N, L, width).
    """

    def __init__(self, width: int, heads: int, dropout: float, expansion: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        self.drop = DropChannels(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """See the class for the shapes."""
        query, key, value = self.query_key_value(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        attended = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=None if mask is None else mask_bias(mask, x.dtype)[:, None, None, :],
        )
        x = x + self.drop(self.out(attended.transpose(1, 2).flatten(2)))
        return x + self.drop(self.contract(F.silu(self.expand(self.norm_feed_forward(x)))))


def mask_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where valid, else the most negative number: not minus infinity, which gives NaN where nothing is valid."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


class AttentionPool(nn.Module):
    """Weighted mean over the tokens; every head weighs them anew for its share of the channels.

    The weights are a softmax of learned scores (Lin et al., arXiv 1703.03130).

    Args:
        width: channels, a multiple of heads.
        heads: sets of weights.

    Shape: (N, L, width), mask (N, L) or None -> pooled (N, width), weights (N, L), the mean over heads. Weights of
    masked tokens are zero; if all are masked, so is the result.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, heads)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See the class for the shapes."""
        x = self.norm(x)
        scores = self.score(x).transpose(1, 2)  # (N, heads, L)
        if mask is None:
            weights = scores.softmax(dim=-1)
        else:
            weights = (scores + mask_bias(mask, scores.dtype)[:, None]).softmax(dim=-1) * mask[:, None]
        value = self.value(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, heads, L, width / heads)
        pooled = (weights[:, :, None] @ value).flatten(1)
        return pooled, weights.mean(dim=1)


class MeanPool(nn.Module):
    """Mean over the tokens: what attention pools are held against.

    Args:
        width: C, channels of a token.
        out_channels: D, channels of the result.

    Shape: (N, L, C), mask (N, L) or None -> pooled (N, D), weights (N, L), the same for all valid tokens. Weights of
    masked tokens are zero; if all are masked, so is the result.
    """

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, out_channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See the class for the shapes."""
        if mask is None:
            weights = x.new_ones(x.shape[:2]) / x.shape[1]
            return self.out(self.norm(x).mean(dim=1)), weights
        weights = mask.to(x.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        pooled = self.out((weights[..., None] * self.norm(x)).sum(dim=1))
        return pooled * mask.any(dim=1)[:, None], weights


class RegionAttentionPool(nn.Module):
    """Nodes -> one vector: attention within every region of the face, and over the regions.

    A mean over all nodes would drown a frown in the sixty nodes that do not move; here every region keeps channels of
    its own. In each region, each head weighs the nodes by a softmax of ``score(x) + bias``, where the bias is learned
    for every node; a gate, a softmax over regions and heads of their weighted mean gate scores, says which of them
    count.

    Args:
        width: C, channels of a node.
        out_channels: D, channels of the result.
        regions: node numbers of each region; every node is in exactly one.
        heads: sets of weights per region.

    Shape: (N, V, C) -> pooled (N, D), weights (N, V), which sum to 1: the share of each node in its region's weights
    times the gate of the region.
    """

    def __init__(self, width: int, out_channels: int, regions: Sequence[Sequence[int]], heads: int) -> None:
        super().__init__()
        nodes = sum(len(region) for region in regions)
        self.parts = len(regions) * heads
        outside = torch.full((self.parts, nodes), True)
        for part in range(self.parts):
            outside[part, torch.as_tensor(regions[part // heads])] = False
        self.register_buffer("outside", outside, persistent=False)
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, self.parts)
        # Far enough from zero that the heads of a region begin with different nodes.
        self.bias = nn.Parameter(torch.randn(self.parts, nodes))
        self.gate = nn.Linear(width, self.parts)
        self.out = nn.Linear(self.parts * width, out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class for the shapes."""
        x = self.norm(x)
        scores = self.score(x).transpose(1, 2) + self.bias  # (N, parts, V)
        weights = scores.masked_fill(self.outside, torch.finfo(scores.dtype).min).softmax(dim=-1)
        gate = (weights * self.gate(x).transpose(1, 2)).sum(dim=-1).softmax(dim=-1)  # (N, parts)
        # Times the number of parts: where all count alike, the gate changes nothing.
        pooled = (weights @ x) * (gate * self.parts)[..., None]  # (N, parts, C)
        return self.out(pooled.flatten(1)), (weights * gate[..., None]).sum(dim=1)
