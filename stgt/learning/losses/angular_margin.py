"""Additive angular margin: the true class has to win by an angle."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.learning.losses.base import Context, LossBatch, LossTerm, nothing

#: The slope of the sine of an angle is infinite at a cosine of 1.
LARGEST_COSINE = 1 - 1e-6


class AdditiveAngularMargin(LossTerm):
    """``- log( e^{s cos(theta_y + m)} / (e^{s cos(theta_y + m)} + sum over k != y of e^{s cos theta_k}) )``.

    Deng et al., "ArcFace", CVPR 2019, arXiv 1801.07698, eq. 3; beyond ``theta_y + m = pi`` it goes on as
    ``cos theta_y - m sin m``, so that it keeps falling. With shares of classes the strongest one has the margin.

    As the first term it trains a classifier by angles, which the model must have (``cosine``, of resnet18-fi-sa): its
    logits are ``s cos theta`` and are read without a margin at evaluation. On top of another term it works on the
    features of any model, with directions of the classes of its own that only training needs.

    Args:
        context: what it is made for.
        margin: m, in radians.
        scale: s.
    """

    sized = True

    def __init__(self, context: Context, margin: float, scale: float) -> None:
        super().__init__(context)
        if not 0 <= margin < math.pi / 2 or scale <= 0:
            self.refuse(
                f"has margin {margin:g} and scale {scale:g}; a margin is from 0 to below pi / 2, a scale above 0"
            )
        self.margin, self.scale = margin, scale
        extras = context.sample.extras
        self.directions = None
        if "cosine" not in extras:
            if context.first:
                self.refuse(
                    "as the first term needs a model that classifies by angles, such as resnet18-fi-sa; "
                    "write cross_entropy+additive_angular_margin to have it on top"
                )
            self.directions = nn.Parameter(torch.empty(context.num_classes, context.sample.vectors.shape[-1]))
            nn.init.xavier_uniform_(self.directions)

    def forward(self, batch: LossBatch) -> Tensor:
        """See `LossTerm`."""
        if self.directions is None:
            cosines, labels, target = batch.extras["cosine"], batch.labels, batch.target
        else:
            features, labels = batch.vectors, batch.crop_labels
            if not len(features):
                return nothing(features) + nothing(self.directions)
            cosines, target = F.linear(F.normalize(features), F.normalize(self.directions)), labels
        return F.cross_entropy(self.scale * with_margin(cosines, labels, self.margin), target)


def with_margin(cosines: Tensor, labels: Tensor, margin: float) -> Tensor:
    """(N, K) cosines -> the same, the angle of each row's class enlarged by ``margin``."""
    own = cosines.gather(1, labels[:, None]).clamp(-LARGEST_COSINE, LARGEST_COSINE)
    farther = own * math.cos(margin) - (1 - own.square()).sqrt() * math.sin(margin)
    farther = torch.where(own > -math.cos(margin), farther, own - margin * math.sin(margin))
    return cosines.scatter(1, labels[:, None], farther.to(cosines.dtype))
