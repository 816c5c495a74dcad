"""WAR, UAR, confusion, and how sure one may be of them.

WAR (weighted average recall) is the share of clips that are right: recall averaged over clips, the same as accuracy.
UAR (unweighted average recall) is the mean of the recalls of the classes, so that a rare class counts as much as a
common one; a class of which the truth holds no clip has no recall and is left out of the mean (the last CK+ fold has no
fear).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stgt.errors import StgtError
from stgt.evaluation.calibration import Calibration, calibration
from stgt.evaluation.predictions import PredictionTable, none_if_nan


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of one table, as shares of one (0.71, not 71).

    Attributes:
        labels: the K class names.
        war: recall over clips.
        uar: mean recall of the classes present in the truth.
        recalls: recall per class name; NaN for a class that is absent from the truth.
        confusion: (K, K) int, rows are the truth and columns the prediction.
        unread: (K,) int, clips per true class that could not be read (no face); they count as mistakes.
        clips: number of clips N.
        subjects: number of different subjects.
    """

    labels: tuple[str, ...]
    war: float
    uar: float
    recalls: dict[str, float]
    confusion: np.ndarray
    unread: np.ndarray
    clips: int
    subjects: int

    @property
    def support(self) -> np.ndarray:
        """(K,) int: clips per true class."""
        return self.confusion.sum(axis=1) + self.unread

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes of which the truth holds no clip."""
        return tuple(label for label, count in zip(self.labels, self.support, strict=True) if count == 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an undefined recall is None."""
        return {
            "war": none_if_nan(self.war),
            "uar": none_if_nan(self.uar),
            "recalls": {label: none_if_nan(recall) for label, recall in self.recalls.items()},
            "confusion": self.confusion.tolist(),
            "unread": self.unread.tolist(),
            "labels": list(self.labels),
            "clips": self.clips,
            "subjects": self.subjects,
        }


@dataclass(frozen=True)
class Interval:
    """A confidence interval, as shares of one."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Intervals:
    """Confidence intervals of WAR and UAR; None where there are too few subjects to say anything."""

    war: Interval | None
    uar: Interval | None


@dataclass(frozen=True)
class Difference:
    """How much better the first of two models is than the second on the same clips, in shares of one."""

    war: float
    uar: float
    intervals: Intervals


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over folds; ``sd`` is NaN for a single fold."""

    mean: float
    sd: float


