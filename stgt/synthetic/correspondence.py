"""Where MediaPipe's 478 landmarks lie on the head: a point of a triangle for each, found once and kept as a file.

``surface_points`` finds them from rendered heads in which MediaPipe found the face: a landmark's ray is cast back onto
the mesh, and the median over many heads is the landmark's place on the template. ``Correspondence.load()`` reads the
file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from stgt.errors import StgtError
from stgt.files import write_text
from stgt.synthetic.anny_data import HeadData

#: The landmarks of the irises lie on the eyeballs: the subject's right eye first.
IRISES = {"right_eye": range(468, 473), "left_eye": range(473, 478)}
#: Landmarks on the edges of the lips. With the mouth closed a ray cannot tell the upper inner edge from the lower, with
#: the mouth open it may pass between them: the inner edge is instead where the mesh stays nearest to the landmark.
LIPS = (*(61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), *(146, 91, 181, 84, 17, 314, 405, 321, 375))
INNER_LIPS = (*(78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), *(95, 88, 178, 87, 14, 317, 402, 318, 324))
_NAME = "landmarks.json"


@dataclass(frozen=True, eq=False)
class Correspondence:
    """A point on the head for each of MediaPipe's landmarks.

    Attributes:
        vertices: ``(478, 3)`` the corners of its triangle.
        weights: ``(478, 3)`` of the corners, summing to 1.
    """

    vertices: np.ndarray
    weights: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Anything given per vertex ``(..., N, C)`` -> per landmark ``(..., 478, C)``."""
        return (points[..., self.vertices, :] * self.weights[..., None]).sum(axis=-2)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        import json

        content = {"vertices": self.vertices.tolist(), "weights": np.round(self.weights, 4).tolist()}
        write_text(path, json.dumps(content) + "\n")

    @classmethod
    @cache
    def load(cls) -> "Correspondence":
        """The one that comes with the package."""
        import json

        content = json.loads((resources.files("stgt.synthetic") / _NAME).read_text(encoding="utf-8"))
        return cls(np.array(content["vertices"]), np.array(content["weights"], np.float32))


def surface_points(
    data: HeadData, seen: np.ndarray, tracked: np.ndarray, mouth_open: np.ndarray, least: int = 20
) -> Correspondence:
    """Cast the landmarks of rendered frames back on the heads.

    Args:
        data: the head.
        seen: ``(F, N, 3)`` all vertices of the heads in the picture, as ``Camera.project`` gives them.
        tracked: ``(F, 478, 2)`` pixels, the landmarks that MediaPipe found in the same frames.
        mouth_open: ``(F,)`` which frames tell the upper lip from the lower.
        least: hits that a landmark needs.

    Raises:
        StgtError: too few frames hit a landmark.
    """
    vertices, weights = np.zeros((478, 3), np.int64), np.zeros((478, 3), np.float32)
    skin = _front(data.triangles["skin"], data.template)
    groups: list[tuple[Sequence[int], np.ndarray]] = [(range(468), skin)]
    groups += [(IRISES[part], data.triangles[part]) for part in IRISES]
    for landmarks, triangles in groups:
        places = np.stack(
            [_cast(flat[landmarks], frame, triangles, data.template) for frame, flat in zip(seen, tracked, strict=True)]
        )
        for row, landmark in enumerate(landmarks):
            hits = places[np.isfinite(places[:, row, 0]), row]
            if len(hits) < least:
                raise StgtError(f"landmark {landmark} was hit in {len(hits)} frames; {least} are needed: render more")
            vertices[landmark], weights[landmark] = _nearest_point(np.median(hits, axis=0), triangles, data.template)
    lips = np.unique(skin[np.isin(skin, vertices[list(LIPS)]).any(axis=1)])
    for landmark in INNER_LIPS:
        off = np.linalg.norm(seen[mouth_open][:, lips, :2] - tracked[mouth_open, landmark][:, None], axis=-1)
        vertices[landmark], weights[landmark] = lips[off.mean(axis=0).argmin()], (1, 0, 0)
    return Correspondence(vertices, weights)


def _front(triangles: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The triangles of the face: not those of the back of the head, nor of the inside of mouth, nose and lids."""
    corners = template[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = normal[:, 2] > 0.15 * np.linalg.norm(normal, axis=1)
    return triangles[facing & (corners[..., 2].mean(axis=1) > 0.0)]


def _cast(flat: np.ndarray, seen: np.ndarray, triangles: np.ndarray, template: np.ndarray) -> np.ndarray:
    """``(L, 3)`` places on the template under the pixels ``(L, 2)``: of the foremost triangle; NaN where none is."""
    corners = seen[triangles]  # (F, 3, 3)
    a, b, c = corners[:, 0, :2], corners[:, 1, :2], corners[:, 2, :2]
    area = _cross(b - a, c - a)
    area = np.where(np.abs(area) < 1e-9, np.nan, area)
    p = flat[:, None]
    shares = np.stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)], axis=-1) / area[:, None]
    inside = (shares >= 0).all(axis=-1)
    depth = np.where(inside, (shares * corners[None, :, :, 2]).sum(axis=-1), np.inf)
    first = depth.argmin(axis=1)
    rows = np.arange(len(flat))
    place = (shares[rows, first][:, :, None] * template[triangles[first]]).sum(axis=1)
    return np.where(inside.any(axis=1)[:, None], place, np.nan)


def _nearest_point(place: np.ndarray, triangles: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangle and weights of the point of the surface nearest to ``place``."""
    corners = template[triangles].astype(np.float64)
    near = np.argsort(np.linalg.norm(corners.mean(axis=1) - place, axis=1))[:40]
    best = min(near, key=lambda index: _distance(place, corners[index])[0])
    return triangles[best], _distance(place, corners[best])[1]


def _distance(place: np.ndarray, corners: np.ndarray) -> tuple[float, np.ndarray]:
    """Distance of a point from a triangle, and the weights of the nearest point of it (by least squares, clipped)."""
    edges = (corners[1:] - corners[0]).T
    share = np.clip(np.linalg.lstsq(edges, place - corners[0], rcond=None)[0], 0, 1)
    share /= max(1.0, share.sum())
    weights = np.array([1 - share.sum(), *share])
    return float(np.linalg.norm(weights @ corners - place)), weights


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
