"""Reconstruction: what was seen must suffice to show the face again."""

from torch import Tensor
from torch.nn import functional as F

from stgt.learning.losses.base import LossBatch, LossTerm, nothing


class Reconstruction(LossTerm):
    """Mean squared error of grey levels from 0 to 1, of the crops that show a face.

    Li et al., "Attention mechanism-based CNN for facial expression recognition", Neurocomputing 411, 2020.
    """

    needs = ("reconstruction", "reconstruction_target")

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        made = batch.crops("reconstruction")
        return F.mse_loss(made, batch.crops("reconstruction_target")) if len(made) else nothing(made)
