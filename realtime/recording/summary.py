"""What a session has shown, in figures and in one picture; all of it from the records of its predictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..frames import FaceState
from .records import values_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a face may be said to show besides the labels, in this order.
OTHER_STATES = (FaceState.UNCERTAIN.value, FaceState.WARMING_UP.value)

_HOLD = 2.5  # a prediction counts until the next one, but no longer than so many of the usual intervals
_SHOWN_FACES = 6
_SHOWN_POINTS = 1500  # per timeline: more than there are pixels


@dataclass
class FaceStory:
    """The predictions of one face over a session.

    Attributes:
        times: (N,) s of the predictions.
        probabilities: (N, K) smoothed; NaN where none are known.
        said: the label or the state at each.
    """

    times: list[float] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def held_s(self, until_s: float) -> np.ndarray:
        """(N,) seconds for which each prediction held, the last one until the session ended."""
        steps = np.diff(np.array(self.times))
        usual = float(np.median(steps)) if len(steps) else until_s - self.times[0]
        held = np.minimum(np.append(steps, until_s - self.times[-1]), _HOLD * usual)
        held[np.array(self.said) == FaceState.NO_FACE.value] = 0.0
        return held

    def seconds(self, labels: Sequence[str], until_s: float) -> dict[str, float]:
        """Seconds in which each label and each state was said; those that never were have 0."""
        held, said = self.held_s(until_s), np.array(self.said)
        return {name: round(float(held[said == name].sum()), 3) for name in (*labels, *OTHER_STATES)}


def read_stories(records: Iterable[Mapping[str, Any]]) -> dict[int, FaceStory]:
    """Records -> the story of each face, by its number."""
    stories: dict[int, FaceStory] = {}
    for record in records:
        story = stories.setdefault(record["face"], FaceStory())
        story.times.append(record["time_s"])
        story.probabilities.append(values_of(record["probabilities"]))
        story.said.append(record["label"] or record["state"])
    return dict(sorted(stories.items()))


def describe_faces(stories: Mapping[int, FaceStory], labels: Sequence[str], until_s: float) -> dict[str, Any]:
    """The faces of a session as values for JSON."""
    described = {}
    for number, story in stories.items():
        values = np.array(story.probabilities)
        known = values[np.isfinite(values).all(axis=1)]
        mean = known.mean(axis=0) if len(known) else [None] * len(labels)
        changes = sum(a != b for a, b in zip(story.said[1:], story.said[:-1], strict=True))
        described[str(number)] = {
            "first_s": round(story.times[0], 3),
            "last_s": round(story.times[-1], 3),
            "predictions": sum(said != FaceState.NO_FACE.value for said in story.said),
            "seconds": story.seconds(labels, until_s),
            "mean_probabilities": {
                label: None if p is None else round(float(p), 4) for label, p in zip(labels, mean, strict=True)
            },
            "changes": changes,
        }
    return described


def summary_figure(stories: Mapping[int, FaceStory], labels: Sequence[str], duration_s: float, title: str) -> "Figure":
    """A row per face: its probabilities over time, on top of one another, and the seconds of each expression."""
    from matplotlib.figure import Figure

    from stgt.evaluation import plots

    by_time = sorted(stories, key=lambda number: -stories[number].held_s(duration_s).sum())
    shown = sorted(by_time[:_SHOWN_FACES])
    with plots.style():
        figure = Figure(figsize=(9.6, 1.1 + 1.75 * max(1, len(shown))), layout="constrained")
        left_out = len(stories) - len(shown)
        note = f"  ({left_out} more faces, seen for less time, are left out)" if left_out else ""
        figure.suptitle(title + note, x=0.01, ha="left", fontsize=10.5)
        rows = figure.subplots(max(1, len(shown)), 2, squeeze=False, width_ratios=(3, 1))
        for index, (timeline, bars) in enumerate(rows):
            if not shown:
                timeline.text(0.5, 0.5, "nobody was seen", ha="center", va="center", transform=timeline.transAxes)
                bars.axis("off")
                _frame_timeline(timeline, duration_s, "")
                continue
            story = stories[shown[index]]
            _stack(timeline, story, labels, duration_s)
            _frame_timeline(timeline, duration_s, f"face {shown[index]}")
            _bars(bars, story, labels, duration_s)
            if index < len(shown) - 1:
                timeline.tick_params(labelbottom=False)
                timeline.set_xlabel("")
    return figure


def _stack(axes: Any, story: FaceStory, labels: Sequence[str], duration_s: float) -> None:
    from stgt.evaluation.plots import FAINT, PALETTE

    kept = _thinned(np.array(story.times), duration_s)
    times, values = np.array(story.times)[kept], np.array(story.probabilities)[kept]
    usual = float(np.median(np.diff(story.times))) if len(story.times) > 1 else 0.2
    # A gap in the predictions is a gap in the picture, not a straight line across it.
    lost = np.array(story.said)[kept] == FaceState.NO_FACE.value
    gaps = np.flatnonzero((np.diff(times) > max(_HOLD * usual, 2 * duration_s / _SHOWN_POINTS)) | lost[:-1] | lost[1:])
    for first, end in zip([0, *(gaps + 1)], [*(gaps + 1), len(times)], strict=True):
        if lost[first]:
            continue
        part, edges = values[first:end], times[first:end]
        edges = np.append(edges, min(edges[-1] + usual, times[end] if end < len(times) else np.inf))
        below = np.zeros(len(part))
        unknown = ~np.isfinite(part).all(axis=1)
        axes.stairs(unknown.astype(float), edges, fill=True, color=FAINT, alpha=0.5, linewidth=0)
        for index in range(len(labels)):
            above = below + np.nan_to_num(part[:, index])
            axes.stairs(above, edges, baseline=below, fill=True, color=PALETTE[index % len(PALETTE)], linewidth=0)
            below = above


def _frame_timeline(axes: Any, duration_s: float, name: str) -> None:
    axes.set_xlim(0, max(duration_s, 1e-3))
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_xlabel("seconds")
    axes.set_title(name, fontsize=9.5)
    axes.spines[:].set_visible(False)


def _bars(axes: Any, story: FaceStory, labels: Sequence[str], duration_s: float) -> None:
    from stgt.evaluation.plots import INK, MUTED, PALETTE

    seconds = story.seconds(labels, duration_s)
    shown = [name for name in seconds if name in labels or seconds[name] > 0]
    colours = [PALETTE[labels.index(name) % len(PALETTE)] if name in labels else MUTED for name in shown]
    places = range(len(shown))
    axes.barh(places, [seconds[name] for name in shown], color=colours, height=0.72)
    axes.set_yticks(places, shown, fontsize=7.5, color=INK)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    most = max(max(seconds.values()), 1e-6)
    axes.set_xlim(0, 1.3 * most)
    for place, name in zip(places, shown, strict=True):
        if seconds[name] > 0:
            axes.text(seconds[name] + 0.03 * most, place, f"{seconds[name]:.1f} s", va="center", fontsize=7.5)


def _thinned(times: np.ndarray, duration_s: float) -> np.ndarray:
    """(N,) which points to show, no more than can be told apart: the first of every small stretch of time."""
    if len(times) <= _SHOWN_POINTS:
        return np.ones(len(times), bool)
    stretch = np.floor(times / max(duration_s, 1e-9) * _SHOWN_POINTS)
    return np.append(True, np.diff(stretch) > 0)
