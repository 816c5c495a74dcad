"""How the methods of a comparison stand on a dataset: ranked, and each held against the best."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stgt.comparison.probes import Cost
from stgt.evaluation.distributions import DistributionScores
from stgt.evaluation.metrics import Difference, Summary, chance, paired_difference, summarise
from stgt.evaluation.predictions import PredictionTable

#: Draws of subjects for the differences: with several comparisons the far tails count.
REPEATS = 5000
#: Together, not each: chance that any of the differences that are marked is none.
ERROR = 0.05


@dataclass(frozen=True)
class Result:
    """A method on a dataset.

    Attributes:
        method: its name.
        title: a few words on it; may be empty.
        sentence: the protocol.
        table: what it said of every test clip.
        cost: of a window.
        seconds: that all its trainings took.
        quickened: what the quick setting changed: setting -> value otherwise, value.
        shares: how near its probabilities are to true shares of the classes; None where these are not known.
    """

    method: str
    title: str
    sentence: str
    table: PredictionTable
    cost: Cost
    seconds: float
    quickened: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    shares: DistributionScores | None = None

    @cached_property
    def summary(self) -> Summary:
        """Scores with intervals over subjects."""
        return summarise(self.table)


@dataclass(frozen=True)
class Behind:
    """How far a method is behind the best.

    Attributes:
        difference: the best minus this one, with paired 95 % intervals over subjects.
        clear: whether the interval of UAR is above 0 even at a level that allows for the number of comparisons
            (Bonferroni).
    """

    difference: Difference
    clear: bool


@dataclass(frozen=True)
class Standings:
    """The methods on one dataset.

    Attributes:
        dataset: its name.
        title: its full name.
        results: those that have a score.
        failures: method -> why it has none.
        pending: those that are not fitted yet.
    """

    dataset: str
    title: str
    results: tuple[Result, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[str, ...] = ()

    @cached_property
    def ranked(self) -> tuple[Result, ...]:
        """By UAR, the best first; of equals the cheaper one."""
        return tuple(
            sorted(self.results, key=lambda result: (-result.summary.pooled.uar, result.cost.seconds, result.method))
        )

    @cached_property
    def behind(self) -> dict[str, Behind]:
        """Every method but the best -> how far it is behind."""
        best, *others = self.ranked
        return {result.method: compare(best.table, result.table, len(others)) for result in others}

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that were tested."""
        pooled = self.ranked[0].summary.pooled
        return tuple(label for label in pooled.labels if label not in pooled.absent)

    @property
    def sentences(self) -> dict[str, list[str]]:
        """Every protocol that was followed -> the methods that did; one, unless some start from trained weights."""
        found: dict[str, list[str]] = {}
        for result in self.results:
            found.setdefault(result.sentence, []).append(result.method)
        return found

    @property
    def chance(self) -> tuple[float, float]:
        """WAR and UAR of knowing nothing."""
        return chance(self.ranked[0].table)


def compare(best: PredictionTable, other: PredictionTable, comparisons: int) -> Behind:
    """How far ``other`` is behind, as one of so many comparisons with the best."""
    difference = paired_difference(best, other)
    strict = paired_difference(best, other, repeats=REPEATS, level=1 - ERROR / comparisons).intervals.uar
    return Behind(difference, strict is not None and strict.low > 0)
