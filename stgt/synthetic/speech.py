"""Talking: jaw and lips at the rate of syllables, with the brows and the head that stress them.

Syllables come at 3 to 7 Hz in phrases of 0.5 to 3 s with pauses between. Every syllable opens the jaw by its own amount
and pulls the lips to somewhere between rounded (u, o, w) and spread (i, e, s); some begin with closed lips (p, b, m) or
with the lower lip at the teeth (f, v).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stgt.synthetic.actions import action_vector, between, sides
from stgt.synthetic.settings import PerformanceSettings

PHRASE_S, PAUSE_S = (0.5, 3.0), (0.15, 0.9)
SYLLABLES_PER_S = (3.0, 7.0)
#: Share of syllables that begin with closed lips, and with the lower lip at the teeth.
CLOSED, LIP_TO_TEETH = 0.25, 0.08
#: Share of syllables that brows or head stress.
STRESSED = 0.12
#: How often a speaker's face has one of `TONES` while talking.
TONED = 0.22

#: What the lips do: the vectors at a strength of 1.
_JAW, _ROUND, _STRETCH, _SMILE, _CLOSE, _TEETH, _LOWER, _UPPER, _BROWS_UP, _BROWS_DOWN, _PRESS = range(11)
VECTORS = np.stack(
    [
        action_vector({"jawOpen": 1.0}),
        action_vector({"mouthFunnel": 0.6, "mouthPucker": 0.5}),
        action_vector({"mouthStretch": 0.55, "mouthDimple": 0.3, "mouthUpperUp": 0.1}),
        action_vector({"mouthSmile": 0.9, "mouthDimple": 0.2, "cheekSquint": 0.1, "mouthUpperUp": 0.1}),
        action_vector({"mouthPress": 0.4, "mouthRollLower": 0.5, "mouthRollUpper": 0.4, "mouthFrown": 0.08}),
        action_vector({"mouthRollLower": 0.7, "mouthUpperUp": 0.25}),
        action_vector({"mouthLowerDown": 1.0}),
        action_vector({"mouthUpperUp": 1.0}),
        action_vector({"browInnerUp": 0.9, "browOuterUp": 1.0}),
        action_vector({"browDown": 1.0}),
        action_vector({"mouthPress": 0.5, "mouthRollUpper": 0.4, "mouthRollLower": 0.3, "mouthDimple": 0.25}),
    ]
)

#: What stays on a speaker's face from the first word to the last without being an expression, at its most: talking is
#: an effort, and each face makes it in its own way.
TONES = np.stack(
    [
        action_vector({"mouthSmile": 0.24}),
        action_vector({"mouthDimple": 0.30, "mouthStretch": 0.10}),
        action_vector({"mouthStretch": 0.25}),
        action_vector({"mouthPress": 0.30, "mouthRollUpper": 0.25}),
        action_vector({"mouthUpperUp": 0.25, "noseSneer": 0.10}),
        action_vector({"mouthFrown": 0.25, "mouthLowerDown": 0.20}),
        action_vector({"mouthFunnel": 0.20, "mouthPucker": 0.20}),
        action_vector({"browDown": 0.35}),
        action_vector({"browInnerUp": 0.30, "browOuterUp": 0.30}),
        action_vector({"browInnerUp": 0.30}),
        action_vector({"cheekSquint": 0.30, "eyeSquint": 0.30}),
        action_vector({"eyeWide": 0.30}),
    ]
)


@dataclass(frozen=True)
class Speech:
    """One clip's talking.

    Attributes:
        curves: ``(K, T)`` strengths of ``vectors``.
        vectors: ``(K, 52)`` actions.
        active: ``(T,)`` 0..1, 1 within phrases.
        nod: ``(T,)`` degrees of pitch with which the head stresses syllables.
    """

    curves: np.ndarray
    vectors: np.ndarray
    active: np.ndarray
    nod: np.ndarray


def sample_speaking(
    rng: np.random.Generator, duration_s: float, settings: PerformanceSettings
) -> tuple[tuple[float, float], ...]:
    """When the person talks in a clip: mostly not at all, else throughout or for a part of it; seconds."""
    if rng.random() >= settings.speaking:
        return ()
    if rng.random() < 0.6:
        return ((0.0, duration_s),)
    start = between(rng, -0.3, 0.6) * duration_s
    return ((max(start, 0.0), min(start + max(0.5, between(rng, 0.3, 0.8) * duration_s), duration_s)),)


def talk(rng: np.random.Generator, times: np.ndarray, speaking: Sequence[tuple[float, float]]) -> Speech:
    """Draw a speaker and what is said in the intervals ``speaking`` (seconds on the clock of ``times (T,)``)."""
    rate = between(rng, *SYLLABLES_PER_S)
    begins, ends = _phrases(rng, speaking)
    # Syllables of all phrases at once: irregular steps from each phrase's begin, kept while the phrase lasts.
    count = int(np.max(ends - begins) * rate * 1.5) + 2
    steps = (0.55 + 0.9 * rng.random((len(begins), count))) / rate
    moments = begins[:, None] + np.cumsum(steps, axis=1) - 0.5 * steps[:, :1]
    moments = moments[moments < ends[:, None] - 0.3 / rate]
    if not len(moments):
        moments = (begins + ends)[:1] / 2
    count = len(moments)

    energy = float(np.exp(rng.normal(0, 0.45)))
    rounding, stretching, lower, upper = rng.random(4) * (0.9, 0.9, 0.5, 0.25) + (0.25, 0.15, 0.1, 0.03)
    smiling, pressing = rng.random(2) ** (1.0, 1.5)  # of the spread vowels, and of the pauses
    draws = rng.random((6, count))
    opening = np.minimum(energy * (0.05 + 0.36 * draws[0] ** 1.3), 0.5)
    shape = 2 * draws[1] - 1  # rounded to spread
    closed = draws[2] < CLOSED
    teeth = (draws[2] > 1 - LIP_TO_TEETH) & ~closed
    stress = draws[3] < STRESSED
    loud = np.minimum(energy, 1.3) * (0.4 + 0.6 * draws[4])

    width = 0.26 / rate
    away = times[None] - moments[:, None]
    vowel = np.exp(-0.5 * (away / width) ** 2)  # (S, T)
    consonant = np.exp(-0.5 * ((away + 0.5 / rate) / (0.16 / rate)) ** 2)
    slow = np.exp(-0.5 * (away / 0.13) ** 2)
    shut = _over(closed * (0.6 + 0.4 * draws[5]), consonant)
    jaw = _over(opening, vowel) * (1 - 0.85 * shut)
    curves = np.zeros((len(VECTORS), len(times)))
    curves[_JAW] = jaw
    curves[_ROUND] = _over(rounding * loud * np.maximum(shape - 0.2, 0), vowel)
    spread = _over(loud * np.maximum(-shape - 0.1, 0), vowel) * (1 - 0.5 * shut)
    curves[_STRETCH], curves[_SMILE] = stretching * spread, smiling * spread
    curves[_CLOSE] = min(energy, 1.2) * shut
    curves[_TEETH] = _over(teeth * loud, consonant)
    curves[_LOWER] = lower * np.minimum(3 * jaw, 1)
    curves[_UPPER] = upper * np.minimum(3 * jaw, 1)
    brows = stress * (0.1 + 0.35 * draws[5]) * min(energy, 1.3)
    down = draws[4] < 0.3
    curves[_BROWS_UP] = _over(brows * ~down, slow)
    curves[_BROWS_DOWN] = 0.6 * _over(brows * down, slow)
    active = np.max(_plateau(times, begins, ends), axis=0)
    pauses = np.max(np.exp(-0.5 * ((times - ends[:, None] - 0.2) / 0.15) ** 2), axis=0)
    curves[_PRESS] = pressing * pauses
    nod = between(rng, 1.0, 5.0) * _over(stress * draws[0], slow)
    held, tones = _tones(rng, times, active)
    vectors = np.concatenate([VECTORS, tones]) * sides(rng.normal(0, 0.12))
    return Speech(np.concatenate([curves, held]), vectors, active, nod)


def _tones(rng: np.random.Generator, times: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A speaker's tones: curves ``(K, T)`` that swell and ebb while the person talks, and vectors ``(K, 52)``."""
    chosen = np.flatnonzero(rng.random(len(TONES)) < TONED)
    strength, phase = rng.random((2, len(chosen), 1))
    swelling = 0.7 + 0.3 * np.sin(2 * np.pi * (between(rng, 0.2, 0.7) * times + phase))
    return strength * swelling * active, TONES[chosen]


def _phrases(rng: np.random.Generator, speaking: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Begins and ends of the phrases within the intervals; the first may have begun before."""
    begins, ends = [], []
    for start, end in speaking:
        moment = start - between(rng, 0.0, 1.0)
        while moment < end - 0.2:
            stop = min(moment + between(rng, *PHRASE_S), end)
            if stop > start + 0.2:
                begins.append(max(moment, start))
                ends.append(stop)
            moment = stop + between(rng, *PAUSE_S)
    if not begins:
        begins, ends = [start for start, _ in speaking], [end for _, end in speaking]
    return np.array(begins), np.array(ends)


def _over(strengths: np.ndarray, bumps: np.ndarray) -> np.ndarray:
    """The envelope ``(T,)`` of bumps ``(S, T)`` of the given strengths ``(S,)``."""
    return (strengths[:, None] * bumps).max(axis=0)


def _plateau(times: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """``(P, T)`` 0..1: 1 between begin and end, with edges of 0.15 s."""
    inside = np.minimum(times[None] - begins[:, None], ends[:, None] - times[None])
    return np.clip(inside / 0.15 + 1, 0, 1)
