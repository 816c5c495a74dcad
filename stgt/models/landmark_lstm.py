"""A recurrent network over landmarks: the simplest thing that reads time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.models.blocks import AttentionPool, MaskedBatchNorm
from stgt.models.registry import Attention, ExpressionModel, Inputs, register_model

LAYERS = 2


def valid_first(mask: Tensor) -> Tensor:
    """(B, T) -> (B, T) frame numbers: the valid ones of each window in their order, then the others."""
    length = mask.shape[1]
    # All keys differ, so the order is the same on every engine, whether its sort is stable or not.
    return (torch.arange(length, device=mask.device) + length * ~mask).argsort(dim=1)


@register_model("landmark-lstm")
class LandmarkLSTM(ExpressionModel):
    """Long short-term memory (Hochreiter & Schmidhuber, Neural Computation 9(8), 1997) over the nodes of each frame.

    All coordinates of a frame are one vector, as in the landmark networks that came before graphs (Jung et al., "Joint
    fine-tuning in deep neural networks for facial expression recognition", ICCV 2015, join them over time in the same
    way): batch normalised, projected to ``config.width`` channels, read by two LSTM layers of twice the width, pooled
    over the frames by attention. Frames without a face are skipped: the memory goes from one valid frame to the next.
    It knows of no node apart from the others, so its attention over nodes is uniform. Of the settings layout, width,
    heads and dropout apply; it reads geometry alone, whatever the streams.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig) -> None:
        if config.width < 1 or 2 * config.width % config.heads:
            raise StgtError(
                f"model.width is {config.width}; twice the width must be a positive multiple of model.heads, "
                f"{config.heads}"
            )
        hidden = 2 * config.width
        super().__init__(config, num_classes, window, num_features=hidden)
        channels = len(self.layout) * GEOMETRY_CHANNELS
        self.input_norm = MaskedBatchNorm(channels)
        self.project = nn.Linear(channels, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.memory = nn.LSTM(config.width, hidden, LAYERS, batch_first=True, dropout=config.dropout)
        self.pool = AttentionPool(hidden, config.heads)

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        geometry, mask = inputs.geometry, inputs.mask
        x = self.drop(F.silu(self.project(self.input_norm(geometry.flatten(2), mask))))
        # With the valid frames in front, nothing that a valid frame is told of has passed through an invalid one.
        order = valid_first(mask)
        x = self.memory(x.gather(1, order[..., None].expand_as(x)))[0]
        features, weights = self.pool(x, mask.gather(1, order))
        frames = torch.zeros_like(weights).scatter(1, order, weights)
        nodes = (mask[..., None] / len(self.layout)).expand(-1, -1, len(self.layout))
        return features, Attention(nodes=nodes, frames=frames)
