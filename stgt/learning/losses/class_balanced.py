"""Cross entropy weighed by the effective number of clips of each class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from stgt.learning.losses.base import Context, LossBatch, LossTerm


class ClassBalanced(LossTerm):
    """Cross entropy of each clip times its class's weight (Cui et al., CVPR 2019); see `effective_number_weights`.

    Args:
        context: what it is made for.
        smoothing: part of the target spread over all classes.
        beta: from 0, all classes alike, to nearly 1, inverse frequency.
    """

    def __init__(self, context: Context, smoothing: float | None, beta: float | None) -> None:
        super().__init__(context)
        self.smoothing = context.chosen(smoothing, context.config.label_smoothing)
        beta = context.chosen(beta, context.config.class_balance)
        frequencies = context.frequencies
        table = torch.ones(context.num_classes) if frequencies is None else effective_number_weights(frequencies, beta)
        self.register_buffer("table", table, persistent=False)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        # The mean over clips, not over weights: a batch of common classes only is to count little.
        each = F.cross_entropy(batch.logits, batch.target, label_smoothing=self.smoothing, reduction="none")
        weights = batch.shares @ self.table.to(each) if batch.target.ndim == 2 else self.table[batch.target]
        return (weights * each).mean()


def effective_number_weights(frequencies: NDArray[np.floating], beta: float) -> Tensor:
    """Weights (K,) by the effective number of clips ``(1 - beta^n) / (1 - beta)``; absent classes get 0.

    They sum to the number of classes present (Cui et al., "Class-Balanced Loss Based on Effective Number of Samples",
    CVPR 2019, eq. 2 and section 4).
    """
    present = frequencies > 0
    effective = -np.expm1(frequencies * np.log(beta)) / (1 - beta) if beta > 0 else np.ones(len(frequencies))
    weights = np.divide(1.0, effective, out=np.zeros(len(frequencies)), where=present)
    return torch.tensor(weights * present.sum() / weights.sum(), dtype=torch.float32)
