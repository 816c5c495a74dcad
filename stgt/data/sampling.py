"""Which windows of a clip are read: those that it is trained on, and those that speak for it.

A *uniform* window is stretched or squeezed over the whole clip: a clip of any length gives ``frames`` evenly spaced
moments of it, one from each of as many segments (Wang et al., "Temporal Segment Networks", ECCV 2016). All moments of a
window lie at the same place of their segments; were each drawn by itself, the differences between them would tell the
motion streams of the drawing. Every other window has the length that ``WindowConfig`` says.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgt.config import WindowConfig
from stgt.graphs.aligned import AlignedTrack
from stgt.graphs.windows import TIME_TOLERANCE_S, Frames, starts_between

#: Random starts that are tried for a training window before one around a frame with a face is taken.
TRIED_STARTS = 4
#: A clip played more slowly than this is a short one under a uniform window: its frames are farther from each other
#: than the window's moments.
SLOW = 0.5


class Cut(NamedTuple):
    """Where a window is cut from a track."""

    start_s: float
    """On the track's clock."""
    speed: float = 1.0
    """How many times as fast the track is played: the window spans so much more of its time."""


def sped(window: WindowConfig, speed: float) -> WindowConfig:
    """The window of the track's own time that becomes ``window`` when the track is played ``speed`` times as fast.

    The gap that it tolerates goes with the speed, unless the track is played so slowly that none would be left.
    """
    if speed == 1.0:
        return window
    gap_s = window.max_gap_s * speed if speed >= SLOW else window.max_gap_s
    return replace(window, frame_rate=window.frame_rate / speed, max_gap_s=gap_s)


def evaluation_cuts(first_s: float, last_s: float, window: WindowConfig, apex: str) -> list[Cut]:
    """The windows that speak for a clip.

    Args:
        first_s: time of the clip's first frame, on the clock of its track.
        last_s: time of its last frame.
        window: says how they are chosen.
        apex: the clip's; where it is ``last``, one window ends with the clip.
    """
    if window.testing == "uniform" and last_s > first_s:
        if apex == "last":
            return [uniform_to_the_end(first_s, last_s, window)]
        return [uniform(first_s, last_s, window, (view + 0.5) / window.views) for view in range(window.views)]
    starts = starts_between(first_s, last_s, window)
    if apex == "last":
        return [Cut(starts[-1])]
    if window.testing == "centre" and len(starts) > 1:
        room_s = starts[-1] - first_s
        return [Cut(first_s + room_s * (view + 0.5) / window.views) for view in range(window.views)]
    return [Cut(start_s) for start_s in starts]


def training_cut(track: Frames, window: WindowConfig, apex: str, speed: float, generator: np.random.Generator) -> Cut:
    """The window of a clip that is trained on this time; it holds at least one frame with a face.

    Args:
        track: of the clip, with a face in at least one frame.
        window: says how it is chosen.
        apex: as for ``evaluation_cuts``.
        speed: how fast the clip is played; a uniform window covers the clip at any speed.
        generator: of what is random about it.
    """
    first_s, end_s = float(track.times[0]), float(track.times[-1])
    if window.training == "uniform" and end_s > first_s:
        if apex == "last":
            return uniform_to_the_end(first_s, end_s, window)
        start_s, speed = uniform(first_s, end_s, window, generator.random())
        last_s = end_s - sped(window, speed).duration_s
    else:
        last_s = starts_between(first_s, end_s, sped(window, speed))[-1]
        if apex == "last" or last_s <= first_s:
            return Cut(last_s, speed)
        if window.training == "random":
            return Cut(random_start(track, first_s, last_s, sped(window, speed).duration_s, generator), speed)
        start_s = (first_s + last_s) / 2
    duration_s = sped(window, speed).duration_s
    if shows_face(track, start_s, duration_s):
        return Cut(start_s, speed)
    faces = track.times[track.valid]
    nearest_s = faces[np.abs(faces - start_s - duration_s / 2).argmin()]
    return Cut(float(np.clip(nearest_s - duration_s / 2, first_s, last_s)), speed)


def random_start(
    track: Frames, first_s: float, last_s: float, duration_s: float, generator: np.random.Generator
) -> float:
    """A random start from ``first_s`` to ``last_s`` of a window that holds a face."""
    for _ in range(TRIED_STARTS):
        start_s = generator.uniform(first_s, last_s)
        if shows_face(track, start_s, duration_s):
            return start_s
    face_s = generator.choice(track.times[track.valid])
    return float(np.clip(face_s - duration_s / 2, first_s, last_s))


def shows_face(track: Frames, start_s: float, duration_s: float) -> bool:
    """Whether there is a face in this stretch of a track."""
    first, end = np.searchsorted(track.times[track.valid], (start_s, start_s + duration_s))
    return bool(end > first)


def uniform(first_s: float, last_s: float, window: WindowConfig, place: float) -> Cut:
    """The window with one moment in each of ``window.frames`` equal segments of a clip, ``place`` (0 to 1) in each."""
    segment_s = (last_s - first_s) / window.frames
    return Cut(first_s + place * segment_s, segment_s * window.frame_rate)


def uniform_to_the_end(first_s: float, last_s: float, window: WindowConfig) -> Cut:
    """The uniform window from a clip's first frame to its last."""
    return Cut(first_s, (last_s - first_s) / window.duration_s)


def lengthened(track: AlignedTrack, until_s: float, window: WindowConfig) -> tuple[AlignedTrack, NDArray[np.int64]]:
    """A track with what ``window.short`` puts after its end, and the frame of the track that each of its frames is.

    Args:
        track: any with at least one frame.
        until_s: how far it is needed, on the clock of the track.
        window: ``hold`` repeats the last frame with a face, ``loop`` all frames.
    """
    frames, times = np.arange(len(track)), track.times
    steps = np.diff(times)
    step_s = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1 / window.frame_rate
    missing_s = until_s - times[-1]
    seen = np.flatnonzero(track.valid)
    if missing_s <= TIME_TOLERANCE_S or window.short == "mask" or not len(seen):
        return track, frames
    if window.short == "hold":
        count = int(np.ceil((missing_s - TIME_TOLERANCE_S) / step_s))
        frames = np.append(frames, np.full(count, seen[-1]))
        times = np.append(times, times[-1] + step_s * np.arange(1, count + 1))
    else:
        period_s = times[-1] - times[0] + step_s
        rounds = 1 + int(np.ceil((missing_s - TIME_TOLERANCE_S) / period_s))
        frames = np.tile(frames, rounds)
        times = (times + period_s * np.arange(rounds)[:, None]).ravel()
    return AlignedTrack(track.points[frames], track.blendshapes[frames], times, track.valid[frames]), frames
