"""From a source to its landmark track and face crops, in one pass over the frames."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stgt.errors import SourceError
from stgt.faces.crops import CropSequence, crop_face, encode_crop
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS, LandmarkTrack
from stgt.faces.video import FrameSource, open_source

logger = logging.getLogger("stgt")


def extract(
    source: FrameSource | Path | str | int,
    *,
    landmarker: FaceLandmarker | None = None,
    frame_rate: float | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[LandmarkTrack, CropSequence]:
    """Track the face of a source and cut its crops.

    Args:
        source: what `open_source` takes, or an open source (which then stays open).
        landmarker: one to use again for many sources; it is reset first. By default one is made.
        frame_rate: Hz, of an image folder.
        start_s: first and
        end_s: last second to read. Like ``frame_rate`` they are only for a source that is opened here.
        progress: called after every frame with the frames done and expected (``None`` if unknown).

    Returns:
        The track and its crops, one of each per frame; frames without a face are invalid. A source without any face
        gives a track without a valid frame, and a warning.

    Raises:
        SourceError: the source cannot be read, or has no frame between ``start_s`` and ``end_s``.
    """
    with contextlib.ExitStack() as stack:
        if not isinstance(source, FrameSource):
            source = stack.enter_context(open_source(source, frame_rate, start_s, end_s))
        if landmarker is None:
            landmarker = stack.enter_context(FaceLandmarker())
        else:
            landmarker.reset()
        times: list[float] = []
        faces: list[Landmarks | None] = []
        jpegs: list[bytes] = []
        for now_s, rgb in source:
            face = landmarker.detect(now_s, rgb)
            times.append(now_s)
            faces.append(face)
            jpegs.append(b"" if face is None else encode_crop(crop_face(rgb, face.points)))
            if progress is not None:
                progress(len(times), source.frame_count)
    if not times:
        raise SourceError(f"{source.name}: no frame lies in the part that was asked for")
    track = build_track(times, faces, source.image_size, source.name)
    if not track.valid.any():
        logger.warning("%s: no face was found in any of its %d frames", source.name, len(track))
    return track, CropSequence.from_jpegs(jpegs)


def build_track(
    times: list[float], faces: list[Landmarks | None], image_size: tuple[int, int], source: str
) -> LandmarkTrack:
    """A track from one detection (or ``None``) per time."""
    count = len(times)
    points = np.zeros((count, LANDMARKS, 3), np.float32)
    blendshapes = np.zeros((count, BLENDSHAPES), np.float32)
    transforms = np.zeros((count, 4, 4), np.float32)
    for index, face in enumerate(faces):
        if face is not None:
            points[index], blendshapes[index], transforms[index] = face
    valid = np.array([face is not None for face in faces], bool)
    return LandmarkTrack(points, np.array(times), valid, blendshapes, transforms, image_size, source)
