"""Spectacles: rims, bridge and temples as thin tubes, fitted to one head. The lenses are clear and not drawn."""

from dataclasses import dataclass

import numpy as np

#: Share of people with glasses at 20 years, and how much it grows to 70.
WEARERS, WEARERS_WITH_AGE = 0.18, 0.30
RIM_POINTS, TUBE_SIDES = 40, 6
#: Frame colours (sRGB): black, dark brown, tortoise, steel, gold, wine.
COLOURS = np.array(
    [(22, 22, 24), (52, 36, 28), (96, 62, 36), (128, 130, 134), (150, 122, 72), (92, 30, 38)], dtype=np.float32
)
CLEARANCE = 0.0015  # m between rims and skin


@dataclass(frozen=True)
class Glasses:
    """One subject's glasses.

    Attributes:
        half_width, half_height: of a lens, metres.
        squareness: exponent of the rim's outline: 2 an ellipse, more is squarer.
        drop: metres that the lens' centre lies below the eye's.
        thickness: radius of the rim, metres.
        colour: ``(3,)`` sRGB 0..255.
    """

    half_width: float
    half_height: float
    squareness: float
    drop: float
    thickness: float
    colour: np.ndarray


def sample_glasses(rng: np.random.Generator, age: float) -> Glasses | None:
    """Draw the glasses of one subject, or none; older people wear them more often."""
    worn = rng.random() < WEARERS + WEARERS_WITH_AGE * np.clip((age - 20) / 50, 0, 1)
    width = rng.uniform(0.0215, 0.0255)
    glasses = Glasses(
        half_width=float(width),
        half_height=float(width * rng.uniform(0.62, 0.95)),
        squareness=float(rng.choice([2.0, rng.uniform(2.4, 5.0)])),
        drop=float(rng.uniform(0.001, 0.004)),
        thickness=float(rng.choice([rng.uniform(0.0005, 0.0008), rng.uniform(0.0010, 0.0017)])),
        colour=COLOURS[rng.integers(len(COLOURS))] * np.float32(rng.uniform(0.8, 1.2)),
    )
    return glasses if worn else None


def fit(
    glasses: Glasses, rest: np.ndarray, skin: np.ndarray, eyes: tuple[np.ndarray, np.ndarray], ears: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mesh of the glasses on one head: vertices ``(V, 3)`` in metres and triangles ``(F, 3)``.

    Args:
        glasses: their shape.
        rest: ``(N, 3)`` vertices of the head at rest.
        skin: ids of the skin's vertices.
        eyes: ids of the vertices of the left and the right eyeball.
        ears: ids of the ears' vertices.
    """
    centres = np.array([rest[eye].mean(axis=0) for eye in eyes])
    apart = abs(centres[0, 0] - centres[1, 0]) / 2
    # Lenses leave room for the nose, and sit where the pupils are or a little further out.
    middle = max(apart, glasses.half_width + 0.0075)
    level = float(centres[:, 1].mean()) - glasses.drop
    angle = np.linspace(0, 2 * np.pi, RIM_POINTS, endpoint=False)
    power = 2 / glasses.squareness
    across = glasses.half_width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    up = glasses.half_height * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    outline = np.stack([middle + across, level + up], axis=1)

    # One gently curved front for both lenses, as far back as lids, cheeks and nose let it.
    near = rest[skin]
    near = near[(np.abs(near[:, 1] - level) < glasses.half_height + 0.004) & (near[:, 2] > 0.03)]
    bow, tilt = 2.2, 0.12

    def behind(points: np.ndarray) -> np.ndarray:
        return -bow * points[:, 0] ** 2 + tilt * (points[:, 1] - level)

    distance = np.hypot(np.abs(near[:, None, 0]) - outline[:, 0], near[:, None, 1] - outline[:, 1]).min(axis=1)
    touching = near[distance < 0.004]
    front = float((touching[:, 2] - behind(touching)).max()) + CLEARANCE if len(touching) else 0.10
    front = max(front, float(max(rest[eye][:, 2].max() for eye in eyes)) + 0.010 + bow * apart**2)

    def placed(points: np.ndarray) -> np.ndarray:
        return np.column_stack([points, front + behind(points)])

    hinge = placed(np.array([[middle + glasses.half_width, level + 0.45 * glasses.half_height]]))[0]
    ear = rest[ears][rest[ears][:, 0] > 0]
    over = ear[ear[:, 1] > np.percentile(ear[:, 1], 85)].mean(axis=0)
    over[0] = max(over[0] - 0.004, hinge[0] - 0.004)
    temple = hinge + np.linspace(0, 1, 8)[:, None] * (over - hinge)
    temple[1:-1, 0] += 0.004  # bends around the head
    inner = middle - glasses.half_width
    spread = np.linspace(-inner, inner, 9)
    arch = level + 0.30 * glasses.half_height + 0.004 * (1 - (spread / inner) ** 2)
    bridge = placed(np.column_stack([spread, arch]))

    rim = placed(outline)
    mirror = np.array([-1.0, 1.0, 1.0])
    tubes = [
        _tube(rim, glasses.thickness, closed=True),
        _tube(rim * mirror, glasses.thickness, closed=True),
        _tube(temple, 1.3 * glasses.thickness, closed=False),
        _tube(temple * mirror, 1.3 * glasses.thickness, closed=False),
        _tube(bridge, 1.1 * glasses.thickness, closed=False),
    ]
    counts = np.cumsum([0, *(len(vertices) for vertices, _ in tubes)])
    triangles = [triangles + start for (_, triangles), start in zip(tubes, counts[:-1], strict=True)]
    return np.concatenate([vertices for vertices, _ in tubes]).astype(np.float32), np.concatenate(triangles)


def _tube(course: np.ndarray, radius: float, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """A tube along points ``(P, 3)``: vertices and triangles."""
    ahead = np.roll(course, -1, axis=0) - np.roll(course, 1, axis=0) if closed else np.gradient(course, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    reference = np.array([0.0, 1.0, 0.0]) if abs(ahead[:, 2]).mean() > 0.7 else np.array([0.0, 0.0, 1.0])
    side = np.cross(ahead, reference)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(side, ahead)
    angle = np.linspace(0, 2 * np.pi, TUBE_SIDES, endpoint=False)[None, :, None]
    vertices = course[:, None] + radius * (np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None])
    rows = len(course)
    index = np.arange(rows * TUBE_SIDES).reshape(rows, TUBE_SIDES)
    following = np.roll(index, -1, axis=0)
    if not closed:
        index, following = index[:-1], following[:-1]
    a, b = index, np.roll(index, -1, axis=1)
    c, d = np.roll(following, -1, axis=1), following
    triangles = np.concatenate(
        [np.stack([a, b, c], axis=-1).reshape(-1, 3), np.stack([a, c, d], axis=-1).reshape(-1, 3)]
    )
    return vertices.reshape(-1, 3), triangles
