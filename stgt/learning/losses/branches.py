"""Every branch of a network should be right by itself."""

from torch import Tensor
from torch.nn import functional as F

from stgt.learning.losses.base import Context, LossBatch, LossTerm


class Branches(LossTerm):
    """Mean cross entropy of the branches' own logits, (B, branches, K).

    Vo et al., "Pyramid with super resolution", IEEE Access 2020, whose branches are averaged only when a face is read:
    it is at least the cross entropy of their mean.

    Args:
        context: what it is made for.
        smoothing: part of the target spread over all classes.
    """

    needs = ("branch_logits",)

    def __init__(self, context: Context, smoothing: float | None) -> None:
        super().__init__(context)
        self.smoothing = context.chosen(smoothing, context.config.label_smoothing)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        logits = batch.extras["branch_logits"]
        shares = batch.shares[:, None].expand_as(logits)
        return F.cross_entropy(logits.flatten(0, 1), shares.flatten(0, 1), label_smoothing=self.smoothing)
