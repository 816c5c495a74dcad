"""The texture layout of the skin, and maps of what lies where on it.

anny's own texture layout gives the face a thirtieth of the picture. This one looks at the head from its centre
(longitude across, latitude up), so that the face gets half a millimetre per texel, and it stores for every texel the
place on the template mesh that it shows: colours can be painted as functions of that place, and move with the skin.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 1024, 512  # texels: longitude, latitude
CAVITY_ROWS = 8  # rows at the very bottom, straight below the head, that hold the colour of the mouth's inside


@dataclass(frozen=True)
class Atlas:
    """Where the triangles of the head and neck lie in the texture, and what each texel shows.

    Attributes:
        source: ``(M,)`` int32, the mesh vertex of each textured vertex (seams need some twice).
        coordinates: ``(M, 2)`` float32 texture coordinates; u grows to the person's left and may pass 1 at the back.
        triangles: ``(F, 3)`` int32 into the M textured vertices.
        torso: ``(G, 3)`` int32 into the mesh vertices: what lies below the collar and is clothed.
        place: ``(HEIGHT, WIDTH, 3)`` float32 template position in metres; row 0 is the bottom.
        covered: ``(HEIGHT, WIDTH)`` uint8, 1 where a triangle lies.
        masks: ``(4, HEIGHT, WIDTH)`` uint8, 0 to 255, in the order of ``MASKS``.
        ear_vertices: ``(N,)`` uint8, 1 for mesh vertices of the ears.
    """

    source: np.ndarray
    coordinates: np.ndarray
    triangles: np.ndarray
    torso: np.ndarray
    place: np.ndarray
    covered: np.ndarray
    masks: np.ndarray
    ear_vertices: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields as a dict of arrays."""
        return asdict(self)

    def mask(self, name: str) -> np.ndarray:
        """``(HEIGHT, WIDTH)`` float32 in 0..1: ``lips``, ``lids``, ``ears`` or ``face``."""
        return self.masks[MASKS.index(name)].astype(np.float32) / 255


MASKS = ("lips", "lids", "ears", "face")
MASK_FILES = {"lips": "mpfb_lips.jpg", "lids": "mpfb_eyelids.jpg", "ears": "mpfb_ears.jpg", "face": "mpfb_face.jpg"}
CAVITY_FILE = "mpfb_inside-mouth.jpg"
CENTRE = np.array([0.0, -0.03, 0.0])  # m, where the atlas is looked at from: behind the nose
FRONT_STRETCH = 0.4  # how much more room the front of the head gets than the back


def spherical(points: np.ndarray) -> np.ndarray:
    """Template positions ``(..., 3)`` to texture coordinates ``(..., 2)``: longitude (stretched) and latitude, 0..1."""
    x, y, z = np.moveaxis(points - CENTRE, -1, 0)
    longitude = np.arctan2(x, z) / np.pi
    longitude = longitude * (1 + FRONT_STRETCH * (1 - longitude**2)) / 2
    latitude = np.arctan2(y, np.hypot(x, z)) / np.pi
    return np.stack([0.5 + longitude, 0.5 + latitude], axis=-1)


