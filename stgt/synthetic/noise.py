"""Smooth steps, spots, lines and noise that pictures are painted with."""

import numpy as np

from stgt.synthetic.atlas import HEIGHT, WIDTH


def noise(rng: np.random.Generator, cells: int, stretch: int = 1) -> np.ndarray:
    """Smooth noise ``(HEIGHT, WIDTH)`` over the atlas, mean 0 and sd near 1, without a seam at the back.

    Args:
        rng: fixes it.
        cells: across the width.
        stretch: how many times longer than wide the cells are.
    """
    import cv2

    rows = max(2, cells // 2 // stretch)
    grid = rng.standard_normal((rows, cells)).astype(np.float32)
    margin = 2
    grid = np.concatenate([grid[:, -margin:], grid, grid[:, :margin]], axis=1)
    scale = WIDTH / cells
    full = cv2.resize(grid, (round((cells + 2 * margin) * scale), HEIGHT), interpolation=cv2.INTER_CUBIC)
    start = round(margin * scale)
    return full[:, start : start + WIDTH]


def strands(rng: np.random.Generator, cells: int = 400, stretch: int = 24) -> np.ndarray:
    """Noise drawn out from top to bottom, as combed hair is."""
    return 0.7 * noise(rng, cells, stretch) + 0.4 * noise(rng, cells // 3, stretch)


def spot(place: np.ndarray, centre: tuple[float, ...], size: tuple[float, ...]) -> np.ndarray:
    """A soft spot 0..1 on both sides of the face: ``centre`` and ``size`` (sd) in metres, x from the middle outward."""
    exponent = ((np.abs(place[..., 0]) - centre[0]) / size[0]) ** 2
    for axis in (1, 2):
        exponent = exponent + ((place[..., axis] - centre[axis]) / size[axis]) ** 2
    return np.exp(-0.5 * exponent)


def ridge(distance: np.ndarray, width: float) -> np.ndarray:
    """1 where ``distance`` is 0, falling off over ``width`` (sd)."""
    return np.exp(-0.5 * (distance / width) ** 2)


def step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Lay colour ``above`` over ``below`` with opacity ``share`` (one axis less)."""
    return below + (above - below) * share[..., None]
