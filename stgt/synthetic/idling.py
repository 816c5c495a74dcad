"""What a face does besides its expression: blinks, gaze, micro-movements, and the habits of every day."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stgt.synthetic.actions import LEFT, RIGHT, action_vector, between, expression_data, sides, smooth
from stgt.synthetic.anny_data import ACTIONS

BLINKS_PER_S = 0.35  # adults blink about 20 times a minute
BLINK_S = (0.16, 0.32)
#: Seconds (sd of a bell) of slow idle movements, and of flickers: movements of 0.1 to 0.4 s in all.
IDLE_S, FLICKER_S = (0.2, 0.7), (0.03, 0.1)
FLICKERS_PER_S = 0.5

_BLINK = np.flatnonzero([name.startswith("eyeBlink") for name in ACTIONS])
_LIDS = np.flatnonzero([name.startswith(("eyeWide", "eyeSquint")) for name in ACTIONS])
#: Actions that gaze moves, each with its axis (0 to the person's left, 1 up) and its share of that axis.
_GAZE = {
    "eyeLookOutLeft": (0, 1.0),
    "eyeLookInRight": (0, 1.0),
    "eyeLookInLeft": (0, -1.0),
    "eyeLookOutRight": (0, -1.0),
    "eyeLookUpLeft": (1, 1.0),
    "eyeLookUpRight": (1, 1.0),
    "eyeLookDownLeft": (1, -1.0),
    "eyeLookDownRight": (1, -1.0),
    "eyeBlinkLeft": (1, -0.5),
    "eyeBlinkRight": (1, -0.5),
}
_GAZE_ACTIONS = [ACTIONS.index(name) for name in _GAZE]
_GAZE_AXES = [axis for axis, _ in _GAZE.values()]
_GAZE_SHARES = np.array([share for _, share in _GAZE.values()])


@dataclass(frozen=True)
class _Habit:
    rate_per_s: float
    seconds: tuple[float, float]
    repeats: tuple[int, int]
    actions: np.ndarray


@lru_cache(maxsize=1)
def _movements() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Idle movements: vectors ``(M, 52)``, least and most ``(M,)``."""
    ranges = expression_data()["idle"]
    low, high = np.array(list(ranges.values())).T
    return np.stack([action_vector({name: 1.0}) for name in ranges]), low, high


@lru_cache(maxsize=1)
def _habits() -> tuple[_Habit, ...]:
    return tuple(
        _Habit(
            habit["per_minute"] / 60, tuple(habit["seconds"]), tuple(habit["repeats"]), action_vector(habit["actions"])
        )
        for habit in expression_data()["everyday"]
    )


def idle(rng: np.random.Generator, times: np.ndarray, duration: float, calm: float) -> tuple[np.ndarray, np.ndarray]:
    """Slow idle movements and flickers: curves ``(K, T)`` and vectors ``(K, 52)``.

    Args:
        rng: fixes what is drawn.
        times: ``(T,)`` s.
        duration: of the clip, s.
        calm: factor on their strength, 0..1.
    """
    vectors, low, high = _movements()
    slow = 1 + rng.poisson(0.7 * duration)
    count = slow + rng.poisson(FLICKERS_PER_S * duration)
    index = rng.integers(0, len(vectors), count)
    draws = rng.random((4, count))
    width = IDLE_S[0] + (IDLE_S[1] - IDLE_S[0]) * draws[0]
    width[slow:] = FLICKER_S[0] + (FLICKER_S[1] - FLICKER_S[0]) * draws[0, slow:]
    centre = duration * draws[1]
    # Mostly weak: the most of a range is seldom reached.
    strength = calm * (low[index] + (high - low)[index] * draws[2] ** 2)
    curves = strength[:, None] * np.exp(-0.5 * ((times[None] - centre[:, None]) / width[:, None]) ** 2)
    chosen = vectors[index]
    left, right = np.minimum(2 * draws[3], 1), np.minimum(2 - 2 * draws[3], 1)  # often on one side
    return curves, chosen * _per_side(left, right)


def habit(
    rng: np.random.Generator, times: np.ndarray, duration: float, calm: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Seldom: one thing that people do without showing anything, as a curve ``(T,)`` and a vector ``(52,)``."""
    habits = _habits()
    rates = sum(habit.rate_per_s for habit in habits)
    draw = rng.random() / max(calm * duration, 1e-6)
    if draw >= rates:
        return None
    for chosen in habits:
        draw -= chosen.rate_per_s
        if draw < 0:
            break
    length = between(rng, *chosen.seconds)
    repeats = int(rng.integers(chosen.repeats[0], chosen.repeats[1] + 1))
    start = between(rng, -0.5 * length, max(duration - 0.5 * length, 0.0))
    phase = (times - start) / length
    curve = np.where((phase > 0) & (phase < repeats), 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)
    if repeats == 1:
        curve = smooth(1.6 * curve)  # held for a moment
    return between(rng, 0.4, 1.1) * curve, chosen.actions * sides(rng.normal(0, 0.3))


def look(rng: np.random.Generator, weights: np.ndarray, times: np.ndarray, duration: float) -> None:
    """Gaze, into ``weights (T, 52)``: fixations joined by fast saccades, now and then far from the camera.

    The lids follow a gaze that falls.
    """
    count = int(rng.poisson(0.5 * duration))
    moments = np.sort(rng.random(count)) * duration
    far = np.where(rng.random(count + 1) < 0.15, 3.0, 1.0)
    target = rng.normal(0, 1, (count + 1, 2)) * (0.10, 0.07) * far[:, None]
    gaze = np.repeat(target[:1], len(times), axis=0)
    if count:
        gaze = gaze + (smooth((times[:, None] - moments) / 0.06)[..., None] * np.diff(target, axis=0)).sum(axis=1)
    weights[:, _GAZE_ACTIONS] += np.maximum(gaze[:, _GAZE_AXES] * _GAZE_SHARES, 0)


def blink(
    rng: np.random.Generator, weights: np.ndarray, times: np.ndarray, duration: float, rate: float, apex_s: float | None
) -> None:
    """Blinks close both eyes, in ``weights (T, 52)``; what widens or narrows the eyes gives way meanwhile.

    People blink before and after an expression's apex rather than at it.
    """
    count = int(rng.poisson(rate * duration))
    if not count:
        return
    moments, lengths, depths = rng.random((3, count))
    moments, lengths = duration * moments, BLINK_S[0] + (BLINK_S[1] - BLINK_S[0]) * lengths
    depths = 0.85 + 0.15 * depths
    if apex_s is not None:
        depths = depths * (np.abs(moments - apex_s) >= lengths)
    # The lid falls twice as fast as it rises.
    away = (times - moments[:, None]) / lengths[:, None]
    phase = np.where(away < 0, 3 * away, 1.5 * away)
    closed = (depths[:, None] * np.maximum(1 - phase**2, 0)).max(axis=0)[:, None]
    weights[:, _LIDS] *= 1 - closed
    weights[:, _BLINK] = np.maximum(weights[:, _BLINK], closed)


def _per_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``(K, 52)`` factors for the actions of the left and the right side."""
    factors = np.ones((len(left), len(ACTIONS)), np.float32)
    factors[:, LEFT] = left[:, None]
    factors[:, RIGHT] = right[:, None]
    return factors
