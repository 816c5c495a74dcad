"""Cross entropy of logits that are shifted by the frequencies of the classes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from stgt.learning.losses.base import Context, LossBatch, LossTerm


class LogitAdjusted(LossTerm):
    """Cross entropy of ``logits + tau log frequency``, so that the logits themselves become balanced ones.

    Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, eq. 10. At evaluation logits are as they are.

    Args:
        context: what it is made for.
        smoothing: part of the target spread over all classes.
        tau: factor of the log frequencies.
    """

    def __init__(self, context: Context, smoothing: float | None, tau: float | None) -> None:
        super().__init__(context)
        self.smoothing = context.chosen(smoothing, context.config.label_smoothing)
        tau = context.chosen(tau, context.config.logit_adjustment)
        frequencies = context.frequencies
        table = torch.zeros(context.num_classes) if frequencies is None else tau * log_priors(frequencies)
        self.register_buffer("table", table, persistent=False)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        return F.cross_entropy(batch.logits + self.table, batch.target, label_smoothing=self.smoothing)


def log_priors(frequencies: NDArray[np.floating]) -> Tensor:
    """Log frequencies (K,), added to logits in training so that the model learns balanced ones.

    A class without a clip is taken for one with a single clip.
    """
    counts = np.where(frequencies > 0, frequencies, 1.0)
    return torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)
