"""The loss of a training: several terms with weights, as ``OptimisationConfig.loss`` names them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stgt.config import OptimisationConfig
from stgt.errors import StgtError
from stgt.faces.crops import CROP_SIZE
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.learning.losses.base import Context, LossBatch
from stgt.learning.losses.registry import TERMS
from stgt.models.registry import ExpressionModel
from stgt.terms import PAPER, parse_loss

#: The extras that every model gives.
ALWAYS = {"features"}


class TrainingLoss(nn.Module):
    """Named terms, whose weighted sum is minimised.

    Centres and directions that terms learn or follow are parameters and buffers of this module: they are optimised, and
    saved, with the training, and nobody needs them afterwards.

    Args:
        num_classes: K.
        num_features: D, size of the ``features`` of the model.
        config: which terms, and what their parameters are where the text does not give them.
        class_counts: (K,) clips of each class as they are drawn; None: all classes count alike.
        sample: logits and extras that the model gives for some windows; none: it gives features alone.

    Raises:
        StgtError: a term needs what the model does not give, or the loss is ``paper``, which `for_model` resolves.

    Attributes:
        weights: name -> weight of each term.
    """

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        config: OptimisationConfig,
        class_counts: NDArray[np.floating] | None = None,
        sample: tuple[Tensor, Mapping[str, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        if config.loss == PAPER:
            raise StgtError("the loss paper is that of a frame encoder's paper; name a loss, or train a frame encoder")
        logits, extras = sample or (torch.zeros(1, num_classes), {"features": torch.zeros(1, num_features)})
        tried = LossBatch(logits, torch.zeros(len(logits), dtype=torch.long), extras)
        self.weights: dict[str, float] = {}
        self.terms = nn.ModuleDict()
        for term in parse_loss(config.loss):
            context = Context(num_classes, config, class_counts, tried, first=not self.weights)
            self.terms[term.name] = TERMS[term.name](context, **term.parameters)
            self.weights[term.name] = term.weight

    @classmethod
    def for_model(
        cls, model: ExpressionModel, config: OptimisationConfig, class_counts: NDArray[np.floating] | None = None
    ) -> "TrainingLoss":
        """The loss for a model: ``paper`` becomes its paper's, and what the terms need is asked of it.

        Raises:
            StgtError: a term needs what the model does not give, or the model has no loss of its own.
        """
        text = loss_text(model, config)
        config = replace(config, loss=text)
        sample = try_model(model) if cls.asks_for_extras(config) else None
        return cls(model.num_classes, model.num_features, config, class_counts, sample)

    @staticmethod
    def asks_for_extras(config: OptimisationConfig) -> bool:
        """Whether the loss is not for every model."""
        if config.loss == PAPER:
            return True
        terms = [TERMS[term.name] for term in parse_loss(config.loss)]
        return any(term.sized or set(term.needs) - ALWAYS for term in terms)

    def forward(self, logits: Tensor, target: Tensor, extras: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The terms by name, without their weights.

        Args:
            logits: (B, K).
            target: (B,) numbers of classes, or (B, K) shares of them.
            extras: what ``ExpressionModel.forward_training`` gives besides; none: no term needs any.
        """
        batch = LossBatch(logits, target, extras or {})
        return {name: term(batch) for name, term in self.terms.items()}

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """What is minimised: the weighted sum of terms."""
        return sum(self.weights[name] * value for name, value in terms.items())


def loss_text(model: ExpressionModel, config: OptimisationConfig) -> str:
    """The loss in words: ``config.loss``, where ``paper`` is that of the model's paper.

    Raises:
        StgtError: the model has none.
    """
    if config.loss != PAPER:
        return config.loss
    from stgt.models.frames import FrameModel  # late: geometry alone needs no timm

    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, FrameModel):
        raise StgtError(
            f"the loss paper is that of a frame encoder's paper, and {model.config.name} is none; name a loss, such as "
            "cross_entropy"
        )
    return encoder.paper_loss


@torch.no_grad()
def try_model(model: ExpressionModel) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and extras in training of two windows in which nothing moves, for their names and sizes.

    The model, and whoever draws random numbers, are left as they were.
    """
    like = next(model.parameters())
    frames = model.window.frames
    inputs = {
        "geometry": like.new_zeros(2, frames, len(model.layout), GEOMETRY_CHANNELS),
        "mask": torch.ones(2, frames, dtype=torch.bool, device=like.device),
    }
    if "frames" in model.streams:
        inputs["frames"] = torch.zeros(2, 1, 3, CROP_SIZE, CROP_SIZE, dtype=torch.uint8, device=like.device)
    training = model.training
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.random.fork_rng(devices=[]):
        found = model.train().forward_training(**inputs)
    model.train(training)
    for buffer, before in kept:
        buffer.copy_(before)
    return found
