"""Tracks, crops and the peer's grey faces of every stream: extracted once, then read from the cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from real_faces.peers import FACE_VERSION, FER_LABELS, Fer, grey_face
from real_faces.streams import Stream
from stgt.faces.crops import CropSequence
from stgt.faces.tracks import LandmarkTrack, load_tensors, save_tensors

if TYPE_CHECKING:
    from stgt.faces.landmarker import FaceLandmarker

_KIND, _VERSION = "real-faces-grey", 1


@dataclass(frozen=True)
class Tracked:
    """What was extracted from a stream, read from ``folder`` when it is asked for."""

    stream: Stream
    folder: Path

    @property
    def complete(self) -> bool:
        """Whether everything is there; the grey faces are written last."""
        return (self.folder / "faces.safetensors").is_file()

    @cached_property
    def track(self) -> LandmarkTrack:
        """Its landmarks."""
        return LandmarkTrack.load(self.folder / "track.safetensors")

    @property
    def crops(self) -> CropSequence:
        """Its aligned crops."""
        return CropSequence.load(self.folder / "crops.safetensors")

    def fer_frames(self, fer: Fer) -> np.ndarray:
        """(T, 7) what the peer says about every frame, in the order of ``FER_LABELS``; asked once, then kept."""
        path = self.folder / "fer.safetensors"
        if not path.is_file():
            faces = _load(self.folder / "faces.safetensors", "faces")
            save_tensors(path, {"frames": fer.frames(faces, self.track.valid)}, _KIND, _VERSION, {})
        frames = _load(path, "frames")
        assert frames.shape == (len(self.track), len(FER_LABELS))
        return frames

    def extract(self, landmarker: "FaceLandmarker") -> None:
        """Write track, crops and grey faces."""
        from stgt.faces.extract import extract

        with self.stream.open() as source:
            track, crops = extract(source, landmarker=landmarker)
            faces = np.zeros((len(track), 64, 64), np.uint8)
            # A second pass over the frames: decoding is cheap beside tracking, and a long video need not be kept.
            for index, (_, rgb) in enumerate(source):
                if track.valid[index]:
                    faces[index] = grey_face(rgb, track.points[index])
        track.save(self.folder / "track.safetensors")
        crops.save(self.folder / "crops.safetensors")
        save_tensors(self.folder / "faces.safetensors", {"faces": faces}, _KIND, _VERSION, {})


def track_streams(streams: Sequence[Stream], cache: Path) -> list[Tracked]:
    """What was extracted from every stream, from the cache or now; interrupted, the next call goes on."""
    from tqdm import tqdm

    from stgt.faces.extract import EXTRACTOR_VERSION
    from stgt.faces.landmarker import FaceLandmarker

    tracked = [Tracked(stream, cache / stream.fingerprint(EXTRACTOR_VERSION, FACE_VERSION)) for stream in streams]
    missing = [item for item in tracked if not item.complete]
    if missing:
        with FaceLandmarker() as landmarker:
            for item in tqdm(missing, desc="tracking", unit="stream", disable=None):
                item.extract(landmarker)
    return tracked


def _load(path: Path, name: str) -> np.ndarray:
    return load_tensors(path, _KIND, _VERSION, "part of the measuring cache", "the measuring command")[0][name]
