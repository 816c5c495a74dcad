"""Aligned face crops: one small upright picture of the face per frame, and the patches around landmarks in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from stgt.errors import CheckpointError
from stgt.faces.tracks import load_tensors, save_tensors

CROP_SIZE = 128  #: side of a crop in pixels
FORMAT = "stgt-crops"
FORMAT_VERSION = 1

#: Landmarks that expressions hardly move, and where they lie on MediaPipe's canonical face (cm; x to the viewer's
#: right, y up): corners of the eyes, bridge and base of the nose, middle of the forehead. The temples are left out,
#: because they close in on each other when the head turns, and the crop would zoom in.
STABLE_LANDMARKS = (33, 133, 362, 263, 168, 6, 197, 195, 2, 151, 10)
_STABLE_PLACES_CM = (
    *((-4.45, 2.66), (-1.86, 2.59), (1.86, 2.59), (4.45, 2.66)),
    *((0.0, 3.27), (0.0, 2.47), (0.0, 1.73), (0.0, 1.06)),
    *((0.0, -2.09), (0.0, 6.55), (0.0, 8.26)),
)
_SIDE_CM = 21.5  # the face is 18 cm high and 15 wide; below there is room for an open jaw
_TOP_CM = 9.4  # height of the crop's upper edge, just above the hairline
_JPEG_QUALITY = 92


def crop_transforms(points: np.ndarray) -> np.ndarray:
    """Similarity transforms that bring faces to their place in the crop.

    The least-squares similarity (Umeyama 1991) of the stable landmarks to their canonical places; in the plane it has a
    closed form in complex numbers: ``w = a z + b`` with ``a = sum conj(z - mean z) (w - mean w) / sum |z - mean z|^2``.

    Args:
        points: ``(T, 478, >=2)`` image pixels.

    Returns:
        ``(T, 2, 3)`` float32, image pixels to crop pixels; zeros where a face has no extent (invalid frames).
    """
    flat = np.asarray(points, np.float64)[:, STABLE_LANDMARKS, :2]
    z = flat[..., 0] + 1j * flat[..., 1]
    w = _stable_places()
    z_mean, w_mean = z.mean(axis=1, keepdims=True), w.mean()
    spread = (np.abs(z - z_mean) ** 2).sum(axis=1)
    a = (np.conj(z - z_mean) * (w - w_mean)).sum(axis=1) / np.where(spread > 0, spread, 1.0)
    b = np.where(spread > 0, w_mean - a * z_mean[:, 0], 0.0)
    rows = [np.stack([a.real, -a.imag, b.real], axis=-1), np.stack([a.imag, a.real, b.imag], axis=-1)]
    return np.stack(rows, axis=1).astype(np.float32)


def crop_transform(points: np.ndarray) -> np.ndarray:
    """``(2, 3)`` float32 transform from image pixels to crop pixels for one face, ``(478, >=2)`` image pixels."""
    return crop_transforms(points[None])[0]


@lru_cache(maxsize=1)
def _stable_places() -> np.ndarray:
    """Crop pixels of the stable landmarks, as complex numbers."""
    pixels_per_cm = CROP_SIZE / _SIDE_CM
    places = np.array(_STABLE_PLACES_CM)
    return (places[:, 0] + _SIDE_CM / 2) * pixels_per_cm + 1j * (_TOP_CM - places[:, 1]) * pixels_per_cm


def to_crop(points: np.ndarray) -> np.ndarray:
    """Landmarks of ``T`` frames in pixels of each frame's own crop.

    ``(T, 478, 3)`` image pixels become ``(T, 478, 2)`` float32 crop pixels, zeros where a frame is invalid.
    """
    transforms = crop_transforms(points)
    return np.einsum("tij,tvj->tvi", transforms[:, :, :2], points[..., :2]) + transforms[:, None, :, 2]


def crop_face(rgb: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The aligned crop of a face, ``(CROP_SIZE, CROP_SIZE, 3)`` uint8, black where it leaves the picture.

    ``points`` are the face's landmarks, ``(478, >=2)`` pixels of ``rgb``.
    """
    transform = crop_transform(points).astype(np.float64)
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    size = (CROP_SIZE, CROP_SIZE)
    if scale == 0:
        return np.zeros((*size, 3), np.uint8)
    # A large face is halved first, as the warp reads four pixels of the source and skips those between.
    halvings = max(0, int(np.log2(0.75 / scale)))
    if halvings:
        rgb, left, top = _around_crop(rgb, transform, 2**halvings)
        for _ in range(halvings):
            rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
        # Pixel i of the small picture is centred on pixel left + step * i + (step - 1) / 2 of the large one.
        step = 2**halvings
        transform[:, 2] += transform[:, :2] @ (np.array([left, top]) + (step - 1) / 2)
        transform[:, :2] *= step
    return cv2.warpAffine(rgb, transform, size, flags=cv2.INTER_LINEAR)


def _around_crop(rgb: np.ndarray, transform: np.ndarray, step: int) -> tuple[np.ndarray, int, int]:
    """The part of a picture that a crop is taken from, its sides multiples of ``step``, and its left and top."""
    inverse = cv2.invertAffineTransform(transform)
    corners = np.array([(0, 0, 1), (CROP_SIZE, 0, 1), (0, CROP_SIZE, 1), (CROP_SIZE, CROP_SIZE, 1)]) @ inverse.T
    limits = np.array([rgb.shape[1], rgb.shape[0]]) // step * step
    # At least one step of the picture is kept, so that a face outside it gives a black crop and not an empty array.
    low = np.clip(np.floor(corners.min(axis=0) / step) * step - step, 0, limits - step).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) / step) * step + step, low + step, limits).astype(int)
    return rgb[low[1] : high[1], low[0] : high[0]], int(low[0]), int(low[1])


