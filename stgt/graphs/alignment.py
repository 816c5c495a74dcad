"""The reference face, and the rigid alignment of tracked faces to it.

Coordinates of aligned points: x to the right of the image, y down, z as MediaPipe has it (negative towards the camera);
the origin is the midpoint of the outer eye corners, and the unit is their distance on the reference face (the
inter-ocular distance of the 300-W convention).
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from stgt.errors import StgtError

#: Landmarks of MediaPipe's face mesh with the two irises.
MESH_POINTS = 478

#: Outer corner of the subject's right eye (left in the image) and of the left eye; their distance is the unit.
OUTER_EYE_CORNERS = (33, 263)


@dataclass(frozen=True, eq=False)
class ReferenceFace:
    """A frontal, neutral, left-right symmetric mean face on MediaPipe's mesh, measured by us (``build_layouts.py``).

    Attributes:
        points: (478, 3) float32 in inter-ocular units.
        mirror: (478,) the landmark on the other side; an involution.
        stable: landmarks that expressions hardly move; alignment rests on them alone.
        actions: (52,) float32, MediaPipe's blendshapes of such a face.
    """

    points: NDArray[np.float32]
    mirror: NDArray[np.int64]
    stable: NDArray[np.int64]
    actions: NDArray[np.float32]


@cache
def load_reference_face() -> ReferenceFace:
    """The reference face that comes with the package (read once)."""
    import json

    text = (resources.files("stgt.graphs") / "layouts" / "reference_face.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return ReferenceFace(
        points=np.array(data["points"], np.float32),
        mirror=np.array(data["mirror"], np.int64),
        stable=np.array(data["stable"], np.int64),
        actions=np.array(data["actions"], np.float32),
    )


def similarity_transforms(
    moving: NDArray[np.floating], fixed: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares similarity transforms that bring each of N point sets onto one fixed set.

    ``fixed ~ scale * R @ moving + shift``, in the closed form of Umeyama (IEEE TPAMI 13(4), 1991), with one batched
    SVD for all sets.

    Args:
        moving: (N, K, 3) corresponding points.
        fixed: (K, 3).

    Returns:
        scale (N,), rotation (N, 3, 3) without reflections, shift (N, 3). A degenerate set (all points alike) gets
        scale 0.
    """
    moving = np.asarray(moving, np.float64)
    fixed = np.asarray(fixed, np.float64)
    moving_centre, fixed_centre = moving.mean(axis=1), fixed.mean(axis=0)
    centred = moving - moving_centre[:, None]
    covariance = np.einsum("ki,nkj->nij", fixed - fixed_centre, centred)
    u, singular, vt = np.linalg.svd(covariance)
    flip = np.ones((len(moving), 3))
    flip[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = np.einsum("nij,nj,njk->nik", u, flip, vt)
    spread = np.square(centred).sum(axis=(1, 2))
    scale = np.divide((singular * flip).sum(axis=1), spread, out=np.zeros_like(spread), where=spread > 0)
    shift = fixed_centre - scale[:, None] * np.einsum("nij,nj->ni", rotation, moving_centre)
    return scale, rotation, shift


def align_faces(
    points: NDArray[np.floating], valid: NDArray[np.bool_], kept: NDArray[np.integer] | slice = slice(None)
) -> NDArray[np.float32]:
    """Remove head position, distance and rotation from every frame; what is left is expression and shape.

    Each frame is brought onto the reference face by the similarity transform that fits best at the stable landmarks
    (eye corners, bridge of the nose, forehead, temples), for itself alone, so that a frame looks the same in any
    window.

    Args:
        points: (T, 478, 3) in image pixels, z on the scale of x.
        valid: (T,) which frames hold a face.
        kept: which landmarks to return; all of them by default.

    Returns:
        (T, 478, 3), or fewer landmarks, in inter-ocular units; zeros where invalid.

    Raises:
        StgtError: another shape than the one above.
    """
    points, valid = np.asarray(points), np.asarray(valid, bool)
    if points.ndim != 3 or points.shape[1:] != (MESH_POINTS, 3) or valid.shape != points.shape[:1]:
        raise StgtError(
            f"align_faces takes points of shape (T, {MESH_POINTS}, 3) and valid of shape (T,), "
            f"not {points.shape} and {valid.shape}"
        )
    aligned = np.zeros(points[:, kept].shape, np.float32)
    if valid.any():
        face = load_reference_face()
        # Pixels far from the origin would cost float32 digits: the products below are of small centred numbers.
        tracked = points[valid].astype(np.float64)
        scale, rotation, shift = similarity_transforms(tracked[:, face.stable], face.points[face.stable])
        aligned[valid] = tracked[:, kept] @ (scale[:, None, None] * rotation).swapaxes(1, 2) + shift[:, None]
    return aligned
