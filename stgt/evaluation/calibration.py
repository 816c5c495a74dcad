"""Whether probabilities mean what they say, and the temperature that makes them do so.

A model is calibrated if, of all clips that it names with a probability of 0.8, four in five are right. Dividing the
logits by one number, the temperature, repairs most of what training leaves askew, and changes no decision about a
window (Guo et al., "On calibration of modern neural networks", ICML 2017).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stgt.evaluation.predictions import PredictionTable, none_if_nan

#: Equal-width bins of the confidence, as in Guo et al.
BINS = 15
#: Between these the temperature is searched.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
#: The coverage whose accuracy is reported.
COVERAGE = 0.8


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the confidence of a table's predictions relates to their being right; shares of one throughout.

    Clips in which no face was found have no confidence: they are in no bin, but they count as mistakes at full
    coverage, and are the first to be abstained from.

    Attributes:
        ece: expected calibration error; NaN if no clip could be read.
        loss: mean negative log-likelihood of the clips that could be read, in nats; infinite if none could be.
        counts: (BINS,) int, clips in each bin of the confidence.
        confidences: (BINS,) mean confidence in each bin; NaN in an empty one.
        accuracies: (BINS,) share of right clips in each bin; NaN in an empty one.
        coverages: (N,) rising shares of the clips that are answered, the most confident first; the last is 1.
        selective: (N,) accuracy over the clips answered at each coverage; the last is WAR.
    """

    ece: float
    loss: float
    counts: np.ndarray
    confidences: np.ndarray
    accuracies: np.ndarray
    coverages: np.ndarray
    selective: np.ndarray

    @property
    def area(self) -> float:
        """Area under the accuracy over the coverage: the mean accuracy over all coverages; NaN without a clip."""
        return float(self.selective.mean()) if len(self.selective) else float("nan")

    def accuracy_at(self, coverage: float = COVERAGE) -> float:
        """Accuracy when at least this share of the clips is answered, the least confident left out."""
        reached = np.flatnonzero(self.coverages >= coverage - 1e-9)
        return float(self.selective[reached[0]]) if len(reached) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is undefined is None."""
        return {
            "ece": none_if_nan(self.ece),
            "negative_log_likelihood": none_if_nan(self.loss),
            "accuracy_at_80_percent_coverage": none_if_nan(self.accuracy_at(0.8)),
            "area_under_accuracy_over_coverage": none_if_nan(self.area),
            "bins": [
                {
                    "from": index / BINS,
                    "to": (index + 1) / BINS,
                    "clips": int(count),
                    "confidence": none_if_nan(confidence),
                    "accuracy": none_if_nan(accuracy),
                }
                for index, (count, confidence, accuracy) in enumerate(
                    zip(self.counts, self.confidences, self.accuracies, strict=True)
                )
            ],
        }


def calibration(table: PredictionTable) -> Calibration:
    """Expected calibration error, its bins, and the accuracy over the coverage.

    The expected calibration error is the distance of confidence from accuracy, averaged over bins of equal width by
    their shares of the clips (Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI
    2015; on the top label as in Guo et al., 2017). The coverage curve is that of selective classification (Geifman &
    El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017).

    >>> table = PredictionTable(
    ...     labels=("happy", "sad"),
    ...     clip_ids=("a", "b"),
    ...     subjects=("1", "2"),
    ...     folds=np.zeros(2),
    ...     truth=("happy", "happy"),
    ...     probabilities=np.array([[0.9, 0.1], [0.4, 0.6]]),
    ... )
    >>> found = calibration(table)
    >>> round(found.ece, 3), found.selective.tolist()
    (0.35, [1.0, 0.5])
    """
    read = table.read
    right = table.predicted_indices == table.truth_indices if len(table) else np.zeros(0, bool)
    confidence, hit = table.confidence[read], right[read].astype(np.float64)
    # A bin holds its upper edge, so that a confidence of 1 is in the last one.
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = np.maximum(counts, 1)
    confidences = np.bincount(bins, confidence, BINS) / filled
    accuracies = np.bincount(bins, hit, BINS) / filled
    ece = float((counts * np.abs(confidences - accuracies)).sum() / counts.sum()) if counts.sum() else float("nan")
    order = np.argsort(-np.where(read, table.confidence, -1.0), kind="stable")
    answered = np.arange(1, len(table) + 1)
    return Calibration(
        ece=ece,
        loss=negative_log_likelihood(table),
        counts=counts,
        confidences=np.where(counts, confidences, np.nan),
        accuracies=np.where(counts, accuracies, np.nan),
        coverages=answered / max(len(table), 1),
        selective=np.cumsum(right[order]) / answered,
    )


def negative_log_likelihood(table: PredictionTable) -> float:
    """Mean negative log-likelihood of the clips that could be read, in nats; infinite where none could be."""
    readable = table.read
    if not readable.any():
        return float("inf")
    likelihood = table.probabilities[readable, table.truth_indices[readable]]
    return float(-np.log(np.clip(likelihood, 1e-12, None)).mean())


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(N, K) probabilities as they would be if the logits behind them had been divided by ``temperature``.

    A softmax forgets a constant in its logits only, so that the logarithms of the probabilities serve as well. Rows of
    NaN stay so.
    """
    logits = np.log(np.clip(probabilities, 1e-30, None)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(table: PredictionTable) -> float:
    """The temperature that makes held-out predictions most likely; 1 if none of them could be read.

    Args:
        table: predictions at temperature 1 of subjects that the model was not fitted on, one window each.
    """
    return search_temperature(
        lambda temperature: replace(table, probabilities=temper(table.probabilities, temperature))
    )


def search_temperature(
    predict: Callable[[float], PredictionTable],
    loss: Callable[[PredictionTable], float] | None = None,
) -> float:
    """The temperature at which held-out predictions are most likely.

    Its logarithm has a standard normal prior, which weighs as much as a clip or so: a handful of clips that are all
    right would otherwise make the model sure of everything.

    Args:
        predict: gives the table of the held-out clips at a temperature, which is how clips of several windows come
            in: each window is tempered, then they are pooled.
        loss: what is least at the temperature, in nats; none: the negative log-likelihood of the labels.
    """
    from scipy.optimize import minimize_scalar

    loss = loss or negative_log_likelihood
    clips = int(predict(1.0).read.sum())
    if not clips:
        return 1.0
    found = minimize_scalar(
        lambda logarithm: loss(predict(float(np.exp(logarithm)))) + logarithm**2 / (2 * clips),
        bounds=(np.log(LEAST_TEMPERATURE), np.log(MOST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))
