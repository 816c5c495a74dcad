"""LandmarkTrack: what MediaPipe saw in a video, frame by frame, and which frames had no face."""

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stgt.errors import CheckpointError
from stgt.files import atomic_path

LANDMARKS = 478  #: points of MediaPipe's face mesh, the ten of the irises included
BLENDSHAPES = 52  #: scores of its blendshape head
FORMAT = "stgt-track"
FORMAT_VERSION = 1
TIME_TOLERANCE_S = 1e-6  #: times are compared with this slack: a container's clock is coarser


@dataclass(frozen=True)
class LandmarkTrack:
    """The landmarks of one face over ``T`` frames.

    MediaPipe tells everything. What the program that made a track does not know (landmarks, depth, blendshapes; see
    `stgt.data.interchange`) is NaN in every frame that holds a face, and `known`, `has_depth` and `has_blendshapes` say
    so; whatever is computed from an unknown number is then unknown, too, and never a plausible wrong one.

    Attributes:
        points: ``(T, 478, 3)`` float32, image pixels: x right, y down, z (away from the camera) on the scale of x.
            Zeros where invalid.
        times: ``(T,)`` float64, seconds from the source's first frame, never decreasing.
        valid: ``(T,)`` bool, whether a face was found in the frame.
        blendshapes: ``(T, 52)`` float32 in 0 to 1, in the order of `stgt.faces.landmarker.BLENDSHAPE_NAMES`.
        transforms: ``(T, 4, 4)`` float32, from MediaPipe's canonical face (cm) to the camera.
        image_size: ``(width, height)`` of the frames in pixels.
        source: the video, folder or camera, as it was given.

    Raises:
        ValueError: shapes that disagree, times that run backwards.
    """

    points: np.ndarray
    times: np.ndarray
    valid: np.ndarray
    blendshapes: np.ndarray
    transforms: np.ndarray
    image_size: tuple[int, int]
    source: str

    def __post_init__(self) -> None:
        count = len(self.times)
        wanted = {
            "points": (np.float32, (count, LANDMARKS, 3)),
            "times": (np.float64, (count,)),
            "valid": (np.bool_, (count,)),
            "blendshapes": (np.float32, (count, BLENDSHAPES)),
            "transforms": (np.float32, (count, 4, 4)),
        }
        for name, (dtype, shape) in wanted.items():
            array = np.asarray(getattr(self, name))
            if array.shape != shape:
                raise ValueError(f"LandmarkTrack.{name} has shape {array.shape}; {count} times need {shape}")
            object.__setattr__(self, name, np.ascontiguousarray(array, dtype=dtype))
        if not np.isfinite(self.times).all() or (np.diff(self.times) < 0).any():
            raise ValueError("LandmarkTrack.times must be finite and never decrease")
        width, height = (int(side) for side in self.image_size)
        if width <= 0 or height <= 0:
            raise ValueError(f"LandmarkTrack.image_size is {self.image_size}; it must be positive")
        object.__setattr__(self, "image_size", (width, height))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def known(self) -> np.ndarray | None:
        """The landmarks that the track knows, ascending; ``None``: all of them."""
        seen = self._first_face
        if seen is None or not np.isnan(self.points[seen, :, 0]).any():
            return None
        return np.flatnonzero(~np.isnan(self.points[seen, :, 0]))

    @property
    def has_depth(self) -> bool:
        """Whether z is known."""
        seen = self._first_face
        return seen is None or not np.isnan(self.points[seen, :, 2]).all()

    @property
    def has_blendshapes(self) -> bool:
        """Whether the blendshapes are known."""
        seen = self._first_face
        return seen is None or not np.isnan(self.blendshapes[seen]).any()

    @property
    def _first_face(self) -> int | None:
        """The first frame that holds a face: what is unknown there is unknown in all."""
        return int(self.valid.argmax()) if self.valid.any() else None

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame, in seconds; 0 for fewer than two frames."""
        return float(self.times[-1] - self.times[0]) if len(self) else 0.0

    @property
    def valid_share(self) -> float:
        """Share of the frames that have a face, 0 to 1; 0 for an empty track."""
        return float(self.valid.mean()) if len(self) else 0.0

    @property
    def frame_rate(self) -> float:
        """Mean rate in Hz, from the times; 0 where they say nothing (fewer than two frames, or all at once)."""
        return (len(self) - 1) / self.duration_s if self.duration_s > 0 else 0.0

    def slice(self, start_s: float | None = None, end_s: float | None = None) -> "LandmarkTrack":
        """The frames with ``start_s <= time <= end_s``; ``None`` leaves that end open. Times keep their values."""
        first, stop = self.frame_range(start_s, end_s)
        names = ("points", "times", "valid", "blendshapes", "transforms")
        return replace(self, **{name: getattr(self, name)[first:stop] for name in names})

    def frame_range(self, start_s: float | None = None, end_s: float | None = None) -> tuple[int, int]:
        """First frame and end (exclusive) of the frames that `slice` keeps."""
        first = 0 if start_s is None else int(np.searchsorted(self.times, start_s - TIME_TOLERANCE_S, "left"))
        stop = len(self) if end_s is None else int(np.searchsorted(self.times, end_s + TIME_TOLERANCE_S, "right"))
        return first, max(first, stop)

    def save(self, path: Path | str) -> None:
        """Write the track as safetensors, atomically."""
        tensors = {
            "points": self.points,
            "times": self.times,
            "valid": self.valid,
            "blendshapes": self.blendshapes,
            "transforms": self.transforms,
        }
        width, height = self.image_size
        save_tensors(
            path,
            tensors,
            FORMAT,
            FORMAT_VERSION,
            {"image_width": str(width), "image_height": str(height), "source": self.source},
        )

    @classmethod
    def load(cls, path: Path | str) -> "LandmarkTrack":
        """Read a track.

        Raises:
            CheckpointError: the file is missing, damaged, something else, or of another format version.
        """
        tensors, metadata = load_tensors(path, FORMAT, FORMAT_VERSION, "a landmark track", "stgt track")
        try:
            size = (int(metadata["image_width"]), int(metadata["image_height"]))
            return cls(**tensors, image_size=size, source=metadata["source"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: the track contradicts itself ({error}); make it again with stgt track"
            ) from None


def save_tensors(
    path: Path | str, tensors: dict[str, np.ndarray], kind: str, version: int, metadata: dict[str, str]
) -> None:
    """Write named arrays with their kind and format version as safetensors, atomically."""
    from safetensors.numpy import save

    # As bytes, because save_file hides a full disk in an exception of its own; contiguous, because it writes memory as
    # it lies there, and a transposed array would come back scrambled.
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = save(tensors, {"format": kind, "format_version": str(version), **metadata})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_tensors(
    path: Path | str, kind: str, version: int, what: str, command: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read what `save_tensors` wrote.

    ``what`` and ``command`` say in an error what was expected and which command makes it.

    Raises:
        CheckpointError: the file is missing, damaged, something else, or of another format version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file; make {what} with {command}") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path} is a folder, not {what}") from None
    try:
        tensors = load(content)
        (header_size,) = struct.unpack_from("<Q", content)
        metadata = json.loads(content[8 : 8 + header_size]).get("__metadata__", {})
    except (SafetensorError, struct.error, ValueError):
        raise CheckpointError(f"{path} is damaged or not {what}; make it again with {command}") from None
    if metadata.get("format") != kind:
        raise CheckpointError(f"{path} is not {what} but {metadata.get('format', 'some other tensors')}")
    if metadata.get("format_version") != str(version):
        raise CheckpointError(
            f"{path} has format version {metadata.get('format_version')}, this program reads {version}; "
            f"make it again with {command}"
        )
    return tensors, metadata
