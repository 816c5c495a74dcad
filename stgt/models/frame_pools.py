"""How the features of a window's frames become the features of the window.

All pools leave out frames without a face, and give zeros for a window without any. Mean, maximum, statistics and
attention do not know the order of the frames; the transformer does.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import ModelConfig
from stgt.models.blocks import AttentionPool, TransformerLayer, mask_bias

#: Channels of the temporal transformer.
TRANSFORMER_WIDTH = 256
TRANSFORMER_LAYERS = 2


class FramePool(nn.Module, ABC):
    """Frames -> a window.

    Args:
        width: D, size of a frame's features.
        num_features: size of the result.

    Shape: features (B, F, D), mask (B, F) -> pooled (B, num_features), weights (B, F). Weights say how much each frame
    counts: they sum to 1, or to 0 where all frames are masked.
    """

    def __init__(self, width: int, num_features: int) -> None:
        super().__init__()
        self.width = width
        self.num_features = num_features

    @abstractmethod
    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See the class for the shapes; features are zero where masked."""


class MeanPool(FramePool):
    """The mean of the frames; a single frame stays as it is. Shapes as in `FramePool`."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `FramePool`."""
        weights = even_weights(mask, features.dtype)
        return weighted_sum(weights, features), weights


class MaxPool(FramePool):
    """The maximum of every feature over the frames; a single frame stays as it is. Shapes as in `FramePool`.

    A frame's weight is the share of the features whose maximum it has.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `FramePool`."""
        top = masked_maximum(features, mask)
        hits = ((features == top[:, None]) & mask[..., None]).to(features.dtype)
        return top, (hits / hits.sum(dim=1, keepdim=True).clamp(min=1)).mean(dim=2)


class StatisticsPool(FramePool):
    """Mean, maximum and standard deviation side by side (3 D): the video descriptor of Savchenko (arXiv 2103.17107).

    The classifier is linear on top of them. Shapes as in `FramePool`.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 3 * width)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `FramePool`."""
        weights = even_weights(mask, features.dtype)
        mean = weighted_sum(weights, features)
        variance = weighted_sum(weights, (features - mean[:, None]).square())
        # A root has no slope at zero, which is where a single frame is.
        deviation = variance.clamp(min=1e-8).sqrt() * (variance > 1e-8)
        return torch.cat((mean, masked_maximum(features, mask), deviation), dim=1), weights


class FrameAttentionPool(FramePool):
    """Self-attention, then relation attention over frames: Frame Attention Networks (Meng et al., ICIP 2019).

    arXiv 1907.00193; of Region Attention Networks (arXiv 1905.04075) with frames in the place of regions.
    ``a_i = sigmoid(q f_i)``, ``m = sum a_i f_i / sum a_i``, ``b_i = sigmoid(p [f_i : m])``; the result (2 D) is
    ``sum a_i b_i [f_i : m] / sum a_i b_i``, and ``a_i b_i`` over its sum the weight of a frame. A single frame gives
    ``[f : f]``. What is scored is brought to mean 0 and variance 1 first, which is not in the papers: encoders differ
    a thousandfold in the size of their features. Shapes as in `FramePool`.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 2 * width)
        self.self_attention = nn.Linear(width, 1)
        self.relation = nn.Linear(2 * width, 1)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `FramePool`."""
        normal = self._normal(features)
        alone = F.logsigmoid(self.self_attention(normal)[..., 0])
        mean = weighted_sum(shares(alone, mask), features)
        pairs = torch.cat((normal, self._normal(mean)[:, None].expand_as(normal)), dim=-1)
        weights = shares(alone + F.logsigmoid(self.relation(pairs)[..., 0]), mask)
        return torch.cat((weighted_sum(weights, features), mean), dim=1), weights

    def _normal(self, features: Tensor) -> Tensor:
        return F.layer_norm(features, (self.width,))


class TransformerPool(FramePool):
    """A transformer over the frames in their order, then attention pooling.

    The features are normalised, brought to 256 channels, and told their place in the window; two pre-norm layers and a
    pool of learned attention follow, as in the temporal half of Former-DFER (Zhao and Liu, ACM Multimedia 2021).

    Args:
        width: D.
        frames: most frames of a window.
        heads: of attention.
        dropout: in the layers.

    Shapes as in `FramePool`; the result has 256 features.
    """

    def __init__(self, width: int, frames: int, heads: int, dropout: float) -> None:
        channels = -(-TRANSFORMER_WIDTH // heads) * heads
        super().__init__(width, channels)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, channels)
        self.place = nn.Parameter(torch.empty(frames, channels))
        nn.init.trunc_normal_(self.place, std=0.1)
        self.layers = nn.ModuleList(TransformerLayer(channels, heads, dropout) for _ in range(TRANSFORMER_LAYERS))
        self.pool = AttentionPool(channels, heads)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `FramePool`."""
        x = self.project(self.norm(features)) + self.place[: features.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        return self.pool(x, mask)


def create_frame_pool(config: ModelConfig, width: int) -> FramePool:
    """The pool that ``config.frame_pool`` names, for features of ``width``."""
    if config.frame_pool == "transformer":
        return TransformerPool(width, config.stream_frames, config.heads, config.dropout)
    kinds = {"mean": MeanPool, "max": MaxPool, "statistics": StatisticsPool, "attention": FrameAttentionPool}
    return kinds[config.frame_pool](width)


def even_weights(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, F) bool -> the same weight for every frame that is not masked."""
    return normalised(mask.to(dtype))


def normalised(weights: Tensor) -> Tensor:
    """(B, F), not negative -> the same with a sum of 1, or zeros where all are."""
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


def shares(logarithms: Tensor, mask: Tensor) -> Tensor:
    """(B, F) logarithms of weights -> weights with a sum of 1, zeros where masked; none of them is too small to divide
    by, as their product might be."""
    return (logarithms + mask_bias(mask, logarithms.dtype)).softmax(dim=1) * mask


def weighted_sum(weights: Tensor, features: Tensor) -> Tensor:
    """(B, F), (B, F, D) -> (B, D)."""
    return (weights[:, None] @ features)[:, 0]


def masked_maximum(features: Tensor, mask: Tensor) -> Tensor:
    """(B, F, D), (B, F) -> (B, D): zeros where all are masked."""
    lowest = torch.finfo(features.dtype).min
    return features.masked_fill(~mask[..., None], lowest).amax(dim=1) * mask.any(dim=1)[:, None]
