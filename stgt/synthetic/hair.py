"""Hair: where it grows, how far it stands off, and the curtain of long hair."""

from dataclasses import dataclass

import numpy as np

from stgt.synthetic.noise import step

#: The hairline of the template: height in metres over longitude in degrees (0 the nose, 90 the ear, 180 the nape).
HAIRLINE_DEGREES = (0, 24, 38, 50, 60, 67, 73, 79, 84, 104, 112, 122, 140, 180)
HAIRLINE = (0.079, 0.080, 0.071, 0.049, 0.030, 0.012, -0.014, -0.014, 0.014, 0.014, -0.030, -0.060, -0.085, -0.092)

CURTAIN_COLUMNS, CURTAIN_ROWS = 48, 14


@dataclass(frozen=True)
class HairStyle:
    """How a subject wears the hair.

    Attributes:
        baldness: 0 to 1, how far the front hairline has gone back.
        thickness: metres that the hair stands off the scalp.
        fringe: metres that the front hair hangs below the hairline.
        length: metres below eye height that long hair reaches; 0 for short hair.
        opening: degrees from the nose at which long hair begins.
        wave: metres, of the curtain's folds.
        phase: of those folds, radians.
    """

    baldness: float
    thickness: float
    fringe: float
    length: float
    opening: float
    wave: float
    phase: float


def sample_style(rng: np.random.Generator, age: float, gender: float) -> HairStyle:
    """Draw a hair style."""
    male = gender > 0.5
    long = rng.random() < (0.07 if male else 0.7)
    bald = float(np.clip((age - 32) / 60 + rng.normal(0, 0.25), 0, 1)) if male else 0.0
    return HairStyle(
        baldness=0.3 * bald if long else bald,
        thickness=float(rng.uniform(0.003, 0.012) if male and not long else rng.uniform(0.009, 0.018)),
        fringe=float(rng.uniform(0.012, 0.035) * (rng.random() < (0.15 if male else 0.35)) * (bald < 0.25)),
        length=float(rng.uniform(0.12, 0.24) * long),
        opening=float(rng.uniform(60, 98)),
        wave=float(rng.uniform(0.001, 0.006)),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def above_hairline(place: np.ndarray, style: HairStyle) -> np.ndarray:
    """Height in metres of template positions ``(..., 3)`` above the hairline; negative where no hair grows."""
    longitude = np.degrees(np.arctan2(np.abs(place[..., 0]), place[..., 2]))
    line = np.interp(longitude, HAIRLINE_DEGREES, HAIRLINE)
    front = 1 - step(longitude, 35, 62)
    corner = step(longitude, 14, 34) * (1 - step(longitude, 48, 66))  # hair recedes at the temples first
    line = line + front * 0.040 * style.baldness**1.5 + corner * 0.020 * style.baldness - front * style.fringe
    return place[..., 1] - line


def hair_thickness(template: np.ndarray, ears: np.ndarray, style: HairStyle) -> np.ndarray:
    """How far hair stands off each vertex ``(N,)``, metres: it thins out towards its border."""
    height = above_hairline(template, style)
    grown = step(height, -0.004, 0.028) * (1 - ears)
    return (style.thickness * grown + 0.003 * step(height, -0.002, 0.004) * (1 - ears) * (style.fringe > 0)).astype(
        np.float32
    )


def curtain(rest: np.ndarray, skull: np.ndarray, style: HairStyle) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Long hair as a sheet around the back and sides of one head.

    Args:
        rest: ``(N, 3)`` vertices of the head.
        skull: ``(N,)`` bool, the vertices that the sheet must enclose.
        style: its length, opening and folds.

    Returns:
        Vertices ``(V, 3)``, triangles ``(F, 3)`` and texture coordinates ``(V, 2)``; all empty for short hair.
    """
    if style.length <= 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64), np.zeros((0, 2), np.float32)
    points = rest[skull]
    half_width = np.percentile(np.abs(points[:, 0]), 97) + style.thickness * 0.6
    back, front = points[:, 2].min() - style.thickness, points[:, 2].max()
    middle = 0.35 * front + 0.65 * back
    top = np.percentile(points[:, 1], 99)
    angle = np.radians(np.linspace(style.opening, 360 - style.opening, CURTAIN_COLUMNS))
    fall = np.linspace(0, 1, CURTAIN_ROWS)[:, None]
    high = 0.55 * top
    ends = -style.length + 0.012 * np.sin(5 * angle + style.phase) - 0.02 * np.cos(angle)
    y = high + fall * (ends - high)
    # The sheet leaves the scalp, widens past the ears, and hangs straight.
    widen = 0.86 + 0.17 * np.sin(np.clip(fall * 1.6, 0, 1) * np.pi / 2)
    fold = 1 + (style.wave / half_width) * fall * np.sin(17 * angle + style.phase + 2 * fall)
    x = half_width * widen * fold * np.sin(angle)
    z = middle + (middle - back) * widen * fold * np.cos(angle)
    z = np.where(np.cos(angle) > 0, middle + 0.045 * widen * np.cos(angle), z)
    vertices = np.stack([x, np.broadcast_to(y, x.shape), z], axis=-1).reshape(-1, 3).astype(np.float32)

    index = np.arange(CURTAIN_ROWS * CURTAIN_COLUMNS).reshape(CURTAIN_ROWS, CURTAIN_COLUMNS)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    triangles = np.concatenate([np.stack([a, d, c], axis=1), np.stack([a, c, b], axis=1)])
    across = np.broadcast_to(np.linspace(0, 1, CURTAIN_COLUMNS)[None, :], x.shape)
    down = np.broadcast_to(1 - fall, x.shape)
    return vertices, triangles, np.stack([across, down], axis=-1).reshape(-1, 2).astype(np.float32)
