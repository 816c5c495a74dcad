"""How a face moves in time: onset, apex and offset of an expression, blinks, gaze, idle movements, and the head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stgt.synthetic.anny_data import ACTIONS

#: Seconds from the start of a movement to its apex, least and most (onsets of posed and spontaneous expressions alike).
ONSET_S = (0.25, 0.8)
OFFSET_S = (0.3, 0.9)
#: Share of expressive clips that return to neutral.
RETURNING = 0.4
BLINKS_PER_S = 0.35  # adults blink about 20 times a minute
BLINK_S = (0.16, 0.32)


@dataclass(frozen=True)
class ActionCurve:
    """The true course of one clip.

    Attributes:
        label: name of the expression.
        times: ``(T,)`` s.
        weights: ``(T, 52)`` float32 in 0..1, in the order of ``ACTIONS``.
        rotation: ``(T, 3)`` degrees: pitch (down positive), yaw (to the person's left positive), roll.
        translation: ``(T, 3)`` metres.
        apex: index of the frame in which the expression is strongest.
    """

    label: str
    times: np.ndarray
    weights: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    apex: int

    def __len__(self) -> int:
        return len(self.times)


def animate(
    label: str,
    units: Sequence[np.ndarray],
    idle: Sequence[tuple[np.ndarray, Sequence[float]]],
    rng: np.random.Generator,
    frames: int,
    frame_rate: float,
) -> ActionCurve:
    """Curves over the 52 actions for units at their apex.

    Args:
        label: name of the expression; with no units it is neutral.
        units: ``(52,)`` weights at the apex, one per action unit.
        idle: ``(52,)`` directions of meaningless movements, each with the least and most of its peak.
        rng: fixes everything that is drawn.
        frames: T.
        frame_rate: Hz.
    """
    times = np.arange(frames) / frame_rate
    duration = frames / frame_rate
    weights = np.zeros((frames, len(ACTIONS)), dtype=np.float64)

    envelope = _envelope(rng, times, duration)
    for unit in units:
        # Units of one expression start nearly together, not exactly.
        weights += np.interp(times - rng.normal(0, 0.04), times, envelope)[:, None] * unit
    apex = int(np.argmax(weights.sum(axis=1))) if len(units) else frames // 2

    count = rng.integers(1, 4) if not len(units) else rng.integers(0, 3)
    calm = 1.0 if not len(units) else 0.5
    for index in rng.choice(len(idle), size=count, replace=False):
        vector, (low, high) = idle[index]
        weights += calm * rng.uniform(low, high) * _bump(rng, times, duration)[:, None] * vector

    _look(rng, weights, times, duration)
    _blink(rng, weights, times, duration, times[apex] if len(units) else None)
    rotation, translation = _move_head(rng, times)
    return ActionCurve(
        label=label,
        times=times,
        weights=np.clip(weights, 0, 1).astype(np.float32),
        rotation=rotation.astype(np.float32),
        translation=translation.astype(np.float32),
        apex=apex,
    )


def _envelope(rng: np.random.Generator, times: np.ndarray, duration: float) -> np.ndarray:
    """Neutral to apex, with or without the way back; the apex is reached well within the clip."""
    onset = min(rng.uniform(*ONSET_S), 0.4 * duration)
    start = rng.uniform(0.05, max(0.06, 0.45 * duration - onset / 2))
    rise = _smooth((times - start) / onset)
    # A held apex is never quite still.
    hold = 1 - 0.06 * (1 + np.sin(2 * np.pi * rng.uniform(0.3, 0.8) * times + rng.uniform(0, 6.28))) / 2
    curve = rise * hold
    if rng.random() < RETURNING:
        offset = min(rng.uniform(*OFFSET_S), 0.4 * duration)
        held = rng.uniform(0.2, 0.6)
        residue = rng.choice([0.0, rng.uniform(0.0, 0.3)])
        curve = curve * (1 - (1 - residue) * _smooth((times - start - onset - held) / offset))
    return curve


def _bump(rng: np.random.Generator, times: np.ndarray, duration: float) -> np.ndarray:
    """A slow rise and fall, 0..1."""
    centre, width = rng.uniform(0, duration), rng.uniform(0.2, 0.7)
    return np.exp(-0.5 * ((times - centre) / width) ** 2)


def _look(rng: np.random.Generator, weights: np.ndarray, times: np.ndarray, duration: float) -> None:
    """Small gaze shifts: fixations joined by fast saccades."""
    moments = np.sort(rng.uniform(0, duration, rng.integers(0, 3)))
    target = rng.normal(0, (0.10, 0.07), (len(moments) + 1, 2))
    gaze = np.repeat(target[:1], len(times), axis=0)
    for moment, after, before in zip(moments, target[1:], target[:-1], strict=True):
        gaze += _smooth((times - moment) / 0.06)[:, None] * (after - before)
    left, up = gaze[:, 0], gaze[:, 1]
    for name, amount in (
        ("eyeLookOutLeft", left),
        ("eyeLookInRight", left),
        ("eyeLookInLeft", -left),
        ("eyeLookOutRight", -left),
        ("eyeLookUpLeft", up),
        ("eyeLookUpRight", up),
        ("eyeLookDownLeft", -up),
        ("eyeLookDownRight", -up),
    ):
        weights[:, ACTIONS.index(name)] += np.maximum(amount, 0)


def _blink(
    rng: np.random.Generator, weights: np.ndarray, times: np.ndarray, duration: float, apex_s: float | None
) -> None:
    """Blinks close both eyes; what widens or narrows the eyes gives way while they are closed.

    People blink before and after an expression's apex rather than at it.
    """
    closed = np.zeros(len(times))
    for moment in rng.uniform(0, duration, rng.poisson(BLINKS_PER_S * duration)):
        length = rng.uniform(*BLINK_S)
        if apex_s is not None and abs(moment - apex_s) < length:
            continue
        # The lid falls twice as fast as it rises.
        phase = np.where(times < moment, (times - moment) / (length / 3), (times - moment) / (2 * length / 3))
        closed = np.maximum(closed, rng.uniform(0.85, 1.0) * np.clip(1 - phase**2, 0, 1))
    blink = [ACTIONS.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    yielding = [ACTIONS.index(f"{name}{side}") for name in ("eyeWide", "eyeSquint") for side in ("Left", "Right")]
    weights[:, yielding] *= (1 - closed)[:, None]
    weights[:, blink] = np.maximum(weights[:, blink], closed[:, None])


def _move_head(rng: np.random.Generator, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pose and place of the head: a resting pose with slow sway."""
    resting = rng.normal(0, (4.0, 6.0, 2.5))
    rotation = resting + _sway(rng, times, (2.0, 2.5, 1.2))
    translation = _sway(rng, times, (0.004, 0.003, 0.005))
    return rotation, translation


def _sway(rng: np.random.Generator, times: np.ndarray, sd: Sequence[float]) -> np.ndarray:
    """``(T, len(sd))`` sums of slow sines with the given sd."""
    frequency = rng.uniform(0.1, 0.7, (3, len(sd)))
    phase = rng.uniform(0, 2 * np.pi, (3, len(sd)))
    amplitude = rng.normal(0, np.asarray(sd) * np.sqrt(2 / 3), (3, len(sd)))
    return (amplitude * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)).sum(axis=1)


def _smooth(t: np.ndarray) -> np.ndarray:
    """0 to 1 with no jerk at either end (Perlin's smootherstep), like measured onsets of facial action."""
    t = np.clip(t, 0, 1)
    return t**3 * (t * (6 * t - 15) + 10)
