"""Folds that facial actions press into the skin: brow furrow, forehead lines, crow's feet, folds beside nose and mouth.

The mesh is too coarse for them, and a person reads anger or disgust from them as much as from the shape. Each fold is a
drawn line with a dark side and a light one, on one side of the face, whose depth follows the actions that cause it.
"""

from collections.abc import Callable

import numpy as np

from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.noise import ridge, step

Drawing = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _line(distance: np.ndarray, width: float, light: float = 0.45) -> np.ndarray:
    """A fold where ``distance`` is 0: dark, with a lit edge on the side of positive distance."""
    return ridge(distance, width) - light * ridge(distance - 2.2 * width, width)


def _furrow(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Upright lines between the brows (action unit 4)."""
    extent = step(y, 0.000, 0.007) * (1 - step(y, 0.018, 0.028)) * (z > 0.05)
    return _line(x - 0.0058 - 0.08 * (y - 0.012), 0.0011) * extent


def _root(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A line across the root of the nose (4 and 9)."""
    return _line(y - 0.001 + 8 * x**2, 0.0011) * (1 - step(x, 0.007, 0.012)) * (z > 0.05)


def _bridge(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Slanted lines on the side of the nose (9)."""
    lines = sum(_line(y + offset + 0.9 * (x - 0.008), 0.0009) for offset in (0.006, 0.0115, 0.017))
    return lines * step(x, 0.002, 0.005) * (1 - step(x, 0.011, 0.015)) * (z > 0.05)


def _forehead(low: float, high: float) -> Drawing:
    def draw(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        lines = sum(_line(y - level + 0.003 * np.sin(70 * x + 3 * level), 0.0012) for level in (0.035, 0.046, 0.057))
        extent = (step(x, low - 0.004, low) if low > 0 else 1.0) * (1 - step(x, high, high + 0.012))
        return lines * extent * (z > 0.04)

    return draw


def _crows_feet(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    lines = sum(_line(y + 0.001 + slope * (x - 0.042), 0.0009) for slope in (-0.45, 0.05, 0.55))
    return lines * step(x, 0.046, 0.050) * (1 - step(x, 0.057, 0.064)) * (z > 0.02)


def _pouch(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The bulge under the eye (6 and 7)."""
    arc = y + 0.0125 - 9 * (x - 0.031) ** 2
    return _line(-arc, 0.0013) * step(x, 0.014, 0.020) * (1 - step(x, 0.044, 0.050)) * (z > 0.03)


def _beside_nose(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The nasolabial fold, from the wing of the nose past the corner of the mouth (9, 10, 12)."""
    along = np.clip((-0.034 - y) / 0.040, 0, 1)
    course = 0.0195 + 0.0150 * along + 0.0045 * np.sin(np.pi * along)
    extent = step(-y, 0.031, 0.037) * (1 - step(-y, 0.068, 0.080)) * (z > 0.03)
    return _line(x - course, 0.0017) * extent


def _below_corner(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The line that a drawn-down corner of the mouth leaves (15)."""
    course = 0.0275 + 0.25 * (-0.068 - y)
    return _line(x - course, 0.0014) * step(-y, 0.067, 0.070) * (1 - step(-y, 0.082, 0.092)) * (z > 0.03)


def _chin(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The crease under the lower lip and the dimpled chin (17)."""
    crease = _line(-(y + 0.0805 + 6 * x**2), 0.0014) * (1 - step(x, 0.012, 0.018))
    dimples = 0.5 * (np.sin(1450 * x + 2) * np.sin(1300 * y) > 0.35) * ridge(y + 0.093, 0.006) * ridge(x, 0.009)
    return (crease + dimples) * (z > 0.05)


#: Name, drawing, depth (share of light taken away at full action), and the actions that drive it, each with its share.
#: An action without Left or Right is used on the side of the face that the fold is on.
FOLDS: tuple[tuple[str, Drawing, float, dict[str, float]], ...] = (
    ("furrow", _furrow, 0.55, {"browDown": 1.0}),
    ("root", _root, 0.35, {"browDown": 0.5, "noseSneer": 0.7}),
    ("bridge", _bridge, 0.40, {"noseSneer": 1.0}),
    ("forehead_inner", _forehead(0.0, 0.016), 0.30, {"browInnerUp": 1.0}),
    ("forehead_outer", _forehead(0.016, 0.038), 0.28, {"browOuterUp": 1.0}),
    ("crows_feet", _crows_feet, 0.30, {"cheekSquint": 0.8, "mouthSmile": 0.3, "eyeSquint": 0.3}),
    ("pouch", _pouch, 0.30, {"cheekSquint": 0.9, "eyeSquint": 0.6}),
    ("beside_nose", _beside_nose, 0.42, {"mouthSmile": 0.8, "mouthUpperUp": 0.7, "noseSneer": 0.7}),
    ("below_corner", _below_corner, 0.38, {"mouthFrown": 1.0, "mouthStretch": 0.4}),
    ("chin", _chin, 0.34, {"mouthShrugLower": 1.0, "mouthPress": 0.3}),
)


def draw_folds(place: np.ndarray) -> np.ndarray:
    """Folds over template positions ``(H, W, 3)``: ``(2 * len(FOLDS), H, W)`` float32 shares of light taken away.

    Each fold is there twice, on the left and on the right.
    """
    x, y, z = np.moveaxis(place, -1, 0)
    maps = []
    for _name, draw, depth, _drivers in FOLDS:
        drawn = depth * draw(np.abs(x), y, z)
        maps += [drawn * step(x, -0.0015, 0.0015), drawn * step(-x, -0.0015, 0.0015)]
    return np.stack(maps).astype(np.float32)


def fold_drivers() -> np.ndarray:
    """``(2 * len(FOLDS), 52)``: how much each action deepens each fold."""
    matrix = np.zeros((2 * len(FOLDS), len(ACTIONS)), np.float32)
    for row, (_name, _draw, _depth, drivers) in enumerate(FOLDS):
        for action, share in drivers.items():
            for side, name in enumerate(("Left", "Right")):
                exact = action if action in ACTIONS else action + name
                matrix[2 * row + side, ACTIONS.index(exact)] = share
    return matrix
