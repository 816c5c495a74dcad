"""Centre loss, and centre loss in those dimensions that count."""

import torch
from torch import Tensor

from stgt.learning.distributed import summed
from stgt.learning.losses.base import Context, LossBatch, LossTerm, class_sums, nothing


class Centre(LossTerm):
    """``1/2 mean_i sum_j (x_ij - c_yj)^2``, the centres following the features of their class.

    Wen, Zhang, Li, Qiao, "A discriminative feature learning approach for deep face recognition", ECCV 2016, eq. 2.
    After each step a centre moves by ``rate * sum (x_i - c) / (1 + n)`` over the n features of its class (eq. 4).
    Centres begin at zero.

    Args:
        context: what it is made for.
        rate: how fast the centres follow.
    """

    sized = True

    def __init__(self, context: Context, rate: float) -> None:
        super().__init__(context)
        self.rate = rate
        features = context.sample.vectors
        self.register_buffer("centres", torch.zeros(context.num_classes, features.shape[-1]))

    def weights(self, batch: LossBatch, features: Tensor) -> Tensor:  # noqa: ARG002 - what others need
        """(N, D) how much each dimension of each feature counts."""
        return torch.ones_like(features)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        features, labels = batch.vectors, batch.crop_labels
        weights = self.weights(batch, features)
        distances = features - self.centres[labels]
        loss = (weights * distances.square()).sum(dim=1).mean() / 2 if len(features) else nothing(features)
        if self.training:
            self.follow((weights * distances).detach(), labels)
        return loss

    @torch.no_grad()
    def follow(self, distances: Tensor, labels: Tensor) -> None:
        """Move the centres towards (N, D) features of the classes ``labels``, at weighted ``distances`` from them."""
        count = len(self.centres)
        moved = summed(class_sums(distances.to(self.centres), labels, count))
        seen = summed(class_sums(torch.ones_like(labels, dtype=self.centres.dtype), labels, count))
        self.centres += self.rate * moved / (1 + seen)[:, None]


class AttentiveCentre(Centre):
    """``1/2 mean_i sum_j a_ij (x_ij - c_yj)^2``, with the attention ``a`` that the model pays to dimension j.

    Farzaneh, Qi, "Facial expression recognition in the wild via deep attentive center loss", WACV 2021; a centre
    moves as in `Centre`, its dimensions weighed by the attention as well.

    Args:
        context: what it is made for.
        rate: how fast the centres follow.
    """

    needs = ("attention",)

    def __init__(self, context: Context, rate: float) -> None:
        super().__init__(context, rate)
        sample = context.sample
        if sample.crops("attention").shape != sample.vectors.shape:
            self.refuse("needs attention to every dimension of the features, which this model does not pay")

    def weights(self, batch: LossBatch, features: Tensor) -> Tensor:  # noqa: ARG002
        """See `Centre`."""
        return batch.crops("attention")
