"""From a source to its landmark track and face crops, in one pass over the frames."""

import contextlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from stgt.errors import SourceError
from stgt.faces.crops import CropSequence, crop_face, encode_crop
from stgt.faces.landmarker import MODEL_SHA256, FaceLandmarker, Landmarks
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS, LandmarkTrack
from stgt.faces.video import FrameSource, open_source

logger = logging.getLogger("stgt")

#: Changes whenever the tracks or crops of an unchanged video would: count up the first number when the code does it.
EXTRACTOR_VERSION = f"2+mediapipe{importlib.metadata.version('mediapipe')}+model{MODEL_SHA256[:8]}"


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
        frame_rate: Hz, of an image folder. This and the next two are only for a source that is opened here.
        start_s: first time to read.
        end_s: last time to read, itself included.
        progress: called after every frame with the frames done and expected (``None`` if unknown).

    Returns:
        The track and its crops, one of each per frame; frames without a face are invalid. A source without any face
        gives a track without a valid frame, and a warning.

    Raises:
        SourceError: the source cannot be read, or has no frame between ``start_s`` and ``end_s``.
    """
    times: list[float] = []
    faces: list[Landmarks | None] = []
    jpegs: list[bytes] = []
    with contextlib.ExitStack() as stack:
        if not isinstance(source, FrameSource):
            source = stack.enter_context(open_source(source, frame_rate, start_s, end_s))
        if landmarker is None:
            landmarker = stack.enter_context(FaceLandmarker())
        for now_s, rgb, face in follow_face(source, landmarker):
            times.append(now_s)
            faces.append(face)
            jpegs.append(b"" if face is None else encode_crop(crop_face(rgb, face.points)))
            if progress is not None:
                progress(len(times), source.frame_count)
    return build_track(times, faces, source.image_size, source.name), CropSequence.from_jpegs(jpegs)


def follow_face(
    source: FrameSource, landmarker: FaceLandmarker
) -> Iterator[tuple[float, np.ndarray, Landmarks | None]]:
    """Time, picture and face (``None`` without one) of every frame of a source, which the landmarker takes up anew."""
    landmarker.reset()
    for now_s, rgb in source:
        yield now_s, rgb, landmarker.detect(now_s, rgb)


def build_track(
    times: Sequence[float], faces: Sequence[Landmarks | None], image_size: tuple[int, int], source: str
) -> LandmarkTrack:
    """A track from one detection (or ``None``) per time; says so in a warning if there is no face at all.

    Raises:
        SourceError: there is not one frame.
    """
    count = len(times)
    if not count:
        raise SourceError(f"{source}: no frame lies in the part that was asked for")
    points = np.zeros((count, LANDMARKS, 3), np.float32)
    blendshapes = np.zeros((count, BLENDSHAPES), np.float32)
    transforms = np.zeros((count, 4, 4), np.float32)
    for index, face in enumerate(faces):
        if face is not None:
            points[index], blendshapes[index], transforms[index] = face
    valid = np.array([face is not None for face in faces], bool)
    if not valid.any():
        logger.warning("%s: no face was found in any of its %d frames", source, count)
    return LandmarkTrack(points, np.array(times), valid, blendshapes, transforms, image_size, source)
