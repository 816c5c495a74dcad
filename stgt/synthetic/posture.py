"""How the head is held and moves: resting pose, slow turns, nods and shakes, leaning, sway."""

from collections.abc import Sequence

import numpy as np

from stgt.synthetic.actions import between, smooth
from stgt.synthetic.settings import PerformanceSettings

#: sd in degrees of pitch, yaw and roll when facing the camera.
FRONTAL_SD = (4.0, 6.0, 2.5)
#: Shares of clips in which the head turns from one pose to another, nods or shakes, and leans in or out.
TURNING, GESTURING, LEANING = 0.3, 0.12, 0.2


def move_head(
    rng: np.random.Generator, times: np.ndarray, duration: float, liveliness: float, settings: PerformanceSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation ``(T, 3)`` in degrees (pitch down, yaw to the person's left, roll) and translation ``(T, 3)`` in metres.

    Args:
        rng: fixes what is drawn.
        times: ``(T,)`` s.
        duration: of the clip, s.
        liveliness: factor on the sway; 1 for a silent person.
        settings: how far the head turns and leans.
    """
    most = np.array([settings.most_pitch, settings.most_yaw, settings.most_roll])
    pose = _pose(rng, most, settings)
    rotation = np.repeat(pose[None], len(times), axis=0)
    if rng.random() < TURNING:
        # Most turns are small; some go from anywhere to anywhere.
        other = _pose(rng, most, settings) if rng.random() < 0.4 else pose + rng.normal(0, 1, 3) * (5.0, 9.0, 3.0)
        rotation += _passage(rng, times, duration) * (other - pose)
    sway = _sway(rng, times, np.array([2.0, 2.5, 1.2, 0.004, 0.003, 0.005]) * liveliness)
    rotation += sway[:, :3]
    if rng.random() < GESTURING:
        axis = 0 if rng.random() < 0.65 else 1  # a nod, or a shake
        centre, width = between(rng, 0.1, 0.9) * duration, between(rng, 0.25, 0.7)
        swing = np.sin(2 * np.pi * between(rng, 1.2, 3.0) * (times - centre))
        rotation[:, axis] += between(rng, 2.0, 8.0) * swing * np.exp(-0.5 * ((times - centre) / width) ** 2)
    translation = sway[:, 3:]
    if rng.random() < LEANING:
        near, far = (2 * rng.random(2) - 1) * settings.most_lean
        translation[:, 2] += near + (far - near) * _passage(rng, times, duration)[:, 0]
    most_turned = most + 3.0  # sway goes on at the ends of the range
    return np.clip(rotation, -most_turned, most_turned), translation


def _pose(rng: np.random.Generator, most: np.ndarray, settings: PerformanceSettings) -> np.ndarray:
    if rng.random() < settings.frontal:
        return np.clip(rng.normal(0, 1, 3) * FRONTAL_SD, -most, most)
    return (2 * rng.random(3) - 1) * most * (0.8, 1.0, 0.7)


def _passage(rng: np.random.Generator, times: np.ndarray, duration: float) -> np.ndarray:
    """``(T, 1)``: 0 to 1 at some time of the clip, in 0.4 to 3 s."""
    length = between(rng, 0.4, 3.0)
    start = between(rng, -0.3 * length, max(duration - 0.5 * length, 0.0))
    return smooth((times - start) / length)[:, None]


def _sway(rng: np.random.Generator, times: np.ndarray, sd: Sequence[float] | np.ndarray) -> np.ndarray:
    """``(T, len(sd))`` sums of three slow sines with the given sd."""
    frequency = 0.1 + 0.6 * rng.random((3, len(sd)))
    phase = 2 * np.pi * rng.random((3, len(sd)))
    amplitude = rng.normal(0, 1, (3, len(sd))) * (np.asarray(sd) * np.sqrt(2 / 3))
    return (amplitude * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)).sum(axis=1)
