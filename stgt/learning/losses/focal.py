"""Focal loss: what is already right counts little."""

from torch import Tensor

from stgt.learning.losses.base import Context, LossBatch, LossTerm, smoothed


class Focal(LossTerm):
    """``- sum_k s_k (1 - p_k)^gamma log p_k`` (Lin et al., ICCV 2017, arXiv 1708.02002), for shares ``s``.

    Args:
        context: what it is made for.
        smoothing: part of the target spread over all classes.
        gamma: 0 is cross entropy.
    """

    def __init__(self, context: Context, smoothing: float | None, gamma: float) -> None:
        super().__init__(context)
        self.smoothing = context.chosen(smoothing, context.config.label_smoothing)
        self.gamma = gamma

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        log_probabilities = batch.logits.log_softmax(dim=1)
        # Rounding may take a probability of 1 a little above it.
        missing = (1 - log_probabilities.exp()).clamp(min=0)
        if self.gamma:
            # The slope of a power below 1 is infinite at zero.
            log_probabilities = missing.clamp(min=1e-12) ** self.gamma * log_probabilities
        return -(smoothed(batch.shares, self.smoothing) * log_probabilities).sum(dim=1).mean()
