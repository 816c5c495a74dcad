"""Alignment of tracks that know less than MediaPipe does: fewer landmarks, or no depth.

With depth a frame is brought onto the reference face as ever, by those stable landmarks that are known (of the 68
points of 300-W eight: eye corners, bridge of the nose, temples). Without depth it is taken for a distant view of the
reference face (scaled orthographic projection): the turn of the head is fitted at the stable landmarks and the nose,
and taken back as if every landmark had the reference's depth. All depth channels of such a face are zero. Both differ a
little from what the whole mesh gives, so a model reads best what it was trained on: one kind of tracks, not a mixture.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stgt.errors import StgtError
from stgt.graphs.alignment import MESH_POINTS, load_reference_face, similarity_transforms
from stgt.graphs.layout import LAYOUTS, NodeLayout, load_layout

if TYPE_CHECKING:
    from stgt.faces.tracks import LandmarkTrack

#: Tip, ridge and wings of the nose: nearly rigid, and what stands out most when a head turns.
NOSE = (5, 4, 98, 97, 2, 326, 327)

#: Landmarks without depth that a turn of the head can be fitted to.
FEWEST_FITTED = 6

#: Cosine of the turn beyond which the far half of a face without depth is a guess: 70 degrees.
LEAST_FACING = 0.34


def align_partial(track: "LandmarkTrack", layout: NodeLayout) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The layout's nodes of a track that does not know all landmarks or their depth.

    Returns:
        (T, V, 3) aligned nodes in inter-ocular units, zeros where invalid; and (T,) which frames hold a face that
        could be aligned: one without depth cannot where it is turned away.

    Raises:
        StgtError: the layout has nodes that the track does not know.
    """
    known = np.arange(MESH_POINTS) if track.known is None else track.known
    check_nodes(track.source, known, layout)
    fitted = fitted_landmarks(known, track.has_depth)
    seen = track.points[track.valid].astype(np.float64)
    aligned = np.zeros((len(track), len(layout), 3), np.float32)
    valid = track.valid.copy()
    if track.has_depth:
        aligned[valid] = in_space(seen, fitted, layout.landmarks)
    else:
        faces, facing = frontal(seen[..., :2], fitted, layout.landmarks)
        valid[track.valid] = facing
        aligned[valid] = faces[facing]
    return aligned, valid


def fitted_landmarks(known: NDArray[np.int64], has_depth: bool) -> NDArray[np.int64]:
    """The known landmarks that the alignment rests on."""
    stable = load_reference_face().stable
    fitted = stable if has_depth else np.union1d(stable, NOSE)
    return fitted[np.isin(fitted, known)]


def facing_frames(points: NDArray[np.floating], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) which of (N, 478, 2 or 3) faces, whose depth is unknown, are turned little enough to be aligned."""
    fitted = fitted_landmarks(known, has_depth=False)
    if len(fitted) < FEWEST_FITTED:
        return np.ones(len(points), bool)  # nothing can be aligned, which whoever tries will be told
    return frontal(points[..., :2].astype(np.float64), fitted, fitted[:0])[1]


def check_nodes(source: str, known: NDArray[np.int64], layout: NodeLayout) -> None:
    """Raise StgtError when ``layout`` has nodes that are not among the ``known`` landmarks."""
    unknown = np.setdiff1d(layout.landmarks, known)
    if not len(unknown):
        return
    fitting = [name for name in LAYOUTS if not len(np.setdiff1d(load_layout(name).landmarks, known))]
    advice = f"use model.layout={fitting[0]}" if fitting else "no layout fits, so it cannot be read"
    raise StgtError(
        f"{source} knows {len(known)} landmarks, and {len(unknown)} nodes of the layout {layout.name} are not among "
        f"them; {advice}"
    )


def in_space(points: NDArray[np.float64], fitted: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, V, 3) the ``kept`` landmarks of (N, 478, 3) faces, brought onto the reference face at the ``fitted`` ones."""
    scale, rotation, shift = similarity_transforms(points[:, fitted], load_reference_face().points[fitted])
    return points[:, kept] @ (scale[:, None, None] * rotation).swapaxes(1, 2) + shift[:, None]


def frontal(
    points: NDArray[np.float64], fitted: NDArray[np.int64], kept: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Faces without depth, turned to the front.

    The affine map from the reference face to the picture is fitted by least squares; the nearest scaled rotation to it
    (by its singular values) is the head's. With the depth of the reference face, x and y then follow from two equations
    per landmark.

    Args:
        points: (N, 478, 2) pixels.
        fitted: landmarks by which the turn is found.
        kept: landmarks to return.

    Returns:
        (N, V, 3), z that of the reference face; and (N,) whether the face is turned little enough.
    """
    reference = load_reference_face().points.astype(np.float64)
    centre = reference[fitted].mean(axis=0)
    shape = reference[fitted] - centre
    middle = points[:, fitted].mean(axis=1, keepdims=True)
    affine = np.einsum("nki,kj->nij", points[:, fitted] - middle, shape) @ np.linalg.inv(shape.T @ shape)
    u, singular, vt = np.linalg.svd(affine, full_matrices=False)
    rows, scale = u @ vt, singular.mean(axis=1)
    facing = np.linalg.det(rows[:, :, :2])
    good = (facing > LEAST_FACING) & (scale > 0)
    faces = np.zeros((len(points), len(kept), 3))
    depth = reference[kept, 2] - centre[2]
    flat = (points[good][:, kept] - middle[good]) / scale[good, None, None]
    flat = flat - depth[None, :, None] * rows[good, None, :, 2]
    faces[good, :, :2] = flat @ np.linalg.inv(rows[good, :, :2]).swapaxes(1, 2) + centre[:2]
    faces[good, :, 2] = reference[kept, 2]
    return faces, good
