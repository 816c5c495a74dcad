"""Landmarks of a recording: written frame by frame while it runs, made into `LandmarkTrack` files at its end."""

import contextlib
import json
import struct
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stgt.faces.crops import CropSequence, crop_face, encode_crop
from stgt.faces.landmarker import Landmarks
from stgt.faces.tracks import BLENDSHAPES, FORMAT, FORMAT_VERSION, LANDMARKS, LandmarkTrack
from stgt.files import atomic_path
from stgt.graphs.neutral import NeutralFace

from ..frames import LiveFrame
from .append import AppendFile

#: One frame of one face in a file that still grows, in the byte order of safetensors.
FRAME = np.dtype(
    [
        ("times", "<f8"),
        ("points", "<f4", (LANDMARKS, 3)),
        ("blendshapes", "<f4", (BLENDSHAPES,)),
        ("transforms", "<f4", (4, 4)),
        ("valid", "?"),
    ]
)
_MOST_TIMES = 2048  # of past frames that are remembered for whoever comes into sight
_COPIED = 4096  # frames that are copied at once


class TrackStore:
    """Writes the landmarks of everybody in a session.

    Args:
        folder: for the tracks; it must exist.
        image_size: ``(width, height)`` of the frames.
        source: name of the source, for the tracks.
        with_crops: whether aligned crops are kept too, for models that read pixels.
        reach_s: for so long before and after a face is seen, frames without it are kept; a window must not reach
            farther. What lies between says nothing about any window.
    """

    def __init__(
        self, folder: Path, image_size: tuple[int, int], source: str, *, with_crops: bool, reach_s: float
    ) -> None:
        self._folder = folder
        self._reach_s = reach_s
        self._times: deque[float] = deque(maxlen=_MOST_TIMES)
        self._image_size = image_size
        self._source = source
        self._with_crops = with_crops
        self._faces: dict[int, _FaceStore] = {}

    def write(self, live: LiveFrame) -> None:
        """Add a frame for everybody who is in it, or was of late; and what its predictions were read against.

        Raises:
            OSError: it could not be written.
        """
        for frame in live.passed_over:
            self._write(*frame)
        landmarks = {face.face: face.landmarks for face in live.faces if face.landmarks is not None}
        self._write(live.timestamp_s, live.rgb, landmarks)
        for face in live.faces:
            if face.is_new and face.neutral is not None and face.face in self._faces:
                self._faces[face.face].append_neutral(live.timestamp_s, face.neutral)

    def _write(self, time_s: float, rgb: np.ndarray, landmarks: Mapping[int, Landmarks]) -> None:
        if self._times and time_s < self._times[-1]:  # another recording has begun
            self._times.clear()
        for number in landmarks:
            if number not in self._faces:
                self._faces[number] = _FaceStore(self._folder / f"face-{number}", self._with_crops)
        for number, store in self._faces.items():
            seen = landmarks.get(number)
            if seen is not None:
                store.catch_up(self._times)
            if seen is not None or time_s - store.seen_s <= self._reach_s:
                store.append(time_s, seen, rgb)
            else:
                store.close()  # until they are back: a day may bring more people than files may be open
        self._times.append(time_s)
        while time_s - self._times[0] > self._reach_s:
            self._times.popleft()

    def close(self) -> None:
        """Make tracks of what was written.

        Raises:
            OSError: no room for one of them; it stays as it was written, and `load_tracks` reads that too.
        """
        failure: OSError | None = None
        for store in self._faces.values():
            store.close()
            try:
                finish_track(store.frames.path, self._image_size, self._source)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure


class _FaceStore:
    """The growing files of one face."""

    def __init__(self, stem: Path, with_crops: bool) -> None:
        self.frames = AppendFile(stem.with_suffix(".frames"))
        self._crops = AppendFile(stem.with_suffix(".jpegs")) if with_crops else None
        self._neutrals = AppendFile(stem.with_suffix(".neutral"))
        self.seen_s = self._last_s = -np.inf

    def catch_up(self, times: "deque[float]") -> None:
        """The frames of late in which the face was not seen."""
        if times and times[-1] > self._last_s:
            for time_s in [time_s for time_s in times if time_s > self._last_s]:
                self.append(time_s, None, None)

    def append(self, time_s: float, landmarks: Landmarks | None, rgb: np.ndarray | None) -> None:
        """The next frame."""
        if time_s < self._last_s:  # another recording has begun; a track has one clock
            return
        self._last_s = time_s
        if landmarks is not None:
            self.seen_s = time_s
        entry = np.zeros((), FRAME)
        entry["times"] = time_s
        if landmarks is not None:
            entry["valid"] = True
            entry["points"], entry["blendshapes"], entry["transforms"] = landmarks
        if self._crops is not None:  # before the frame: a frame without its crop would be a lie
            jpeg = b"" if landmarks is None else encode_crop(crop_face(rgb, landmarks.points))
            self._crops.append(struct.pack("<I", len(jpeg)) + jpeg)
        self.frames.append(entry.tobytes())

    def append_neutral(self, time_s: float, neutral: NeutralFace) -> None:
        """The face at rest that a prediction was read against."""
        numbers = np.concatenate([neutral.nodes.reshape(-1), neutral.actions]).astype("<f4")
        self._neutrals.append(struct.pack("<d", time_s) + numbers.tobytes())

    def close(self) -> None:
        """Give the files back."""
        self.frames.close()
        self._neutrals.close()
        if self._crops is not None:
            self._crops.close()


