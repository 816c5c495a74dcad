"""Region-biased loss: some crop should count more than the whole face."""

from torch import Tensor
from torch.nn import functional as F

from stgt.learning.losses.base import Context, LossBatch, LossTerm, nothing


class RegionBiased(LossTerm):
    """``mean max(0, margin - (max over crops of a - a of the whole face))``.

    Wang et al., "Region Attention Networks", arXiv 1905.04075, with the self-attention a. The margin is
    the paper's as remembered; its code for FER+ takes 0.1, of attentions that are a softmax over the regions.

    Args:
        context: what it is made for.
        margin: by how much the best crop should be ahead.
    """

    needs = ("attention", "relation")

    def __init__(self, context: Context, margin: float) -> None:
        super().__init__(context)
        self.margin = margin

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        attention = batch.crops("attention")
        if not len(attention):
            return nothing(attention)
        return F.relu(self.margin - (attention[:, 1:].amax(dim=1) - attention[:, 0])).mean()
