"""npz in the manner of pyskl's annotations (Duan et al., ACM MM 2022), as plain arrays: nothing is ever unpickled.

``keypoint (M, T, V, C)`` in pixels, ``keypoint_score (M, T, V)``, ``frame_dir``, ``label``, ``total_frames``,
``img_shape`` and ``original_shape`` (height, width) as there. V is 478 (MediaPipe with irises), 468 (without)
or 68 (300-W), or what ``landmarks (V,)`` says; C is 2, or 3 with z on the scale of x. Beyond pyskl: ``timestamps (T,)``
in seconds, or ``frame_rate``; and, where they are known, ``blendshapes (T, 52)`` and ``transforms (T, 4, 4)``.
"""

import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgt.data.interchange.assembly import POINTS_68, assembled, landmarks_68, times_of
from stgt.errors import SourceError
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS, LandmarkTrack
from stgt.files import atomic_path

logger = logging.getLogger("stgt")

#: MediaPipe's mesh without the irises.
MESH_WITHOUT_IRISES = 468

#: What pickles begin with, and what zip archives do.
PICKLE, ZIP = b"\x80", b"PK"


def read_npz(path: Path, frame_rate: float | None = None) -> LandmarkTrack:
    """The track of the person with the most frames; see ``stgt.data.interchange.read_tracks``."""
    arrays = load_arrays(path)
    if "keypoint" not in arrays:
        raise SourceError(
            f"{path} has no array keypoint (it has {', '.join(arrays) or 'none'}); its shape is (M, T, V, C)"
        )
    keypoint = numbers(path, arrays, "keypoint")
    if keypoint.ndim == 3:
        keypoint = keypoint[None]
    if keypoint.ndim != 4 or keypoint.shape[3] not in (2, 3) or not keypoint.shape[0]:
        raise SourceError(f"{path}: keypoint has the shape {keypoint.shape}; it is (people, frames, points, 2 or 3)")
    if not keypoint.shape[1]:
        raise SourceError(f"{path} has no frame")
    landmarks = landmarks_of(path, arrays, keypoint.shape[2])
    seen = seen_frames(path, arrays, keypoint)
    person = main_person(path, keypoint, seen)
    points, valid = keypoint[person], seen[person]
    if points.shape[2] == 2:
        points = np.concatenate([points, np.full((*points.shape[:2], 1), np.nan)], axis=2)
    elif valid.any() and points[valid][..., 2].min() >= 0 and points[valid][..., 2].max() <= 1:
        raise SourceError(
            f"{path}: the third coordinate lies between 0 and 1 everywhere, so it is a score, not depth; scores belong "
            "in keypoint_score"
        )
    count = len(points)
    return assembled(
        path,
        points,
        valid,
        frame_times(path, arrays, count, frame_rate),
        landmarks,
        picture_size(path, arrays),
        optional(path, arrays, "blendshapes", (count, BLENDSHAPES)),
        optional(path, arrays, "transforms", (count, 4, 4)),
    )


def load_arrays(path: Path) -> dict[str, NDArray]:
    """All arrays of the file.

    Raises:
        SourceError: it is damaged, something else, or holds pickled objects.
    """
    refused = (
        f"{path} holds pickled objects, which can run programs and are never read; save plain arrays with numpy.savez"
    )
    try:
        with path.open("rb") as file:
            start = file.read(2)
        if not start:
            raise SourceError(f"{path} is empty (0 bytes)")
        if start[:1] == PICKLE:
            raise SourceError(refused)
        if start != ZIP:
            raise SourceError(f"{path} is not an npz file; save it with numpy.savez")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except ValueError as error:
        if "pickle" in str(error):
            raise SourceError(refused) from None
        raise SourceError(f"{path} is damaged or not an npz file ({error})") from None
    except (zipfile.BadZipFile, EOFError, OSError, KeyError) as error:
        raise SourceError(f"{path} is damaged or not an npz file ({error})") from None


def numbers(path: Path, arrays: Mapping[str, NDArray], name: str) -> NDArray[np.float64]:
    """An array as float64.

    Raises:
        SourceError: it holds something else than numbers.
    """
    if arrays[name].dtype.kind not in "fiub":
        raise SourceError(f"{path}: {name} holds no numbers but {arrays[name].dtype}")
    return arrays[name].astype(np.float64)


def optional(path: Path, arrays: Mapping[str, NDArray], name: str, shape: tuple[int, ...]) -> NDArray | None:
    """An array of this shape, if the file has it."""
    if name not in arrays:
        return None
    array = numbers(path, arrays, name)
    if array.shape != shape:
        raise SourceError(f"{path}: {name} has the shape {array.shape}, where {shape} belongs")
    return array.astype(np.float32)


