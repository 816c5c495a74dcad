"""From what a reader says about windows to figures: counts, shares of time, episodes, recalls.

Only numbers are handled here; nothing is read or drawn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from real_faces.observations import UNSURE, Span
from stgt.evaluation.metrics import bootstrap_over_subjects, score
from stgt.evaluation.pooling import peak_class, pool_clips
from stgt.evaluation.predictions import NO_LABEL, UNCERTAIN, PredictionTable
from stgt.inference import top_label

NEUTRAL = "neutral"
#: What is no claim of an expression: an episode ends where one of these begins.
CALM = (NEUTRAL, NO_LABEL, UNCERTAIN)
TOLERANCE_S = 1e-6
#: With fewer people an interval over people would say nothing.
LEAST_PEOPLE = 10


@dataclass(frozen=True, eq=False)
class Windows:
    """What one reader says about the N windows of one stream.

    Attributes:
        labels: the K label names.
        starts: (N,) s, rising.
        ends: (N,) s.
        probabilities: (N, K); NaN rows without a face.
        shares: (N,) share of a window's frames that hold a face.
    """

    labels: tuple[str, ...]
    starts: np.ndarray
    ends: np.ndarray
    probabilities: np.ndarray
    shares: np.ndarray

    @property
    def middles(self) -> np.ndarray:
        """(N,) s."""
        return (self.starts + self.ends) / 2

    @property
    def edges(self) -> np.ndarray:
        """(N + 1,) s: a window speaks from halfway to the one before to halfway to the next; no gap between them."""
        middles = self.middles
        return np.concatenate([self.starts[:1], (middles[1:] + middles[:-1]) / 2, self.ends[-1:]])

    def called(self, minimum: float = 0.0) -> list[str]:
        """N labels: the most probable one, "uncertain" below ``minimum``, "none" without a face."""
        return [self.name(row, minimum) for row in self.probabilities]

    def name(self, probabilities: np.ndarray, minimum: float = 0.0) -> str:
        """The label of one row of probabilities."""
        return top_label(self.labels, probabilities, minimum)

    def mean(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """(K,) mean of the chosen windows, weighted by their shares of frames with a face; NaN if there is no face."""
        weights = self.shares * np.isfinite(self.probabilities).all(axis=1)
        weights = weights if chosen is None else weights * chosen
        if weights.sum() <= 0:
            return np.full(len(self.labels), np.nan)
        return (weights[:, None] * np.nan_to_num(self.probabilities)).sum(axis=0) / weights.sum()

    def peak(self) -> np.ndarray:
        """(K,) of all windows as one clip: what they show at their peak; NaN if there is no face."""
        seen = np.isfinite(self.probabilities).all(axis=1)
        clip = np.zeros(len(seen), np.int64)
        return pool_clips(self.probabilities, self.shares * seen, clip, 1, peak_class("peak", self.labels))[0]

    def inside(self, start_s: float, end_s: float) -> np.ndarray:
        """(N,) bool: the windows wholly between two times; if none is that short, the one that overlaps most."""
        chosen = (self.starts >= start_s - TOLERANCE_S) & (self.ends <= end_s + TOLERANCE_S)
        if not chosen.any():
            overlap = np.minimum(self.ends, end_s) - np.maximum(self.starts, start_s)
            chosen = np.arange(len(overlap)) == overlap.argmax()
        return chosen


@dataclass(frozen=True)
class Episode:
    """A maximal run of neighbouring windows with one label that claims an expression."""

    label: str
    start_s: float
    end_s: float


def average_frames(
    frames: np.ndarray, times: np.ndarray, labels: Sequence[str], starts: np.ndarray, ends: np.ndarray
) -> Windows:
    """The windows of a reader of single frames: the mean over the frames in each that hold a face.

    Args:
        frames: (T, K) probabilities; NaN rows without a face.
        times: (T,) s.
        labels: the K label names.
        starts: (N,) s.
        ends: (N,) s.
    """
    valid = np.isfinite(frames).all(axis=1)
    rows, shares = [], []
    for start, end in zip(starts, ends, strict=True):
        inside = (times >= start - TOLERANCE_S) & (times <= end + TOLERANCE_S)
        seen = inside & valid
        rows.append(frames[seen].mean(axis=0) if seen.any() else np.full(frames.shape[1], np.nan))
        shares.append(seen.sum() / max(1, inside.sum()))
    return Windows(tuple(labels), starts, ends, np.array(rows), np.array(shares))


def runs(called: Sequence[str], edges: np.ndarray) -> list[Episode]:
    """Neighbouring windows of one label together, calm ones too."""
    breaks = [index for index in range(1, len(called)) if called[index] != called[index - 1]]
    return [
        Episode(called[first], float(edges[first]), float(edges[last]))
        for first, last in zip([0, *breaks], [*breaks, len(called)], strict=True)
    ]


def episodes(called: Sequence[str], edges: np.ndarray) -> list[Episode]:
    """The runs that claim an expression."""
    return [run for run in runs(called, edges) if run.label not in CALM]


def false_episodes(found: Iterable[Episode], seen: Sequence[Span]) -> list[Episode]:
    """The episodes less than half of whose time lies where their expression was seen, or an unsure one."""
    return [
        episode
        for episode in found
        if overlap_s(episode.start_s, episode.end_s, [span for span in seen if span.label in (episode.label, UNSURE)])
        < (episode.end_s - episode.start_s) / 2
    ]


def per_minute(count: int, duration_s: float) -> float:
    """How often something happens in a minute."""
    return 60 * count / duration_s if duration_s > 0 else float("nan")


def overlap_s(start_s: float, end_s: float, spans: Iterable[Span]) -> float:
    """Seconds of ``start_s`` to ``end_s`` that lie in the spans, which do not overlap each other."""
    return sum(max(0.0, min(end_s, span.end_s) - max(start_s, span.start_s)) for span in spans)


def time_shares(called: Sequence[str], edges: np.ndarray, within: Sequence[Span] | None = None) -> dict[str, float]:
    """Label -> its share of the time, or of the time within some spans; the largest first, empty without any time."""
    spans = [Span(float(edges[0]), float(edges[-1]), "")] if within is None else within
    seconds: dict[str, float] = {}
    for label, start, end in zip(called, edges[:-1], edges[1:], strict=True):
        seconds[label] = seconds.get(label, 0.0) + overlap_s(float(start), float(end), spans)
    total = sum(seconds.values())
    shares = {label: value / total for label, value in seconds.items() if value > 0}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def truth_at(seen: Sequence[Span], time_s: float) -> str | None:
    """What was seen at a time; none where that is unsure or nothing was noted."""
    label = next((span.label for span in seen if span.start_s <= time_s < span.end_s), None)
    return None if label == UNSURE else label


@dataclass(frozen=True, eq=False)
class Row:
    """One scored item: its name, whom it shows, the truth, and (K,) probabilities."""

    name: str
    person: str
    truth: str
    probabilities: np.ndarray


def recall_table(rows: Sequence[Row], labels: tuple[str, ...]) -> dict[str, Any]:
    """UAR over the classes present with its 95 % interval over people, recall per class, and who was taken for what.

    Returns:
        ``uar``; ``interval``, a (low, high), none for fewer than ``LEAST_PEOPLE``; ``recalls``, ``support`` and
        ``confusion`` (truth -> label called -> count) of the classes present; ``truth_probability``,
        the mean probability of the right label per class; ``wrong`` (item -> label called); ``items``; ``people``.

    Raises:
        StgtError: a truth that the reader has no label for.
    """
    table = PredictionTable(
        labels=tuple(labels),
        clip_ids=tuple(row.name for row in rows),
        subjects=tuple(row.person for row in rows),
        folds=np.zeros(len(rows), np.int64),
        truth=tuple(row.truth for row in rows),
        probabilities=np.array([row.probabilities for row in rows]),
    )
    scores = score(table)
    people = len(set(table.subjects))
    interval = bootstrap_over_subjects(table).uar if people >= LEAST_PEOPLE else None
    confusion: dict[str, dict[str, int]] = {}
    for truth, predicted in zip(table.truth, table.predicted, strict=True):
        counts = confusion.setdefault(truth, {})
        counts[predicted] = counts.get(predicted, 0) + 1
    return {
        "uar": scores.uar,
        "interval": None if interval is None else (interval.low, interval.high),
        "recalls": {label: recall for label, recall in scores.recalls.items() if np.isfinite(recall)},
        "support": {truth: sum(counts.values()) for truth, counts in confusion.items()},
        "confusion": {
            truth: dict(sorted(counts.items(), key=lambda item: -item[1])) for truth, counts in confusion.items()
        },
        "truth_probability": {
            label: float(np.nanmean([row.probabilities[labels.index(label)] for row in rows if row.truth == label]))
            for label in labels
            if label in confusion
        },
        "wrong": {
            row.name: predicted for row, predicted in zip(rows, table.predicted, strict=True) if predicted != row.truth
        },
        "items": len(rows),
        "people": people,
    }
