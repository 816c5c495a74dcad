"""Adaptive correlation: embeddings of a class alike, of different classes and of one image different."""

import torch
from torch import Tensor

from stgt.learning.distributed import summed
from stgt.learning.losses.base import Context, LossBatch, LossTerm, class_sums, correlations, nothing, off_diagonal

#: How many of the latest images say how often a class is mistaken.
MEMORY = 1000


class AdaptiveCorrelation(LossTerm):
    """The three losses of Fard and Mahoor, "Ad-Corre", IEEE Access 2022, on several embeddings of each image, summed.

    With ``corr`` Pearson's correlation over the dimensions of an embedding, each a mean over the embeddings:

    - feature discriminator: ``mean_ij w_ij | o_ij - corr(x_i, x_j) |`` over the pairs of a batch, ``o`` 1 for images of
      one class and -1 for others, ``w_ij = 1 + (1 - r_i) + (1 - r_j)`` with r the recall of their classes over the last
      1000 images of the training; an image with itself counts nothing.
    - mean discriminator: ``mean_kl 1 + corr(m_k, m_l)`` over the mean embeddings of different classes.
    - embedding discriminator: ``mean_gh 1 + corr(x^g, x^h)`` over the different embeddings of an image.

    The means are over all pairs, those on the diagonal counting zero, as in the authors' code; classes that a batch
    lacks are left out, where the code gives them the mean of the batch.
    """

    needs = ("embeddings",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.register_buffer("hits", torch.zeros(context.num_classes))
        self.register_buffer("seen", torch.zeros(context.num_classes))

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        if self.training:
            self.watch(batch)
        embeddings, labels = batch.crops("embeddings"), batch.crop_labels
        if not len(embeddings):
            return nothing(embeddings)
        by_embedding = embeddings.transpose(0, 1)
        return (
            self.between_images(by_embedding, labels)
            + self.between_classes(by_embedding, labels)
            + self.between_embeddings(embeddings)
        )

    def between_images(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The feature discriminator of (H, N, D) embeddings."""
        recall = torch.where(self.seen > 0, self.hits / self.seen.clamp(min=1e-12), torch.zeros_like(self.seen))
        missed = 1 - recall[labels].to(embeddings.dtype)
        weights = (1 + missed[:, None] + missed) * off_diagonal(len(labels), embeddings)
        wanted = torch.where(labels[:, None] == labels, 1.0, -1.0).to(embeddings.dtype)
        return (weights * (wanted - correlations(embeddings)).abs()).mean()

    def between_classes(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean discriminator of (H, N, D) embeddings."""
        classes, index = labels.unique(return_inverse=True)
        counts = torch.bincount(index)
        sums = class_sums(embeddings.transpose(0, 1), index, len(classes))
        means = (sums / counts[:, None, None]).transpose(0, 1)
        return (off_diagonal(len(classes), embeddings) * (1 + correlations(means))).mean()

    @staticmethod
    def between_embeddings(embeddings: Tensor) -> Tensor:
        """The embedding discriminator of (N, H, D) embeddings."""
        return (off_diagonal(embeddings.shape[1], embeddings) * (1 + correlations(embeddings))).mean()

    @torch.no_grad()
    def watch(self, batch: LossBatch) -> None:
        """Count which classes are recognised, the latest images most."""
        right = (batch.logits.argmax(dim=1) == batch.labels).to(self.hits.dtype)
        hits = summed(class_sums(right, batch.labels, len(self.hits)))
        seen = summed(class_sums(torch.ones_like(right), batch.labels, len(self.seen)))
        kept = max(0.0, 1 - float(seen.sum()) / MEMORY)
        self.hits.mul_(kept).add_(hits)
        self.seen.mul_(kept).add_(seen)
