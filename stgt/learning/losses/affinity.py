"""Affinity loss: near to one's own centre, where the centres are far from each other."""

import torch
from torch import Tensor, nn

from stgt.learning.losses.base import Context, LossBatch, LossTerm, nothing


class Affinity(LossTerm):
    """``mean_i ||x_i - c_y||^2 / sum over dimensions of the variance of the centres``.

    Wen et al., "Distract Your Attention", arXiv 2109.07270; variance over the classes, without bias, as in the authors'
    code. The centres are learned along with the model, from normal ones. Of DAN, x is the mean of the trunk's
    map; of other models their features.
    """

    sized = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.of = "trunk" if "trunk" in context.sample.extras else context.sample.vectors_name
        self.centres = nn.Parameter(torch.randn(context.num_classes, context.sample.extras[self.of].shape[-1]))

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        features = batch.crops(self.of)
        if not len(features):
            return nothing(features)
        distance = (features - self.centres[batch.crop_labels]).square().sum(dim=1).mean()
        return distance / self.centres.var(dim=0).sum()
