"""The kinds of targets that ``OptimisationConfig.targets`` names, from the shares of classes that clips carry.

The first four are those of Barsoum et al., "Training deep networks for facial expression recognition with crowd-sourced
label distribution", ICMI 2016, arXiv 1608.01041, section 3.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepared import Prepared
from stgt.errors import DatasetError, StgtError
from stgt.learning.targets.neighbours import estimated_shares
from stgt.terms import Term

#: Kinds by which a model learns to give the shares that clips have.
SHARED = ("draw", "distribution")
#: Kinds that say nothing new of a clip that has one label alone.
VOTED = ("majority", "multi_label", "draw", "distribution", "class_mean")


class ClipTargets(ABC):
    """What each clip of a training is held against; a function of the clip, the epoch and the visit alone."""

    @abstractmethod
    def of(self, number: int, epoch: int, visit: int) -> NDArray[np.float32] | int:
        """(K,) shares of the classes, or the number of a class: of all clips the same."""


class FixedTargets(ClipTargets):
    """The same in every epoch.

    Args:
        shares: (N, K), a row for each clip.
    """

    def __init__(self, shares: NDArray[np.floating]) -> None:
        self.shares = np.asarray(shares, np.float32)

    def of(self, number: int, epoch: int, visit: int) -> NDArray[np.float32] | int:  # noqa: ARG002
        """See `ClipTargets`."""
        return self.shares[number]


class DrawnTargets(ClipTargets):
    """A class drawn by the shares, anew in every epoch and visit ("probabilistic label drawing").

    Args:
        shares: (N, K), a row for each clip.
        seed: of the draws.
    """

    def __init__(self, shares: NDArray[np.floating], seed: int) -> None:
        self.reached = np.cumsum(shares, axis=1)
        self.seed = seed

    def of(self, number: int, epoch: int, visit: int) -> NDArray[np.float32] | int:
        """See `ClipTargets`."""
        # A fourth number, so that the draw has nothing to do with the window that the same three choose.
        place = np.random.default_rng([self.seed, epoch, number, visit, 1]).random()
        reached = self.reached[number]
        return int(np.searchsorted(reached, place * reached[-1], side="right"))


class AnnealedTargets(ClipTargets):
    """Labels mixed with estimated shares, from one part of these to another along half a cosine.

    Args:
        labels: (N, K), what is known.
        estimated: (N, K), what similar clips are.
        start: part of the estimate in the first epoch.
        end: the same in the last one.
        epochs: of the training.
    """

    def __init__(
        self,
        labels: NDArray[np.floating],
        estimated: NDArray[np.floating],
        start: float,
        end: float,
        epochs: int,
    ) -> None:
        self.labels = np.asarray(labels, np.float32)
        self.estimated = np.asarray(estimated, np.float32)
        self.start, self.end, self.epochs = start, end, epochs

    def part(self, epoch: int) -> float:
        """How much of the target is the estimate."""
        progress = min(1.0, epoch / max(1, self.epochs - 1))
        return self.end + (self.start - self.end) * (1 + np.cos(np.pi * progress)) / 2

    def of(self, number: int, epoch: int, visit: int) -> NDArray[np.float32] | int:  # noqa: ARG002
        """See `ClipTargets`."""
        part = np.float32(self.part(epoch))
        return (1 - part) * self.labels[number] + part * self.estimated[number]


def make_targets(
    kind: Term, clips: Sequence[Clip], labels: Sequence[str], prepared: Prepared, epochs: int, seed: int
) -> ClipTargets | None:
    """The targets of a training; None: the label of each clip.

    Args:
        kind: as ``stgt.terms.parse_targets`` reads it.
        clips: what is trained on; ``majority`` is for those that `with_majority` leaves.
        labels: class names in the order of the model's outputs.
        prepared: the clips' tracks, which ``estimated`` reads.
        epochs: of the training.
        seed: of what is drawn.

    Raises:
        StgtError: a parameter that cannot be.
        DatasetError: no clip has shares, and the kind needs some.
    """
    if kind.name == "single":
        return None
    shares, parameters = shares_of(clips, labels), kind.parameters
    if kind.name in VOTED and all(clip.shares is None for clip in clips):
        raise DatasetError(
            f"optimisation.targets is {kind.name}, but no clip of the training has shares of classes; "
            "use single, or estimated"
        )
    if kind.name == "majority":
        return FixedTargets(one_hot(shares.argmax(axis=1), len(labels)))
    if kind.name == "multi_label":
        return FixedTargets(accepted(shares, _part("threshold", parameters)))
    if kind.name == "draw":
        return DrawnTargets(shares, seed)
    if kind.name == "distribution":
        return FixedTargets(shares)
    own = labels_of(clips, labels)
    if kind.name == "class_mean":
        part = _part("share", parameters)
        means = class_means(shares, own)
        return FixedTargets((1 - part) * one_hot(own, len(labels)) + part * means[own])
    neighbours = int(parameters["neighbours"])
    if neighbours < 1:
        raise StgtError(f"optimisation.targets: neighbours is {neighbours}; at least one clip says what is similar")
    estimated = estimated_shares(clips, shares, prepared, neighbours)
    return AnnealedTargets(shares, estimated, _part("start", parameters), _part("end", parameters), epochs)


def with_majority(kind: Term, clips: Sequence[Clip], labels: Sequence[str]) -> list[Clip]:
    """The clips that can be trained on: for ``majority`` those of which one class has more than the threshold.

    Raises:
        DatasetError: none of them.
    """
    if kind.name != "majority":
        return list(clips)
    threshold = _part("threshold", kind.parameters)
    agreed = shares_of(clips, labels).max(axis=1, initial=0) > threshold
    kept = [clip for clip, agreed in zip(clips, agreed, strict=True) if agreed]
    if clips and not kept:
        raise DatasetError(
            f"of the {len(clips)} training clips none has a class with a share of more than {threshold:g}; "
            "lower it with optimisation.targets majority(threshold=…), or use distribution"
        )
    return kept


def shares_of(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.float64]:
    """(N, K) the clips' shares of the classes that a model knows, 1 in all; of clips without any their label."""
    order = {label: index for index, label in enumerate(labels)}
    shares = np.zeros((len(clips), len(labels)))
    for row, clip in zip(shares, clips, strict=True):
        for label, share in (clip.shares or {}).items():
            if label in order:
                row[order[label]] = share
        if not row.sum():
            row[order[clip.label]] = 1
    return shares / shares.sum(axis=1, keepdims=True)


