"""From the arrays of another program's file to a LandmarkTrack: what both formats share."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgt.errors import SourceError
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS, LandmarkTrack
from stgt.graphs.layout import load_layout
from stgt.graphs.partial import facing_frames

#: Points of the 300-W annotation.
POINTS_68 = 68


def landmarks_68() -> NDArray[np.int64]:
    """(68,) the landmark of MediaPipe's mesh that is nearest to each point of the 300-W annotation, in its order."""
    return load_layout("landmarks68").landmarks


def times_of(
    path: Path, stamps: NDArray[np.float64] | None, frame_rate: float | None, numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(N,) the time of each frame in seconds: by the rate if one is given, else the file's own.

    Raises:
        SourceError: neither, or times that are all the same.
    """
    if frame_rate is not None:
        return numbers / frame_rate
    if stamps is None:
        raise SourceError(f"{path} does not say when its frames were taken; give the frame rate")
    if len(stamps) > 1 and stamps[0] == stamps[-1]:
        raise SourceError(f"{path}: all of its frames have the same time; give the frame rate")
    return stamps


def assembled(
    path: Path,
    points: NDArray[np.float64],
    valid: NDArray[np.bool_],
    times: NDArray[np.float64],
    landmarks: NDArray[np.int64],
    image_size: tuple[int, int] | None = None,
    blendshapes: NDArray[np.float32] | None = None,
    transforms: NDArray[np.float32] | None = None,
) -> LandmarkTrack:
    """A track from (T, V, 3) pixels of the V ``landmarks``; what is not given is unknown, as is a z of NaN.

    A face without depth that is turned away too far to be aligned counts as none.

    Raises:
        SourceError: the points are shares of the picture, not pixels, or the times run backwards.
    """
    seen = points[valid]
    if seen.size and np.ptp(seen[..., :2], axis=(0, 1)).max() <= 2:
        raise SourceError(
            f"{path}: the points lie between {seen[..., :2].min():.2f} and {seen[..., :2].max():.2f}, so they are "
            "shares of the picture; landmarks are pixels: multiply x by the picture's width and y by its height"
        )
    count = len(points)
    everything = np.full((count, LANDMARKS, 3), np.nan, np.float32)
    everything[:, landmarks] = points
    if blendshapes is None:
        blendshapes = np.full((count, BLENDSHAPES), np.nan, np.float32)
    if transforms is None:
        transforms = np.full((count, 4, 4), np.nan, np.float32)
    if seen.size and np.isnan(seen[..., 2]).all():
        valid = valid.copy()
        valid[valid] = facing_frames(everything[valid], np.sort(landmarks))
    for array in (everything, blendshapes, transforms):
        array[~valid] = 0
    if image_size is None:  # not told: a picture that holds all points
        far = np.ceil(seen[..., :2].max(axis=(0, 1))) if seen.size else (1, 1)
        image_size = (max(int(far[0]), 1), max(int(far[1]), 1))
    try:
        return LandmarkTrack(everything, times, valid, blendshapes, transforms, image_size, str(path))
    except ValueError as error:
        raise SourceError(f"{path} contradicts itself: {error}") from None
