"""How near predicted probabilities come to the true shares of the classes, where clips have such shares.

Shares are votes of annotators, or how much of each expression a rendered blend shows. Scores by labels (WAR, UAR, ECE)
know the strongest class alone; these know all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgt.data.catalog.layouts import Clip
from stgt.evaluation.predictions import PredictionTable

#: No probability counts as less than this, or a single one could make a mean infinite.
LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class DistributionScores:
    """Means over the clips that could be read and whose shares are known.

    Kullback-Leibler, intersection and cosine as in Geng, "Label distribution learning", IEEE TKDE 28(7), 2016.

    Attributes:
        clips: how many there are.
        kullback_leibler: ``sum_k s_k log(s_k / p_k)`` in nats, of shares ``s`` and probabilities ``p``; 0 is best.
        jensen_shannon: mean Kullback-Leibler divergence of both from their mean, in nats; 0 is best, 0.693 the worst.
        intersection: ``sum_k min(s_k, p_k)``; 1 is best.
        cosine: of the angle between both; 1 is best.
        chance: Kullback-Leibler divergence of who gives the mean shares of these clips for each of them.
    """

    clips: int
    kullback_leibler: float
    jensen_shannon: float
    intersection: float
    cosine: float
    chance: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dict(vars(self))


def shares_by_clip(clips: Iterable[Clip]) -> dict[str, Mapping[str, float]]:
    """Clip id -> shares of the classes, of the clips that have some."""
    return {clip.clip_id: clip.shares for clip in clips if clip.shares}


def true_shares(table: PredictionTable, shares: Mapping[str, Mapping[str, float]]) -> NDArray[np.float64]:
    """(N, K) shares of the classes of a table's clips; NaN where they are not known, or are of other classes only.

    Args:
        table: its labels are the classes; shares of others are left out, and the rest makes one.
        shares: clip id -> class -> share.
    """
    rows = np.array(
        [[shares.get(clip_id, {}).get(label, 0.0) for label in table.labels] for clip_id in table.clip_ids], np.float64
    ).reshape(len(table), len(table.labels))
    total = rows.sum(axis=1, keepdims=True)
    return np.divide(rows, total, out=np.full_like(rows, np.nan), where=total > 0)


def distribution_scores(table: PredictionTable, shares: Mapping[str, Mapping[str, float]]) -> DistributionScores | None:
    """How near the predictions are to the true shares; None where none are known of a clip that could be read."""
    true = true_shares(table, shares)
    known = table.read & np.isfinite(true).all(axis=1)
    if not known.any():
        return None
    true, said = true[known], table.probabilities[known]
    middle = (true + said) / 2
    lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(said, axis=1)
    return DistributionScores(
        clips=int(known.sum()),
        kullback_leibler=float(divergences(true, said).mean()),
        jensen_shannon=float((divergences(true, middle) + divergences(said, middle)).mean() / 2),
        intersection=float(np.minimum(true, said).sum(axis=1).mean()),
        cosine=float(((true * said).sum(axis=1) / lengths).mean()),
        chance=float(divergences(true, true.mean(axis=0)).mean()),
    )


def divergences(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) Kullback-Leibler divergence of (N, K) or (K,) probabilities from others, in nats."""
    logs = [np.log(np.maximum(part, LEAST_PROBABILITY)) for part in (first, second)]
    return (first * (logs[0] - logs[1])).sum(axis=-1)


def share_cross_entropy(table: PredictionTable, shares: Mapping[str, Mapping[str, float]]) -> float:
    """``- sum_k s_k log p_k`` in nats, the mean over clips that could be read; where shares are unknown, of labels.

    Infinite where no clip could be read.
    """
    if not table.read.any():
        return float("inf")
    true = true_shares(table, shares)
    unknown = ~np.isfinite(true).all(axis=1)
    true[unknown] = np.eye(len(table.labels))[table.truth_indices[unknown]]
    likely = np.log(np.maximum(table.probabilities[table.read], 1e-12))
    return float(-(true[table.read] * likely).sum(axis=1).mean())
