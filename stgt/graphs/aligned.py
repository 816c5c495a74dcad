"""A landmark track without head position, distance and rotation: what windows are cut from.

Every frame is aligned once and for itself alone, before anything is interpolated between frames; a recording and a
camera's buffer therefore hold the same faces, and a new frame costs one alignment, however many windows show it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stgt.graphs.geometry import aligned_nodes
from stgt.graphs.layout import NodeLayout
from stgt.graphs.partial import align_partial
from stgt.graphs.windows import TIME_TOLERANCE_S

if TYPE_CHECKING:
    from stgt.faces.tracks import LandmarkTrack


@dataclass(frozen=True, eq=False)
class AlignedTrack:
    """The N frames of one face.

    Attributes:
        points: (N, V, 3) float32 aligned nodes, inter-ocular units; zeros where invalid.
        blendshapes: (N, 52) float32; NaN where the track does not know them.
        times: (N,) float64 s, ascending.
        valid: (N,) which frames hold a face.
    """

    points: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    times: NDArray[np.float64]
    valid: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.times)

    def between(self, after_s: float, until_s: float) -> "AlignedTrack":
        """The frames later than ``after_s``, up to ``until_s``; views of the same arrays."""
        first, last = np.searchsorted(self.times, (after_s + TIME_TOLERANCE_S, until_s + TIME_TOLERANCE_S))
        kept = slice(first, last)
        return AlignedTrack(self.points[kept], self.blendshapes[kept], self.times[kept], self.valid[kept])


def align_track(track: "LandmarkTrack", layout: NodeLayout) -> AlignedTrack:
    """All frames of a track, aligned.

    Raises:
        StgtError: the track does not know all nodes of the layout.
    """
    if track.known is None and track.has_depth:
        points, valid = aligned_nodes(track.points, track.valid, layout), track.valid
    else:
        points, valid = align_partial(track, layout)
    return AlignedTrack(points, track.blendshapes, track.times, valid)
