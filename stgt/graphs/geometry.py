"""The geometry stream: what a model reads of the moving landmarks."""

import numpy as np
from numpy.typing import NDArray

from stgt.errors import StgtError
from stgt.graphs.alignment import align_faces
from stgt.graphs.layout import NodeLayout

#: Channels of the geometry stream: x, y, z of position, motion, bone and displacement.
GEOMETRY_CHANNELS = 12

#: Standard deviations of the raw channels over rendered and filmed faces (single recordings: within a factor of two);
#: dividing by them gives about unit variance. Constants, so that a window's features depend on nothing but the window.
POSITION_SCALE = np.array((0.03, 0.045, 0.03), np.float32)  # inter-ocular units
MOTION_SCALE = np.array((0.1, 0.2, 0.12), np.float32)  # inter-ocular units per second
BONE_SCALE = np.array((0.02, 0.02, 0.015), np.float32)  # inter-ocular units
DISPLACEMENT_SCALE = np.array((0.02, 0.03, 0.02), np.float32)  # inter-ocular units


def aligned_nodes(points: NDArray[np.floating], valid: NDArray[np.bool_], layout: NodeLayout) -> NDArray[np.float32]:
    """(T, 478, 3) in image pixels -> (T, V, 3), the layout's nodes on the aligned faces; see ``align_faces``."""
    return align_faces(points, valid, layout.landmarks)


def geometry_stream(
    points: NDArray[np.floating],
    valid: NDArray[np.bool_],
    layout: NodeLayout,
    frame_rate: float,
    *,
    neutral: NDArray[np.floating] | None = None,
    aligned: bool = False,
) -> NDArray[np.float32]:
    """Position, motion, bone and displacement of every node in every frame of a window.

    Position is the node's displacement from the reference face; motion the difference to the previous valid frame over
    the time between them (zero in the first valid frame); bone the displacement of the vector from the node's parent to
    the node; displacement is the difference from the person's own face at rest. Each is divided by a constant (see
    ``POSITION_SCALE``).

    Args:
        points: (T, 478, 3) of a window, in image pixels; with ``aligned``, (T, V, 3) as ``aligned_nodes`` returns them.
        valid: (T,) which frames hold a face.
        layout: which landmarks are nodes.
        frame_rate: Hz of the window.
        neutral: (V, 3) aligned nodes of the person's neutral face (see ``stgt.graphs.neutral``); none: the average
            face, the reference.
        aligned: whether the points are aligned nodes already (augmentation works on these).

    Returns:
        (T, V, 12) float32; zeros where invalid.

    Raises:
        StgtError: another shape than the one above.
    """
    nodes = np.asarray(points) if aligned else aligned_nodes(points, valid, layout)
    valid = np.asarray(valid, bool)
    if nodes.ndim != 3 or nodes.shape[1:] != (len(layout), 3) or valid.shape != nodes.shape[:1]:
        raise StgtError(
            f"geometry_stream takes aligned nodes of shape (T, {len(layout)}, 3) for the layout {layout.name} "
            f"and valid of shape (T,), not {nodes.shape} and {valid.shape}"
        )
    stream = np.zeros((len(nodes), len(layout), GEOMETRY_CHANNELS), np.float32)
    frames = np.flatnonzero(valid)
    if not len(frames):
        return stream
    position = nodes[frames] - layout.reference
    motion = np.zeros_like(position)
    elapsed = np.diff(frames) / np.float32(frame_rate)
    motion[1:] = np.diff(position, axis=0) / elapsed[:, None, None]
    stream[frames, :, 0:3] = position / POSITION_SCALE
    stream[frames, :, 3:6] = motion / MOTION_SCALE
    stream[frames, :, 6:9] = (position - position[:, layout.parents]) / BONE_SCALE
    rest = layout.reference if neutral is None else np.asarray(neutral, np.float32)
    stream[frames, :, 9:12] = (nodes[frames] - rest) / DISPLACEMENT_SCALE
    return stream
