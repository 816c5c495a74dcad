"""Locality preserving loss: near to the nearest of one's own class."""

import torch
from torch import Tensor

from stgt.learning.losses.base import Context, LossBatch, LossTerm, nothing


class LocalityPreserving(LossTerm):
    """``1/2 mean_i || x_i - mean of the k features of its class in the batch that are nearest to x_i ||^2``.

    Li, Deng, Du, "Reliable crowdsourcing and deep locality-preserving learning", CVPR 2017. As in the paper the
    neighbours are constants for the gradient. With fewer than k others of its class an image takes all there are;
    alone, it adds nothing.

    Args:
        context: what it is made for.
        neighbours: k.
    """

    def __init__(self, context: Context, neighbours: float) -> None:
        super().__init__(context)
        if neighbours < 1:
            self.refuse(f"needs at least 1 neighbour, not {neighbours:g}")
        self.neighbours = int(neighbours)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        features = batch.vectors
        if not len(features):
            return nothing(features)
        means = neighbour_means(features, batch.crop_labels, self.neighbours)
        return (features - means).square().sum(dim=1).mean() / 2


@torch.no_grad()
def neighbour_means(features: Tensor, labels: Tensor, neighbours: int) -> Tensor:
    """(N, D) features and (N,) classes -> (N, D), the mean of each one's nearest of its class; itself if alone."""
    fellows = labels[:, None] == labels
    fellows.fill_diagonal_(False)
    distances = torch.cdist(features.float(), features.float(), compute_mode="donot_use_mm_for_euclid_dist")
    order = distances.masked_fill(~fellows, float("inf")).argsort(dim=1, stable=True)[:, :neighbours]
    taken = torch.gather(fellows, 1, order).to(features.dtype)
    count = taken.sum(dim=1, keepdim=True)
    means = (features[order] * taken[..., None]).sum(dim=1) / count.clamp(min=1)
    return torch.where(count > 0, means, features)