def landmarks_of(path: Path, arrays: Mapping[str, NDArray], count: int) -> NDArray[np.int64]:
    """(V,) landmark of MediaPipe's mesh behind each point."""
    if "landmarks" in arrays:
        landmarks = numbers(path, arrays, "landmarks").astype(np.int64)
        if landmarks.shape != (count,) or len(set(landmarks.tolist())) != count:
            raise SourceError(f"{path}: landmarks must name one landmark for each of the {count} points")
        if not ((landmarks >= 0) & (landmarks < LANDMARKS)).all():
            raise SourceError(f"{path}: landmarks go from 0 to {LANDMARKS - 1}")
        return landmarks
    if count == POINTS_68:
        return landmarks_68()
    if count in (LANDMARKS, MESH_WITHOUT_IRISES):
        return np.arange(count)
    raise SourceError(
        f"{path} has {count} points a face; 478, 468 (MediaPipe's mesh) and 68 (300-W) are known; for others add an "
        "array landmarks with the number of MediaPipe's landmark behind each"
    )


def seen_frames(path: Path, arrays: Mapping[str, NDArray], keypoint: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M, T) whether a person's face was found: all points are numbers, not all zero, the mean score is positive."""
    flat = keypoint.reshape(*keypoint.shape[:2], -1)
    seen = np.isfinite(flat).all(axis=2) & (flat != 0).any(axis=2)
    name = next((name for name in ("keypoint_score", "score") if name in arrays), None)
    if name is None:
        return seen
    score = numbers(path, arrays, name)
    score = score[None] if score.ndim == 2 else score
    if score.shape != keypoint.shape[:3]:
        raise SourceError(f"{path}: {name} has the shape {score.shape}, where {keypoint.shape[:3]} belongs")
    return seen & (np.nan_to_num(score).mean(axis=2) > 0)


def main_person(path: Path, keypoint: NDArray[np.float64], seen: NDArray[np.bool_]) -> int:
    """The person in most frames, of several in equally many the largest; that there are others is told in a warning."""
    people = np.flatnonzero(seen.any(axis=1))
    if len(people) < 2:
        return int(people[0]) if len(people) else 0

    def presence(person: int) -> tuple[int, float]:
        faces = keypoint[person, seen[person], :, :2]
        return int(seen[person].sum()), float(np.linalg.norm(np.ptp(faces, axis=1), axis=1).mean())

    best = int(max(people, key=presence))
    others = ", ".join(str(person) for person in people if person != best)
    logger.warning(
        *("%s shows %d people: person %d is taken, seen in %d frames; left out: %s", path),
        *(len(people), best, int(seen[best].sum()), others),
    )
    return best


def frame_times(path: Path, arrays: Mapping[str, NDArray], count: int, frame_rate: float | None) -> NDArray[np.float64]:
    """(T,) seconds, from the rate given, the file's timestamps or its rate."""
    stamps = None
    if "timestamps" in arrays:
        stamps = numbers(path, arrays, "timestamps")
        if stamps.shape != (count,):
            raise SourceError(f"{path}: timestamps has the shape {stamps.shape}, where {(count,)} belongs")
    elif frame_rate is None and "frame_rate" in arrays:
        frame_rate = float(numbers(path, arrays, "frame_rate").reshape(-1)[0])
        if not frame_rate > 0:
            raise SourceError(f"{path}: its frame rate is {frame_rate:g} Hz; it must be positive")
    return times_of(path, stamps, frame_rate, np.arange(count))


def picture_size(path: Path, arrays: Mapping[str, NDArray]) -> tuple[int, int] | None:
    """(width, height), if the file says it."""
    name = next((name for name in ("img_shape", "original_shape") if name in arrays), None)
    if name is None:
        return None
    shape = numbers(path, arrays, name).reshape(-1)
    if len(shape) < 2 or not (shape[:2] > 0).all():
        raise SourceError(f"{path}: {name} is {shape.tolist()}; it is (height, width)")
    return int(shape[1]), int(shape[0])


def write_npz(track: LandmarkTrack, path: Path, label: str | None = None) -> None:
    """Write all that the track knows, compressed; the 68 points of 300-W in their own order."""
    width, height = track.image_size
    landmarks = np.arange(LANDMARKS) if track.known is None else track.known
    if set(landmarks.tolist()) == set(landmarks_68().tolist()):
        landmarks = landmarks_68()
    keypoint = track.points[None][:, :, landmarks, : 3 if track.has_depth else 2]
    score = np.repeat(track.valid[None, :, None], len(landmarks), axis=2).astype(np.float32)
    arrays = {
        "keypoint": keypoint,
        "keypoint_score": score,
        "frame_dir": np.array(Path(track.source).stem),
        "total_frames": np.array(len(track)),
        "img_shape": np.array((height, width)),
        "original_shape": np.array((height, width)),
        "timestamps": track.times,
        "landmarks": landmarks,
    }
    if label is not None:
        arrays["label"] = np.array(label)
    if track.has_blendshapes:
        arrays |= {"blendshapes": track.blendshapes, "transforms": track.transforms}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)