def build_atlas(template: np.ndarray, triangles: np.ndarray, corner_uv: np.ndarray, textures: Path) -> Atlas:
    """Lay the skin out.

    Args:
        template: ``(N, 3)`` mesh vertices in metres.
        triangles: ``(F, 3)`` of the skin.
        corner_uv: ``(F, 3, 2)`` of the triangles' corners in MakeHuman's own texture layout, that of its masks.
        textures: folder with the masks.
    """
    ears = np.zeros(len(template), np.uint8)
    ears[triangles[_sample(textures / MASK_FILES["ears"], corner_uv) > 0.5]] = 1

    clothed = _below_collar(template[triangles].mean(axis=1))
    torso, triangles, corner_uv = triangles[clothed], triangles[~clothed], corner_uv[~clothed]
    cavity = _sample(textures / CAVITY_FILE, corner_uv.mean(axis=1)) > 0.5
    uv = spherical(template)[triangles]
    # Triangles that cross the seam at the back of the head are moved past the right edge, where the texture repeats.
    crossing = np.ptp(uv[:, :, 0], axis=1) > 0.5
    uv[:, :, 0] += crossing[:, None] & (uv[:, :, 0] < 0.5)
    uv[cavity] = (0.5, 0.5 * CAVITY_ROWS / HEIGHT)

    keys = np.stack([triangles.ravel(), (uv[:, :, 0] > 1).ravel(), np.repeat(cavity, 3)], axis=1)
    unique, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    place, covered, source_uv = _rasterise(uv[~cavity], template[triangles[~cavity]], corner_uv[~cavity])
    masks = np.stack([_sample(textures / MASK_FILES[name], source_uv) * covered for name in MASKS])
    return Atlas(
        source=unique[:, 0].astype(np.int32),
        coordinates=uv.reshape(-1, 2)[first].astype(np.float32),
        triangles=inverse.reshape(-1, 3).astype(np.int32),
        torso=torso.astype(np.int32),
        place=place.astype(np.float32),
        covered=covered.astype(np.uint8),
        masks=np.round(masks * 255).astype(np.uint8),
        ear_vertices=ears,
    )


def _below_collar(points: np.ndarray) -> np.ndarray:
    """Whether positions ``(..., 3)`` lie on the torso: seen from inside the head it would hide behind the neck."""
    from_neck = np.hypot(points[..., 0], points[..., 2] + 0.025)
    shoulders = (from_neck > 0.074) & (points[..., 1] < -0.112) & (points[..., 2] < 0.03)
    return (points[..., 1] < -0.142) | shoulders


def _sample(path: Path, uv: np.ndarray) -> np.ndarray:
    """Values 0..1 of a grey picture at texture coordinates ``(..., 2)``, bilinear."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    height, width = picture.shape
    x = (uv[..., 0] * width - 0.5).astype(np.float32).reshape(len(uv), -1)
    y = ((1 - uv[..., 1]) * height - 0.5).astype(np.float32).reshape(len(uv), -1)
    return (cv2.remap(picture, x, y, cv2.INTER_LINEAR) / 255.0).reshape(uv.shape[:-1])


def _rasterise(uv: np.ndarray, corners: np.ndarray, extra: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolate corner positions and ``extra`` over the texels; where triangles overlap the outermost wins."""
    place = np.zeros((HEIGHT, WIDTH, 3))
    other = np.zeros((HEIGHT, WIDTH, 2))
    radius = np.zeros((HEIGHT, WIDTH))
    texels = uv * (WIDTH, HEIGHT) - 0.5
    for triangle, corner, values in zip(texels, corners, extra, strict=True):
        low = np.floor(triangle.min(axis=0)).astype(int)
        high = np.ceil(triangle.max(axis=0)).astype(int)
        xs, ys = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        (ax, ay), (bx, by), (cx, cy) = triangle
        area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
        if abs(area) < 1e-12:
            continue
        wa = ((by - cy) * (xs - cx) + (cx - bx) * (ys - cy)) / area
        wb = ((cy - ay) * (xs - cx) + (ax - cx) * (ys - cy)) / area
        weights = np.stack([wa, wb, 1 - wa - wb], axis=-1)
        # A margin of most of a texel, so that bilinear lookups at a border find painted texels on both sides.
        inside = (weights.min(axis=-1) > -0.35) & (ys >= 0) & (ys < HEIGHT)
        if not inside.any():
            continue
        weights = np.clip(weights[inside], 0, 1)
        weights /= weights.sum(axis=-1, keepdims=True)
        rows, columns = ys[inside], xs[inside] % WIDTH
        points = np.einsum("kc,cd->kd", weights, corner)
        distance = np.linalg.norm(points - CENTRE, axis=-1)
        outer = distance > radius[rows, columns]
        rows, columns = rows[outer], columns[outer]
        place[rows, columns] = points[outer]
        other[rows, columns] = np.einsum("kc,cd->kd", weights[outer], values)
        radius[rows, columns] = distance[outer]
    return place, radius > 0, other
