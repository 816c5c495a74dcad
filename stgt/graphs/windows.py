"""Windows: a fixed number of frames at the model's own rate, cut from a track by time.

Cameras and datasets differ in frame rate, and drop frames; a model must not notice. Everything here is a function of
the frames inside the window alone, so a clip, a longer video and a camera's ring buffer give the same window.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stgt.config import WindowConfig

#: Times closer than this (s) are the same: timestamps are sums of float steps.
TIME_TOLERANCE_S = 1e-6


class Frames(Protocol):
    """What windows are cut from: an ``AlignedTrack``, or a ``LandmarkTrack``."""

    points: NDArray[np.floating]
    blendshapes: NDArray[np.floating]
    times: NDArray[np.floating]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Window:
    """T frames at the model's frame rate.

    Attributes:
        points: (T, V, 3) float32, in the units of the track; zeros where invalid.
        actions: (T, 52) float32 blendshapes; zeros where invalid.
        valid: (T,) whether a tracked frame is near enough.
        times: (T,) float64 s on the clock of the track, evenly spaced.
        frame_index: (T,) the frame of the track nearest in time (for pixels); where valid, that frame holds a face.
    """

    points: NDArray[np.float32]
    actions: NDArray[np.float32]
    valid: NDArray[np.bool_]
    times: NDArray[np.float64]
    frame_index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def start_s(self) -> float:
        """Time of the first frame."""
        return float(self.times[0])

    @property
    def end_s(self) -> float:
        """Time of the last frame."""
        return float(self.times[-1])

    @property
    def valid_share(self) -> float:
        """Share of the frames that hold a face."""
        return float(self.valid.mean())


def cut_window(track: Frames, start_s: float, config: WindowConfig) -> Window:
    """The window of a track that starts at ``start_s``; frames beyond the track are invalid. See ``sample_window``."""
    return sample_window(track.points, track.blendshapes, track.times, track.valid, start_s, config)


def sample_window(
    points: NDArray[np.floating],
    actions: NDArray[np.floating],
    times: NDArray[np.floating],
    valid: NDArray[np.bool_],
    start_s: float,
    config: WindowConfig,
) -> Window:
    """Sample frames at ``start_s + k / frame_rate`` by linear interpolation between the neighbouring valid frames.

    Only frames whose time lies within the window count, whatever else the arrays hold. A sampled time outside the
    first and the last of them takes the nearest one. A sampled time is invalid if the nearest valid frame is farther
    than ``config.max_gap_s``.

    Args:
        points: (N, V, 3).
        actions: (N, 52) blendshapes.
        times: (N,) s, ascending; equal neighbours are allowed (the last of them counts).
        valid: (N,).
        start_s: time of the first frame of the window.
        config: frames, rate and the tolerated gap.
    """
    grid = start_s + np.arange(config.frames) / config.frame_rate
    first, last = np.searchsorted(times, (grid[0] - TIME_TOLERANCE_S, grid[-1] + TIME_TOLERANCE_S))
    inside = np.arange(first, last)
    # Of frames with the same timestamp the last one counts: interpolation needs strictly ascending times.
    known = inside[np.asarray(valid[first:last], bool)]
    known = known[np.append(np.diff(times[known]) > TIME_TOLERANCE_S, True)] if len(known) else known
    if not len(known):
        frame_index = _nearest(times, inside, grid) if len(inside) else np.zeros(config.frames, np.int64)
        empty = (np.zeros((config.frames, *array.shape[1:]), np.float32) for array in (points, actions))
        return Window(*empty, np.zeros(config.frames, bool), grid, frame_index)

    nearest = _nearest(times, known, grid)
    near = np.abs(times[nearest] - grid) <= config.max_gap_s + TIME_TOLERANCE_S
    after = np.searchsorted(times[known], grid).clip(1, max(len(known) - 1, 1))
    left, right = known[after - 1], known[np.minimum(after, len(known) - 1)]
    span = times[right] - times[left]
    share = np.divide(grid - times[left], span, out=np.zeros_like(grid), where=span > 0).clip(0, 1)

    def between(array: NDArray[np.floating]) -> NDArray[np.float32]:
        wide = (-1, *[1] * (array.ndim - 1))
        sampled = array[left] + share.reshape(wide).astype(np.float32) * (array[right] - array[left])
        return np.where(near.reshape(wide), sampled, 0).astype(np.float32)

    return Window(between(points), between(actions), near, grid, nearest)


def _nearest(
    times: NDArray[np.floating], candidates: NDArray[np.int64], grid: NDArray[np.float64]
) -> NDArray[np.int64]:
    """For each time of the grid the candidate frame (ascending in time) that is nearest; the later one of two."""
    known = times[candidates]
    after = np.searchsorted(known, grid).clip(0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    return candidates[np.where(grid - known[before] < known[after] - grid, before, after)]


def window_starts(track: Frames, config: WindowConfig) -> list[float]:
    """Start times of the windows that cover a track: every ``hop_s``, and a last one that ends with the track.

    A track shorter than a window gives exactly one, which starts with the track: its last frames are invalid.
    """
    return starts_between(track.times[0], track.times[-1], config) if len(track.times) else [0.0]


def starts_between(first_s: float, last_s: float, config: WindowConfig) -> list[float]:
    """``window_starts`` of a track of which only the times of its first and last frame are known."""
    begin, last = float(first_s), float(last_s) - config.duration_s
    if last <= begin + TIME_TOLERANCE_S:
        return [begin]
    hops = int(np.floor((last - begin + TIME_TOLERANCE_S) / config.hop_s))
    starts = [begin + hop * config.hop_s for hop in range(hops + 1)]
    if last - starts[-1] > TIME_TOLERANCE_S:
        starts.append(last)
    return starts
