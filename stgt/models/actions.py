"""The action stream: blendshapes of a window, brought to the steps of the temporal transformer."""

from torch import Tensor, nn
from torch.nn import functional as F

from stgt.graphs.actions import ACTION_CHANNELS
from stgt.models.blocks import MaskedBatchNorm, TemporalConvolution, stride_mask

#: A step of the temporal transformer covers this many frames.
STRIDE = 4


class ActionEncoder(nn.Module):
    """Two convolutions over time, each of which halves the rate.

    Args:
        width: C, hidden channels.
        out_channels: D.

    Shape: actions (B, T, 104), zero where invalid, mask (B, T) -> (B, ceil(T / 4), D).
    """

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(ACTION_CHANNELS)
        self.first = TemporalConvolution(ACTION_CHANNELS, width, stride=2)
        self.second = TemporalConvolution(width, width, stride=2)
        self.out = nn.Linear(width, out_channels)

    def forward(self, actions: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        x = self.norm(actions, mask)[:, :, None]  # one node
        x = F.silu(self.first(x, mask))
        x = F.silu(self.second(x, stride_mask(mask, 2)))
        return self.out(x[:, :, 0])