def labels_of(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the numbers of the clips' labels."""
    order = {label: index for index, label in enumerate(labels)}
    return np.array([order[clip.label] for clip in clips], np.int64)


def one_hot(classes: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """(N,) numbers of classes -> (N, count)."""
    return np.eye(count)[classes]


def accepted(shares: NDArray[np.floating], threshold: float) -> NDArray[np.float64]:
    """(N, K) shares -> the same part for every class with at least the threshold; none: for the strongest."""
    enough = shares >= threshold - 1e-9
    strongest = shares == shares.max(axis=1, keepdims=True)
    enough |= strongest & ~enough.any(axis=1, keepdims=True)
    return enough / enough.sum(axis=1, keepdims=True)


def class_means(shares: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """(K, K) the mean shares of the clips of each class: what it is taken for; of a class without clips itself.

    The prior of Vo et al., "Pyramid with super resolution", IEEE Access 2020, taken from the clips at hand.
    """
    means = np.eye(shares.shape[1])
    for label in np.unique(labels):
        means[label] = shares[labels == label].mean(axis=0)
    return means


def _part(name: str, parameters: dict[str, float | None]) -> float:
    value = parameters[name]
    if not 0 <= value <= 1:
        raise StgtError(f"optimisation.targets: {name} is {value:g}; it is from 0 to 1")
    return value