def finish_track(path: Path, image_size: tuple[int, int], source: str) -> None:
    """Make a ``.safetensors`` track of a ``.frames`` file, and crops of the ``.jpegs`` beside it, which are removed.

    It is copied piece by piece, because the track of an hour is larger than what a small machine has to spare.

    Raises:
        OSError: it could not be written.
    """
    frames = _frames(path)
    jpegs = path.with_suffix(".jpegs")
    with atomic_path(path.with_suffix(".safetensors")) as temporary, temporary.open("wb") as file:
        file.write(_header(len(frames), image_size, source))
        for name in FRAME.names:
            for first in range(0, len(frames), _COPIED):
                file.write(np.ascontiguousarray(frames[name][first : first + _COPIED]).tobytes())
    if jpegs.exists():
        _crops(jpegs, len(frames)).save(path.with_suffix(".crops"))
        jpegs.unlink()
    path.unlink()


def load_tracks(
    folder: Path, image_size: tuple[int, int], source: str
) -> dict[int, tuple[LandmarkTrack, CropSequence | None]]:
    """The tracks of a recording by the number of the face, also of one that was cut off.

    Raises:
        CheckpointError: a track is damaged.
    """
    found = {}
    for path in sorted([*folder.glob("face-*.safetensors"), *folder.glob("face-*.frames")]):
        crops = None
        if path.suffix == ".frames":
            frames = _frames(path)
            track = LandmarkTrack(**{name: frames[name] for name in FRAME.names}, image_size=image_size, source=source)
            if path.with_suffix(".jpegs").exists():
                crops = _crops(path.with_suffix(".jpegs"), len(track))
        else:
            track = LandmarkTrack.load(path)
            if path.with_suffix(".crops").exists():
                crops = CropSequence.load(path.with_suffix(".crops"))
        with contextlib.suppress(ValueError):  # a file of someone else's
            found[int(path.stem.removeprefix("face-"))] = (track, crops)
    return dict(sorted(found.items()))


def load_neutrals(folder: Path, face: int, nodes: int) -> dict[float, NeutralFace]:
    """The faces at rest that the predictions of one face were read against, by the times of the predictions.

    Args:
        folder: of the tracks.
        face: number of the person.
        nodes: V, of the model.
    """
    path = folder / f"face-{face}.neutral"
    if not path.is_file():
        return {}
    kind = np.dtype([("time", "<f8"), ("nodes", "<f4", (nodes, 3)), ("actions", "<f4", (BLENDSHAPES,))])
    data = path.read_bytes()
    entries = np.frombuffer(data, kind, count=len(data) // kind.itemsize)
    return {float(entry["time"]): NeutralFace(entry["nodes"].copy(), entry["actions"].copy()) for entry in entries}


def _frames(path: Path) -> np.ndarray:
    """The whole frames of a file, without reading them into memory."""
    count = path.stat().st_size // FRAME.itemsize
    return np.memmap(path, FRAME, "r", shape=(count,)) if count else np.zeros(0, FRAME)


def _crops(path: Path, count: int) -> CropSequence:
    jpegs, data, offset = [], path.read_bytes(), 0
    while offset + 4 <= len(data) and len(jpegs) < count:
        (length,) = struct.unpack_from("<I", data, offset)
        jpegs.append(data[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return CropSequence.from_jpegs(jpegs + [b""] * (count - len(jpegs)))


def _header(count: int, image_size: tuple[int, int], source: str) -> bytes:
    """The head of a safetensors file with the tensors of `LandmarkTrack.save`, one after the other."""
    kinds = {"times": "F64", "valid": "BOOL", "points": "F32", "blendshapes": "F32", "transforms": "F32"}
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "image_width": str(image_size[0]),
        "image_height": str(image_size[1]),
        "source": source,
    }
    header: dict[str, object] = {"__metadata__": metadata}
    offset = 0
    for name in FRAME.names:
        base, shape = FRAME[name].base, FRAME[name].shape
        size = count * base.itemsize * int(np.prod(shape, dtype=int))
        header[name] = {"dtype": kinds[name], "shape": [count, *shape], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