def encode_crop(crop: np.ndarray) -> bytes:
    """JPEG of an ``(S, S, 3)`` uint8 RGB crop."""
    bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1].tobytes()


@dataclass(frozen=True)
class CropSequence:
    """One JPEG-encoded crop per frame of a track; a frame without a face has none.

    Attributes:
        data: ``(bytes,)`` uint8, the JPEGs one after the other.
        offsets: ``(T + 1,)`` int64; frame ``t`` is ``data[offsets[t]:offsets[t + 1]]``, empty where invalid.
    """

    data: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        offsets = self.offsets
        if self.data.dtype != np.uint8 or self.data.ndim != 1 or offsets.ndim != 1 or not len(offsets):
            raise ValueError("CropSequence needs a row of bytes and a row of offsets")
        if offsets[0] != 0 or offsets[-1] != len(self.data) or (np.diff(offsets) < 0).any():
            raise ValueError("CropSequence.offsets do not divide its data")

    @classmethod
    def from_jpegs(cls, jpegs: Sequence[bytes]) -> "CropSequence":
        """From one JPEG per frame, ``b""`` for a frame without a face."""
        offsets = np.zeros(len(jpegs) + 1, np.int64)
        np.cumsum([len(jpeg) for jpeg in jpegs], out=offsets[1:])
        return cls(np.frombuffer(b"".join(jpegs), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def decode(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The crops of some frames as ``(N, CROP_SIZE, CROP_SIZE, 3)`` uint8 RGB, black where there is no face.

        Raises:
            IndexError: a frame that the sequence does not have.
            CheckpointError: a crop that is no JPEG of this size.
        """
        crops = np.zeros((len(indices), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        for crop, index in zip(crops, indices, strict=True):
            if not 0 <= index < len(self):
                raise IndexError(f"frame {index} of {len(self)} crops")
            jpeg = self.data[self.offsets[index] : self.offsets[index + 1]]
            if not jpeg.size:
                continue
            bgr = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
            if bgr is None or bgr.shape != crop.shape:
                raise CheckpointError(f"the crop of frame {index} is damaged; prepare the clip again")
            cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=crop)
        return crops

    def slice(self, first: int, stop: int) -> "CropSequence":
        """The crops of frames ``first`` to ``stop`` (exclusive), which ``LandmarkTrack.frame_range`` gives."""
        first, stop, _ = slice(first, stop).indices(len(self))
        stop = max(first, stop)
        low, high = self.offsets[first], self.offsets[stop]
        return CropSequence(self.data[low:high], self.offsets[first : stop + 1] - low)

    def save(self, path: Path | str) -> None:
        """Write the crops as safetensors, atomically."""
        tensors = {"data": np.ascontiguousarray(self.data), "offsets": np.ascontiguousarray(self.offsets)}
        save_tensors(path, tensors, FORMAT, FORMAT_VERSION, {"crop_size": str(CROP_SIZE)})

    @classmethod
    def load(cls, path: Path | str) -> "CropSequence":
        """Read crops.

        Raises:
            CheckpointError: the file is missing, damaged, something else, or of another format version.
        """
        tensors, metadata = load_tensors(path, FORMAT, FORMAT_VERSION, "a file of face crops", "stgt prepare")
        if metadata.get("crop_size") != str(CROP_SIZE):
            raise CheckpointError(f"{path} holds crops of {metadata.get('crop_size')} pixels, not {CROP_SIZE}")
        try:
            return cls(tensors["data"], tensors["offsets"])
        except (KeyError, ValueError) as error:
            raise CheckpointError(
                f"{path}: the crops contradict themselves ({error}); run stgt prepare again"
            ) from None


def cut_patches(crops: np.ndarray, positions: np.ndarray, size: int) -> np.ndarray:
    """Square patches around points of crops.

    Args:
        crops: ``(T, S, S, 3)`` uint8.
        positions: ``(T, V, 2)`` crop pixels (x, y), from `to_crop`; they may lie outside.
        size: side of a patch ``P`` in pixels. The point is in the middle of an odd patch, and right below the middle of
            an even one.

    Returns:
        ``(T, V, P, P, 3)`` uint8; beyond the border the border's pixels are repeated.
    """
    frames, side = crops.shape[:2]
    start = np.rint(positions).astype(np.int64) - size // 2
    reach = np.arange(size)
    columns = np.clip(start[..., 0, None] + reach, 0, side - 1)  # (T, V, P)
    rows = np.clip(start[..., 1, None] + reach, 0, side - 1)
    pixels = (np.arange(frames)[:, None, None] * side + rows)[..., :, None] * side + columns[..., None, :]
    # Gathering whole pixels as one item of four bytes is several times as fast as three separate ones.
    packed = np.empty((frames * side * side, 4), np.uint8)
    packed[:, :3] = crops.reshape(-1, 3)
    return packed.view(np.uint32)[:, 0].take(pixels)[..., None].view(np.uint8)[..., :3]
