"""Any of several accepted classes will do."""

from torch import Tensor

from stgt.learning.losses.base import LossBatch, LossTerm


class MultiLabel(LossTerm):
    """``- log max p_k`` over the classes k with any share: the most probable of those that are accepted.

    Barsoum et al., ICMI 2016, arXiv 1608.01041, section 3. It goes with ``targets: "multi_label"``, where a class is
    accepted that got enough of the votes.
    """

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        log_probabilities = batch.logits.log_softmax(dim=1)
        return -log_probabilities.masked_fill(batch.shares <= 0, -float("inf")).amax(dim=1).mean()
