"""The scrolling timeline of one face: what was said of it in the last seconds."""

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np

from .lettering import CARD, INK, LINE, MUTED, PAPER, Box, Colour, fill, write

#: Seconds of the past that are shown.
SPAN_S = 8.0

_LEAST_STEP_S = 1 / 30  # finer steps than the eye follows would only cost time
_RAMP_S = 0.4  # between predictions this near the curve runs straight; after a longer hold it starts to move late
_GAP_S = 0.5  # without any news for longer, nothing was known
_BITS = 4  # cv2 takes fixed-point coordinates; 1/16 pixel lets slow curves glide


class Timeline:
    """Probabilities of one face over the last seconds; takes the same memory for ever.

    Args:
        classes: K, the number of labels.
        span_s: seconds that are kept.
    """

    def __init__(self, classes: int, span_s: float = SPAN_S) -> None:
        self.span_s = span_s
        self._unknown = np.full(classes, np.nan)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._times: deque[float] = deque()
        self._values: deque[np.ndarray] = deque()
        self._held_s = -np.inf

    @property
    def last_s(self) -> float:
        """Time of the last news; minus infinity before the first."""
        return self._held_s

    def push(self, time_s: float, probabilities: np.ndarray) -> None:
        """What is known at a frame, (K,), NaN where nothing is. A clock that runs backwards begins anew."""
        if time_s < self._held_s:
            self.clear()
        if self._times:
            last = self._values[-1]
            if time_s - self._held_s > _GAP_S:
                self._append(self._held_s, last)
                self._append(self._held_s, self._unknown)
            elif np.array_equal(last, probabilities, equal_nan=True):
                self._held_s = time_s
                return
            elif self._held_s - self._times[-1] > _RAMP_S:
                self._append(self._held_s, last)
        self._held_s = time_s
        if len(self._times) > 1 and time_s - self._times[-2] < _LEAST_STEP_S:
            self._times.pop()
            self._values.pop()
        self._append(time_s, probabilities)
        while len(self._times) > 2 and self._times[1] < time_s - self.span_s:
            self._times.popleft()
            self._values.popleft()

    def runs(self, now_s: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """``(times (N,), probabilities (N, K))`` of the stretches in which something was known, N at least 2."""
        if not self._times:
            return []
        times = np.array([*self._times, min(now_s, self._held_s)])
        values = np.array([*self._values, self._values[-1]])
        known = np.isfinite(values).all(axis=1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(times[first:end], values[first:end]) for first, end in pairs if end - first > 1]

    def _append(self, time_s: float, values: np.ndarray) -> None:
        self._times.append(time_s)
        self._values.append(np.array(values, np.float64))


def draw_stack(
    picture: np.ndarray, box: Box, timeline: Timeline | None, now_s: float, colours: Sequence[Colour]
) -> None:
    """All probabilities on top of one another, in place: they sum to one, so that every height is filled.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB.
        box: where.
        timeline: of one face; none: the ground alone.
        now_s: the right edge.
        colours: one per label.
    """
    region = picture[box[1] : box[3], box[0] : box[2]]
    fill(region, PAPER)
    height = region.shape[0]
    for times, values in timeline.runs(now_s) if timeline is not None else ():
        x = _columns(times, now_s, timeline.span_s, region.shape[1])
        tops = height * (1 - np.cumsum(values, axis=1))
        tops[:, -1] = 0.0
        for index in range(values.shape[1] - 1, -1, -1):  # the tallest first: each covers the lower part of the last
            _fill(region, x, tops[:, index], height, colours[index % len(colours)])
    _tick_marks(region, now_s, SPAN_S if timeline is None else timeline.span_s)


def draw_rows(
    picture: np.ndarray,
    box: Box,
    timeline: Timeline | None,
    now_s: float,
    labels: Sequence[str],
    colours: Sequence[Colour],
    probabilities: np.ndarray,
    leader: int | None,
    size: int,
) -> None:
    """A row per label, in place: its name, its value, and its curve under them.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB.
        box: where.
        timeline: of one face; none: nothing is known yet.
        now_s: the right edge.
        labels: K names.
        colours: one per label.
        probabilities: (K,) of now; NaN if unknown.
        leader: the label that is said now, drawn in full colour.
        size: of the letters in pixels.
    """
    left, top, right, bottom = box
    row = (bottom - top) / len(labels)
    runs = timeline.runs(now_s) if timeline is not None else []
    for index, label in enumerate(labels):
        base = round(top + (index + 1) * row)
        tall = max(4, round(row - 1.55 * size))
        colour = colours[index % len(colours)]
        leads = index == leader
        region = picture[base - tall : base, left:right]
        for times, values in runs:
            x = _columns(times, now_s, timeline.span_s, right - left)
            tops = tall * (1 - values[:, index])
            _fill(region, x, tops, tall, colour if leads else _mixed(colour, CARD, 0.5))
            _line(region, x, tops, _mixed(colour, INK, 0.75 if leads else 1.0))
        cv2.line(picture, (left, base), (right - 1, base), LINE)
        words = INK if leads else MUTED
        write(picture, (left, base - tall - round(0.3 * size)), label, size, words, bold=leads)
        if np.isfinite(probabilities[index]):
            share = f"{100 * probabilities[index]:.0f}"
            write(picture, (right, base - tall - round(0.3 * size)), share, size, words, "right", bold=leads)


def _columns(times: np.ndarray, now_s: float, span_s: float, width: int) -> np.ndarray:
    return width * (1 - (now_s - times) / span_s)


def _fill(region: np.ndarray, x: np.ndarray, tops: np.ndarray, base: float, colour: Colour) -> None:
    outline = np.column_stack([np.concatenate([x, x[::-1]]), np.concatenate([tops, np.full(len(x), base + 1.0)])])
    cv2.fillPoly(region, [_fixed(outline)], colour, cv2.LINE_AA, _BITS)


def _line(region: np.ndarray, x: np.ndarray, tops: np.ndarray, colour: Colour) -> None:
    cv2.polylines(region, [_fixed(np.column_stack([x, tops]))], False, colour, 1, cv2.LINE_AA, _BITS)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 2**_BITS).astype(np.int32)


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    return tuple(round(share * a + (1 - share) * b) for a, b in zip(colour, other, strict=True))


def _tick_marks(region: np.ndarray, now_s: float, span_s: float) -> None:
    """Short marks at the foot at every second of the clock: they show that time runs."""
    tall = max(2, region.shape[0] // 14)
    for second in range(int(np.ceil(now_s - span_s)), int(now_s) + 1):
        column = round(region.shape[1] * (1 - (now_s - second) / span_s))
        if 0 <= column < region.shape[1]:
            region[-tall:, column] = region[-tall:, column] // 2 + 110
