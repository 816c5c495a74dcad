"""Cross entropy, with label smoothing and class weights."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from stgt.learning.distributed import processes, summed
from stgt.learning.losses.base import Context, LossBatch, LossTerm

#: Power of the inverse frequency that ``class_weights`` of the settings stands for.
SQUARE_ROOT = 0.5


class CrossEntropy(LossTerm):
    """``- sum_k w_k s_k log p_k`` of smoothed shares ``s``; for numbers of classes the mean over the weights.

    Args:
        context: what it is made for.
        smoothing: part of the target spread over all classes.
        class_weights: power of the inverse frequency that a class is weighed by: 0, all alike; 0.5, the square root; 1,
            every class as much as any other.
    """

    def __init__(self, context: Context, smoothing: float | None, class_weights: float | None) -> None:
        super().__init__(context)
        self.smoothing = context.chosen(smoothing, context.config.label_smoothing)
        power = context.chosen(class_weights, SQUARE_ROOT if context.config.class_weights else 0.0)
        table = balanced_weights(context.frequencies, power) if power and context.frequencies is not None else None
        self.register_buffer("table", table, persistent=False)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        targets = batch.target
        mean = F.cross_entropy(batch.logits, targets, weight=self.table, label_smoothing=self.smoothing)
        if self.table is None or processes() == 1 or targets.ndim == 2:
            return mean
        # The mean is over the weights in a process; what counts are those of the whole step.
        weight = self.table[targets].sum()
        return mean * weight * processes() / summed(weight)


def balanced_weights(frequencies: NDArray[np.floating], power: float = SQUARE_ROOT) -> Tensor:
    """Weights (K,) by a power of the inverse frequency, mean 1 over the training clips; absent classes get 0.

    The square root lies between no weighting and full balance: full balance on a class with a handful of clips makes
    the loss follow those clips.
    """
    weights = np.divide(1.0, frequencies**power, out=np.zeros(len(frequencies)), where=frequencies > 0)
    return torch.tensor(weights * frequencies.sum() / (weights * frequencies).sum(), dtype=torch.float32)
