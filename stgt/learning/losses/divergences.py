"""Losses between distributions: how far what a model says is from shares of the classes."""

from torch import Tensor

from stgt.learning.losses.base import Context, LossBatch, LossTerm, smoothed

#: Jeffreys' divergence from a share of nothing is infinite.
LEAST_SMOOTHING = 1e-6


class KullbackLeibler(LossTerm):
    """``sum_k s_k log(s_k / p_k)``, in nats: cross entropy less the entropy of the shares, so zero where they agree.

    Args:
        context: what it is made for.
        smoothing: part of the shares spread over all classes.
    """

    def __init__(self, context: Context, smoothing: float) -> None:
        super().__init__(context)
        self.smoothing = smoothing

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        shares = smoothed(batch.shares, self.smoothing)
        entropy = -(shares * shares.clamp(min=1e-30).log()).sum(dim=1)
        return (-(shares * batch.logits.log_softmax(dim=1)).sum(dim=1) - entropy).mean()


class Jeffreys(LossTerm):
    """``sum_k (s_k - p_k) log(s_k / p_k)``: Kullback-Leibler of both directions, summed.

    Jeffreys, "An invariant form for the prior probability in estimation problems", 1946; for emotion distributions of
    faces: Zhou, Xue, Geng, "Emotion distribution recognition from facial expressions", ACM Multimedia 2015.

    Args:
        context: what it is made for.
        smoothing: part of the shares spread over all classes; it must not be nothing, where shares are zero.
    """

    def __init__(self, context: Context, smoothing: float) -> None:
        super().__init__(context)
        self.smoothing = max(smoothing, LEAST_SMOOTHING)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        shares = smoothed(batch.shares, self.smoothing)
        log_probabilities = batch.logits.log_softmax(dim=1)
        return ((shares - log_probabilities.exp()) * (shares.log() - log_probabilities)).sum(dim=1).mean()
