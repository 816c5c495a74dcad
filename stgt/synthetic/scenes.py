"""Camera, light, background and sensor of a clip."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Light:
    """A distant light: direction to it (x to the person's left, y up, z front), colour (RGB 0..1), strength."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    strength: float


@dataclass(frozen=True)
class Scene:
    """What surrounds the head in one clip.

    Attributes:
        distance: metres from the face to the camera.
        elevation, azimuth: degrees, where the camera stands.
        roll: degrees.
        face_share: height of the face over the height of the picture; with the distance it sets the focal length.
        shift: where the face lies off the picture's centre, in shares of its height (x right, y down).
        lights: the lights.
        ambient: light from everywhere, 0..1.
        background: ``(H, W, 3)`` float32, 0..255.
        brightness: 0..255, what the camera's automatic exposure brings the face towards.
        exposure: ``(3,)`` float32 gains of the sensor's channels.
        blur: sd in pixels.
        noise: sd of the sensor's noise, 0..255.
        noise_seed: of that noise.
    """

    distance: float
    elevation: float
    azimuth: float
    roll: float
    face_share: float
    shift: tuple[float, float]
    lights: tuple[Light, ...]
    ambient: float
    background: np.ndarray
    brightness: float
    exposure: np.ndarray
    blur: float
    noise: float
    noise_seed: int


def sample_scene(rng: np.random.Generator, image_size: tuple[int, int]) -> Scene:
    """Draw the scene of one clip for pictures of ``(width, height)`` pixels."""
    key_angle = rng.uniform(-75, 75)
    key_height = rng.uniform(-5, 55)
    key_strength = rng.uniform(0.55, 0.85)
    warmth = rng.normal(0, 0.07)
    key = Light(_direction(key_angle, key_height), _warm(warmth), key_strength)
    fill = Light(
        _direction(-np.sign(key_angle) * rng.uniform(20, 70), rng.uniform(-20, 30)),
        _warm(-warmth + rng.normal(0, 0.04)),
        rng.uniform(0.15, 0.45),
    )
    return Scene(
        distance=float(rng.uniform(0.55, 1.6)),
        elevation=float(rng.normal(2, 4)),
        azimuth=float(rng.normal(0, 5)),
        roll=float(rng.normal(0, 1.5)),
        face_share=float(rng.uniform(0.60, 0.78)),
        shift=(float(rng.normal(0, 0.02)), float(rng.normal(-0.01, 0.015))),
        lights=(key, fill),
        ambient=float(rng.uniform(0.22, 0.38)),
        background=_background(rng, image_size),
        brightness=float(rng.uniform(105, 150)),
        exposure=rng.normal(1, 0.018, 3).astype(np.float32),
        blur=float(rng.uniform(0.0, 0.6)),
        noise=float(rng.uniform(1.0, 4.5)),
        noise_seed=int(rng.integers(2**31)),
    )


def _direction(azimuth: float, elevation: float) -> tuple[float, float, float]:
    a, e = np.radians([azimuth, elevation])
    return float(np.sin(a) * np.cos(e)), float(np.sin(e)), float(np.cos(a) * np.cos(e))


def _warm(amount: float) -> tuple[float, float, float]:
    """White light made warmer (positive) or cooler."""
    return (
        float(np.clip(1 + amount, 0.7, 1)),
        float(np.clip(1 - 0.2 * abs(amount), 0.7, 1)),
        float(np.clip(1 - amount, 0.7, 1)),
    )


def _background(rng: np.random.Generator, image_size: tuple[int, int]) -> np.ndarray:
    """Out of focus surroundings: a gradient, soft large shapes, and a little grain."""
    import cv2

    width, height = image_size
    base = rng.uniform(40, 200) + rng.normal(0, 9, 3)
    slope = rng.normal(0, 30, (2, 1)) + rng.normal(0, 4, (2, 3))
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    picture = base + x[..., None] * slope[0] + y[..., None] * slope[1]
    if rng.random() < 0.6:
        cells = int(rng.integers(3, 8))
        shapes = rng.normal(0, 1, (cells, cells, 1)) * rng.uniform(5, 25) + rng.normal(0, 4, (cells, cells, 3))
        picture += cv2.resize(shapes.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 4)):  # doors, shelves, frames
        left, top = rng.uniform(0, width), rng.uniform(0, height)
        box = np.zeros((height, width), np.float32)
        corner = int(left + rng.uniform(0.1, 0.6) * width), int(top + rng.uniform(0.1, 0.8) * height)
        cv2.rectangle(box, (int(left), int(top)), corner, 1.0, -1)
        box = cv2.GaussianBlur(box, (0, 0), rng.uniform(2, 9))
        picture += box[..., None] * (rng.normal(0, 22) + rng.normal(0, 6, 3))
    return np.clip(picture, 5, 250).astype(np.float32)
