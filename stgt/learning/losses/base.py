"""What all losses share: the batch that they are taken of, and what they know of the training."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import OptimisationConfig
from stgt.errors import StgtError


@dataclass(frozen=True, eq=False)
class LossBatch:
    """What a model says of a batch of windows, and what it should have said.

    Attributes:
        logits: (B, K).
        target: (B,) numbers of classes, or (B, K) shares of them.
        extras: as ``ExpressionModel.forward_training`` gives them.
    """

    logits: Tensor
    target: Tensor
    extras: Mapping[str, Tensor]

    @cached_property
    def shares(self) -> Tensor:
        """(B, K) shares of the classes."""
        if self.target.ndim == 2:
            return self.target.to(self.logits.dtype)
        return F.one_hot(self.target, self.logits.shape[-1]).to(self.logits.dtype)

    @cached_property
    def labels(self) -> Tensor:
        """(B,) numbers of the classes, the strongest of shares."""
        return self.target.argmax(dim=1) if self.target.ndim == 2 else self.target

    def crops(self, name: str) -> Tensor:
        """An extra of every crop that shows a face, (N, ...); of a model without crops, of every window."""
        valid = self.extras.get("frame_valid")
        return self.extras[name] if valid is None else self.extras[name][valid]

    @cached_property
    def crop_labels(self) -> Tensor:
        """(N,) the classes of ``crops``."""
        valid = self.extras.get("frame_valid")
        return self.labels if valid is None else self.labels[:, None].expand(valid.shape)[valid]

    @property
    def vectors_name(self) -> str:
        """The extra that holds a feature vector of every crop, or of every window of a model without crops."""
        return "frame_features" if "frame_features" in self.extras else "features"

    @property
    def vectors(self) -> Tensor:
        """(N, D) features, with the classes ``crop_labels``."""
        return self.crops(self.vectors_name)


@dataclass(frozen=True, eq=False)
class Context:
    """What a loss is made for.

    Attributes:
        num_classes: K.
        config: settings that a term's parameters are taken from where they are not given.
        frequencies: (K,) clips of each class as they are drawn; None: all classes count alike.
        sample: what the model says of some windows, for the names and sizes of its extras.
        first: whether it is the term that trains the classifier.
    """

    num_classes: int
    config: OptimisationConfig
    frequencies: NDArray[np.floating] | None
    sample: LossBatch
    first: bool = True

    def chosen(self, value: float | None, default: float) -> float:
        """A parameter, or what the settings say."""
        return default if value is None else value


class LossTerm(nn.Module, ABC):
    """One summand of a training loss."""

    #: Extras that it reads.
    needs: ClassVar[tuple[str, ...]] = ()
    #: Whether sizes of extras are asked for, so that the model must be tried before it is trained.
    sized: ClassVar[bool] = False

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.name = ""
        missing = [name for name in self.needs if name not in context.sample.extras]
        if missing:
            self.refuse(f"needs {' and '.join(missing)}, which this model does not give")

    @abstractmethod
    def forward(self, batch: LossBatch) -> Tensor:
        """A number."""

    @classmethod
    def refuse(cls, why: str) -> None:
        """Raise StgtError: this loss and this model do not go together."""
        from stgt.learning.losses.registry import name_of

        raise StgtError(f"the loss {name_of(cls)} {why}; leave it out of optimisation.loss, or choose another model")


def smoothed(shares: Tensor, smoothing: float) -> Tensor:
    """(B, K) shares with a part ``smoothing`` spread over all classes (Szegedy et al., CVPR 2016)."""
    return (1 - smoothing) * shares + smoothing / shares.shape[-1] if smoothing else shares


def nothing(like: Tensor) -> Tensor:
    """Zero, of what a tensor without rows gives: gradients flow, and are zero."""
    return like.sum() * 0


def class_sums(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(N, ...) rows and (N,) classes -> (K, ...) sums of the rows of each class."""
    sums = values.new_zeros(num_classes, *values.shape[1:])
    return sums.index_add(0, labels, values)


def correlations(rows: Tensor) -> Tensor:
    """(..., N, D) -> (..., N, N), Pearson's correlation of each row with each other."""
    centred = F.normalize(rows - rows.mean(dim=-1, keepdim=True), dim=-1)
    return centred @ centred.transpose(-1, -2)


def off_diagonal(size: int, like: Tensor) -> Tensor:
    """(size, size), 1 but for zeros on the diagonal."""
    return 1 - torch.eye(size, dtype=like.dtype, device=like.device)
