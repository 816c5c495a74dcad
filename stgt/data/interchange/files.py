"""Which file holds which kind of track; one way to read them all and one to write them."""

from pathlib import Path

from stgt.data.interchange.npz import read_npz, write_npz
from stgt.data.interchange.openface import read_csv_track, write_csv_track
from stgt.errors import SourceError, StgtError
from stgt.faces.tracks import LandmarkTrack

#: What files of tracks end in: STGT's own, and those of other programs.
TRACK_SUFFIXES = (".safetensors", ".csv", ".npz")


def read_tracks(path: Path | str, frame_rate: float | None = None) -> LandmarkTrack:
    """The track of one face in a file that STGT or another program wrote; further faces are told in a warning.

    Args:
        path: ``.csv`` (68 points in OpenFace's columns), ``.npz`` (keypoints in the manner of pyskl) or
            ``.safetensors`` (what ``stgt track`` writes).
        frame_rate: Hz, instead of the times in the file; needed where it has none.

    Returns:
        A track whose `known`, `has_depth` and `has_blendshapes` say what the file holds.

    Raises:
        SourceError: missing, damaged, another layout, or without times.
        CheckpointError: the same of a ``.safetensors`` file.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if frame_rate is not None and not frame_rate > 0:
        raise SourceError(f"{path}: the frame rate is {frame_rate:g} Hz; it must be positive")
    if suffix not in TRACK_SUFFIXES:
        raise SourceError(f"{path} is not a file of tracks; these end in {', '.join(TRACK_SUFFIXES)}")
    if suffix == ".safetensors":
        track = LandmarkTrack.load(path)
        return track if frame_rate is None else at_rate(track, frame_rate)
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a file of tracks")
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file")
    return read_csv_track(path, frame_rate) if suffix == ".csv" else read_npz(path, frame_rate)


def write_tracks(track: LandmarkTrack, path: Path | str, label: str | None = None) -> None:
    """Write a track, atomically, in the form that the ending of ``path`` names.

    Args:
        track: of one face.
        path: ``.csv``: 68 points of every frame; ``.npz`` and ``.safetensors``: all that the track knows.
        label: the name of its class; only npz has a place for it.

    Raises:
        StgtError: another ending, or CSV of a track that does not know the 68 points.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in TRACK_SUFFIXES:
        raise StgtError(f"{path}: tracks are written as {', '.join(TRACK_SUFFIXES)}")
    if suffix == ".csv":
        write_csv_track(track, path)
    elif suffix == ".npz":
        write_npz(track, path, label)
    else:
        track.save(path)


def at_rate(track: LandmarkTrack, frame_rate: float) -> LandmarkTrack:
    """The same frames, evenly spaced."""
    from dataclasses import replace

    import numpy as np

    return replace(track, times=np.arange(len(track)) / frame_rate)
