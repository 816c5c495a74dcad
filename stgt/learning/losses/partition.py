"""Partition loss: attention heads that look at different things."""

import torch
from torch import Tensor

from stgt.learning.losses.base import LossBatch, LossTerm, nothing


class Partition(LossTerm):
    """``log(1 + H / v)`` with v the variance over the H heads, averaged over images and channels.

    Wen et al., "Distract Your Attention", arXiv 2109.07270; the variance without bias, as in the authors' code.
    """

    needs = ("heads",)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        heads = batch.crops("heads")
        if not len(heads):
            return nothing(heads)
        variance = heads.var(dim=1).mean()
        return torch.log(1 + heads.shape[1] / (variance + torch.finfo(heads.dtype).eps))