@dataclass(frozen=True, eq=False)
class Part:
    """The clips of one dataset among several; ``strangers`` as in ``PredictionTable``."""

    scores: Scores
    intervals: Intervals
    strangers: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.scores.to_dict(), "confidence_intervals_95": intervals_dict(self.intervals)}


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything a report says in numbers about one table: pooled over folds, and fold by fold.

    Attributes:
        pooled: scores of all rows together.
        intervals: of the pooled scores.
        folds: scores of each fold.
        fold_war: mean and deviation over folds.
        fold_uar: mean and deviation over folds.
        calibration: of all rows together.
        datasets: where the clips are of several, those of each.
    """

    pooled: Scores
    intervals: Intervals
    folds: dict[int, Scores]
    fold_war: Spread
    fold_uar: Spread
    calibration: Calibration
    datasets: dict[str, Part] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""

        def spread(value: Spread) -> dict[str, float | None]:
            return {"mean": none_if_nan(value.mean), "sd": none_if_nan(value.sd)}

        return {
            "pooled": self.pooled.to_dict(),
            "confidence_intervals_95": intervals_dict(self.intervals),
            "calibration": self.calibration.to_dict(),
            "over_folds": {"war": spread(self.fold_war), "uar": spread(self.fold_uar)},
            "folds": {str(fold): scores.to_dict() for fold, scores in self.folds.items()},
            **({"datasets": {name: part.to_dict() for name, part in self.datasets.items()}} if self.datasets else {}),
        }


def intervals_dict(intervals: Intervals) -> dict[str, list[float] | None]:
    """Plain values for JSON."""
    both = {"war": intervals.war, "uar": intervals.uar}
    return {name: None if value is None else [value.low, value.high] for name, value in both.items()}


def score(table: PredictionTable) -> Scores:
    """WAR, UAR, recall per class and confusion of all rows of ``table`` together.

    >>> import numpy as np
    >>> table = PredictionTable(
    ...     labels=("happy", "sad"),
    ...     clip_ids=("a", "b", "c"),
    ...     subjects=("1", "1", "2"),
    ...     folds=np.array([0, 0, 1]),
    ...     truth=("happy", "happy", "sad"),
    ...     probabilities=np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]),
    ... )
    >>> scores = score(table)
    >>> round(scores.war, 3), round(scores.uar, 3)
    (0.667, 0.75)
    """
    import torch
    from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_recall

    classes = len(table.labels)
    if not len(table):
        nothing = np.zeros((classes, classes), dtype=np.int64)
        recalls = dict.fromkeys(table.labels, math.nan)
        return Scores(table.labels, math.nan, math.nan, recalls, nothing, nothing[0].copy(), 0, 0)
    truth = torch.from_numpy(table.truth_indices)
    # An unread clip is predicted as class K, one more than there are: wrong whatever the truth is.
    predicted = torch.from_numpy(table.predicted_indices)
    counts = multiclass_confusion_matrix(predicted, truth, num_classes=classes + 1).numpy()
    recalls = multiclass_recall(predicted, truth, num_classes=classes + 1, average="none").numpy().astype(float)
    present = counts[:classes].sum(axis=1) > 0
    recalls = np.where(present, recalls[:classes], math.nan)
    return Scores(
        labels=table.labels,
        war=float(multiclass_recall(predicted, truth, num_classes=classes + 1, average="micro")),
        uar=float(recalls[present].mean()),
        recalls={label: float(recall) for label, recall in zip(table.labels, recalls, strict=True)},
        confusion=counts[:classes, :classes].astype(np.int64),
        unread=counts[:classes, classes].astype(np.int64),
        clips=len(table),
        subjects=len(set(table.subjects)),
    )


def score_folds(table: PredictionTable) -> dict[int, Scores]:
    """The scores of every fold by itself, in the order of the fold numbers."""
    return {int(fold): score(table.fold(fold)) for fold in np.unique(table.folds)}


def score_datasets(table: PredictionTable, repeats: int = 1000, seed: int = 0) -> dict[str, Part]:
    """The scores of every dataset by itself, by name; empty if the clips are not of several."""
    parts = {}
    for name in sorted(set(table.datasets)):
        rows = table.dataset(name)
        parts[name] = Part(score(rows), bootstrap_over_subjects(rows, repeats, seed), rows.strangers)
    return parts


def spread(values: list[float]) -> Spread:
    """Mean and sample standard deviation (n - 1) of the scores of the folds.

    >>> spread([0.5, 0.7]).mean
    0.6
    """
    mean = float(np.mean(values)) if values else math.nan
    return Spread(mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)


def summarise(table: PredictionTable, repeats: int = 1000, seed: int = 0) -> Summary:
    """Scores and calibration pooled over all folds, with confidence intervals, and per fold with mean and deviation."""
    folds = score_folds(table)
    return Summary(
        pooled=score(table),
        intervals=bootstrap_over_subjects(table, repeats, seed),
        folds=folds,
        fold_war=spread([scores.war for scores in folds.values()]),
        fold_uar=spread([scores.uar for scores in folds.values()]),
        calibration=calibration(table),
        datasets=score_datasets(table, repeats, seed),
    )


def bootstrap_over_subjects(
    table: PredictionTable, repeats: int = 1000, seed: int = 0, level: float = 0.95
) -> Intervals:
    """Percentile intervals of the pooled scores by a cluster bootstrap that draws subjects, not clips.

    Clips of one person are alike, so that drawing clips would make the interval too narrow (Field & Welsh,
    "Bootstrapping clustered data", JRSS B 69(3), 2007). The models are not trained again: the interval says how the
    figure would move with other test subjects, and nothing about other seeds. A draw's UAR is over the classes in it.

    Args:
        table: the predictions; all clips of a subject go together.
        repeats: number of draws.
        seed: of the draws; the same seed gives the same interval.
        level: coverage, 0.95 for 95 %.
    """
    hits, totals = _counts_per_subject(table)
    draws = _draws(len(hits), repeats, seed)
    if draws is None:
        return Intervals(None, None)
    war, uar = _war_and_uar(draws @ hits, draws @ totals)
    return Intervals(_percentiles(war, level), _percentiles(uar, level))


def paired_difference(
    first: PredictionTable, second: PredictionTable, repeats: int = 1000, seed: int = 0, level: float = 0.95
) -> Difference:
    """``first`` minus ``second`` on the same clips, with paired intervals: both models get the same draws of subjects.

    Raises:
        StgtError: the tables do not hold the same clips with the same truth.
    """
    row = {clip: index for index, clip in enumerate(second.clip_ids)}
    if set(first.clip_ids) != set(row):
        raise StgtError("two models can only be compared on the same clips; train both by the same protocol and folds")
    second = second.select([row[clip] for clip in first.clip_ids])
    if first.truth != second.truth or first.subjects != second.subjects:
        raise StgtError("two models can only be compared on the same clips; the labels or subjects of these differ")
    scores = score(first), score(second)
    (hits, totals), (other_hits, other_totals) = _counts_per_subject(first), _counts_per_subject(second)
    draws = _draws(len(hits), repeats, seed)
    intervals = Intervals(None, None)
    if draws is not None:
        war, uar = _war_and_uar(draws @ hits, draws @ totals)
        other_war, other_uar = _war_and_uar(draws @ other_hits, draws @ other_totals)
        intervals = Intervals(_percentiles(war - other_war, level), _percentiles(uar - other_uar, level))
    return Difference(scores[0].war - scores[1].war, scores[0].uar - scores[1].uar, intervals)


def chance(table: PredictionTable) -> tuple[float, float]:
    """``(war, uar)`` of knowing nothing: the share of the commonest label, one over the number of classes present."""
    _, counts = np.unique(table.truth, return_counts=True)
    return (float(counts.max() / counts.sum()), 1.0 / len(counts)) if len(counts) else (math.nan, math.nan)


def _counts_per_subject(table: PredictionTable) -> tuple[np.ndarray, np.ndarray]:
    """Right clips and all clips per subject and true class: two (S, K) arrays, from which every score follows."""
    names, subject = np.unique(table.subjects, return_inverse=True)
    truth = table.truth_indices
    hits = np.zeros((len(names), len(table.labels)))
    totals = np.zeros_like(hits)
    np.add.at(totals, (subject, truth), 1)
    np.add.at(hits, (subject, truth), table.predicted_indices == truth)
    return hits, totals


def _draws(subjects: int, repeats: int, seed: int) -> np.ndarray | None:
    """(repeats, S): how often each subject is drawn, S draws with replacement a time; None for under two subjects."""
    if subjects < 2:
        return None
    generator = np.random.default_rng(seed)
    return generator.multinomial(subjects, np.full(subjects, 1.0 / subjects), size=repeats).astype(float)


def _war_and_uar(hits: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, K) right and all clips per class -> (R,) WAR and (R,) UAR over the classes that the draw contains."""
    present = totals > 0
    recalls = np.divide(hits, totals, out=np.zeros_like(hits), where=present)
    return hits.sum(axis=1) / totals.sum(axis=1), recalls.sum(axis=1) / present.sum(axis=1)


def _percentiles(values: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
