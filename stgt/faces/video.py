"""FrameSource: pictures with their times, from a video file, a folder of images or a camera."""

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from stgt.errors import SourceError
from stgt.faces.tracks import TIME_TOLERANCE_S

if TYPE_CHECKING:
    from stgt.faces.decoding import Caution

logger = logging.getLogger("stgt")

VIDEO_SUFFIXES = (".mp4", ".flv", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
DEFAULT_FRAME_RATE = 25.0  #: Hz, of an image folder whose rate nobody gave

_JOINED_S = 0.5  # a clock that jumps back by more begins anew
_SEEK_FROM_S = 2.0  # a part that starts earlier is reached sooner by decoding from the beginning


class FrameSource(ABC):
    """Yields ``(timestamp_s, rgb)``: seconds from the source's first frame, never decreasing, and ``(H, W, 3)`` uint8.

    Every frame has the same size. A file or folder can be read again by iterating again.

    Attributes:
        name: the path or camera, as it was given.
        image_size: ``(width, height)`` in pixels, as the pictures are meant to be seen (rotation applied).
        frame_rate: nominal rate in Hz.
        frame_count: how many frames to expect, from what the container says; ``None`` if it says nothing.
    """

    name: str
    image_size: tuple[int, int]
    frame_rate: float
    frame_count: int | None

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]: ...

    def close(self) -> None:  # noqa: B027 - only a camera holds something between iterations
        """Give back the device."""

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_source(
    source: str | int | Path,
    frame_rate: float | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
) -> FrameSource:
    """Open a video file, a folder of images, or a camera.

    Args:
        source: a path, or a camera's index (an int, or a string of digits that is not also a file).
        frame_rate: Hz; the rate of an image folder (25 if not given) or the one asked of a camera. A video keeps its
            container's times whatever is given.
        start_s: first time to yield; of a camera nothing is left out.
        end_s: last time to yield, itself included. Times keep their values.

    Raises:
        SourceError: it does not exist, cannot be read, or holds no picture.
    """
    if frame_rate is not None and not frame_rate > 0:
        raise SourceError(f"{source}: the frame rate must be positive, not {frame_rate}")
    if end_s is not None and end_s < (start_s or 0.0):
        raise SourceError(f"{source}: the part to read ends ({end_s} s) before it starts ({start_s or 0.0} s)")
    if isinstance(source, int) or (isinstance(source, str) and source.isdigit() and not Path(source).exists()):
        return Camera(int(source), frame_rate, end_s)
    if Path(source).is_dir():
        return ImageFolder(source, frame_rate, start_s, end_s)
    return VideoFile(source, start_s, end_s)


class VideoFile(FrameSource):
    """A video file of any container and codec that FFmpeg reads; one frame is in memory at a time.

    Times are the container's, so that a variable frame rate is right, counted from the first frame. A file that was cut
    in the middle yields what it has. Two frames with one time are kept and named in a warning.

    Args:
        path: or a file that can be sought; it stays open, and is read from its beginning.
        start_s: first time to yield.
        end_s: last time to yield, itself included.
        caution: what is read at all, of a file from strangers.

    Attributes:
        duration_s: what the container says of the pictures' length, from the first to the last; 0 if it says nothing.
    """

    def __init__(
        self,
        path: Path | str | BinaryIO,
        start_s: float | None = None,
        end_s: float | None = None,
        caution: "Caution | None" = None,
    ) -> None:
        from stgt.faces.decoding import RgbConverter, decoded_frames, open_video, source_name

        self.name = source_name(path)
        self._file, self._caution = path, caution
        self.start_s = start_s or 0.0
        self.end_s = float("inf") if end_s is None else end_s
        container, stream = open_video(path, caution)
        with container:
            rate = stream.average_rate or stream.guessed_rate
            self.frame_rate = float(rate) if rate else DEFAULT_FRAME_RATE
            self._aspect = float(stream.sample_aspect_ratio or 1)
            first = next(decoded_frames(container, stream, self.name), None)
            if first is None:
                raise SourceError(f"{self.name}: not one frame could be decoded; the file is cut short or damaged")
            height, width = RgbConverter()(first, self._aspect).shape[:2]
            self.image_size = (width, height)
            self._origin_s = first.time or 0.0
            whole_s = (container.duration or 0) / 1e6
            self.frame_count = self._expected_frames(stream.frames, whole_s)
            self.duration_s = float(stream.duration * stream.time_base) if stream.duration else whole_s

    def _expected_frames(self, frames: int, duration_s: float) -> int | None:
        if self.start_s <= 0 and self.end_s >= duration_s:
            return frames or round(duration_s * self.frame_rate) or None
        last_s = min(self.end_s, duration_s - 1 / self.frame_rate) if duration_s else self.end_s
        return max(0, round((last_s - self.start_s) * self.frame_rate) + 1) if np.isfinite(last_s) else None

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        from stgt.faces.decoding import RgbConverter

        convert = RgbConverter()
        clock = _Clock(self.frame_rate, self._origin_s)
        for frame in self._frames():
            now_s = clock.tell(frame.time)
            if now_s > self.end_s + TIME_TOLERANCE_S:
                break
            if now_s >= self.start_s - TIME_TOLERANCE_S:
                yield now_s, fit_into(convert(frame, self._aspect), self.image_size)
        clock.report(self.name)

    def _frames(self) -> Iterator:
        """Decoded frames from a key frame at or before ``start_s``."""
        from stgt.faces.decoding import decoded_frames, open_video, seek

        if self.start_s >= _SEEK_FROM_S:
            container, stream = open_video(self._file, self._caution)
            with container:
                if seek(container, stream, self.start_s + self._origin_s):
                    frames = decoded_frames(container, stream, self.name)
                    first = next(frames, None)
                    # Some containers' indices lie: then everything from the beginning is decoded instead.
                    if first is not None and first.time is not None and first.time - self._origin_s <= self.start_s:
                        yield from chain([first], frames)
                        return
        container, stream = open_video(self._file, self._caution)
        with container:
            yield from decoded_frames(container, stream, self.name)


class _Clock:
    """The times of a file's frames, from its first one on; they never run backwards.

    A time that is missing or a little early is that of the frame before. One that jumps back begins another recording
    that was joined on, whose frames follow those before.

    Args:
        frame_rate: Hz, for what has no time.
        origin_s: time of the first frame on the file's own clock.
    """

    def __init__(self, frame_rate: float, origin_s: float) -> None:
        self._step_s = 1.0 / frame_rate
        self._origin_s = origin_s
        self._last_s: float | None = None
        self._repeated: list[float] = []
        self._joined: list[float] = []

    def tell(self, file_s: float | None) -> float:
        """The time of the next frame, whose file says ``file_s``."""
        next_s = 0.0 if self._last_s is None else self._last_s + self._step_s
        now_s = next_s if file_s is None else file_s - self._origin_s
        if self._last_s is not None and now_s < self._last_s - _JOINED_S:
            self._joined.append(next_s)
            self._origin_s += now_s - next_s
            now_s = next_s
        elif self._last_s is not None and now_s <= self._last_s:
            self._repeated.append(self._last_s)
            now_s = self._last_s
        self._last_s = now_s
        return now_s

    def report(self, name: str) -> None:
        """Warn of what was odd."""
        if self._repeated:
            logger.warning(
                "%s: %d frames have the time of the frame before them (the first at %.3f s); they are kept in order",
                *(name, len(self._repeated), self._repeated[0]),
            )
        if self._joined:
            logger.warning(
                "%s: its clock begins anew at %s s, as where recordings were joined; what follows is timed from there",
                *(name, ", ".join(f"{joined_s:.3f}" for joined_s in self._joined[:3])),
            )


class ImageFolder(FrameSource):
    """The images of a folder in natural order (``2.png`` before ``10.png``), one every ``1 / frame_rate`` seconds.

    An image that cannot be read is named in a warning; the others keep their times. Images of another size than the
    first are scaled to fit into it, without distortion.
    """

    def __init__(
        self,
        path: Path | str,
        frame_rate: float | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> None:
        self.name = str(path)
        self.frame_rate = frame_rate or DEFAULT_FRAME_RATE
        images = [
            image
            for image in Path(path).iterdir()
            if image.suffix.lower() in IMAGE_SUFFIXES and not image.name.startswith(".") and image.is_file()
        ]
        if not images:
            raise SourceError(f"{path}: this folder has no images ({', '.join(s[1:] for s in IMAGE_SUFFIXES)})")
        images.sort(key=lambda image: natural_key(image.name))
        first = next((rgb for rgb in map(read_image, images) if rgb is not None), None)
        if first is None:
            raise SourceError(f"{path}: none of the {len(images)} images in this folder can be read")
        self.image_size = (first.shape[1], first.shape[0])
        low = (start_s or 0.0) - TIME_TOLERANCE_S
        high = float("inf") if end_s is None else end_s + TIME_TOLERANCE_S
        timed = [(index / self.frame_rate, image) for index, image in enumerate(images)]
        self._images = [(now_s, image) for now_s, image in timed if low <= now_s <= high]
        self.frame_count = len(self._images)

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        for now_s, image in self._images:
            rgb = read_image(image)
            if rgb is None:
                logger.warning("%s cannot be read as an image; it is left out", image)
                continue
            yield now_s, fit_into(rgb, self.image_size)


class Camera(FrameSource):
    """A camera by its index; times count from the first frame by this machine's monotonic clock."""

    def __init__(self, index: int, frame_rate: float | None = None, end_s: float | None = None) -> None:
        self.name = str(index)
        self.frame_count = None
        self._end_s = float("inf") if end_s is None else end_s
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture = cv2.VideoCapture(index)
        cv2.utils.logging.setLogLevel(level)
        if frame_rate:
            self._capture.set(cv2.CAP_PROP_FPS, frame_rate)
        okay, bgr = self._capture.read()
        if not okay:
            self._capture.release()
            raise SourceError(f"camera {index} gives no picture; is it connected, and not in use by another program?")
        self.image_size = (bgr.shape[1], bgr.shape[0])
        self.frame_rate = self._capture.get(cv2.CAP_PROP_FPS) or frame_rate or DEFAULT_FRAME_RATE

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        origin_s = None
        while True:
            okay, bgr = self._capture.read()
            now_s = time.monotonic()
            if not okay:
                logger.warning("camera %s stopped giving pictures", self.name)
                return
            origin_s = now_s if origin_s is None else origin_s
            if now_s - origin_s > self._end_s:
                return
            yield now_s - origin_s, fit_into(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), self.image_size)

    def close(self) -> None:
        """Give back the device."""
        self._capture.release()


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts ``frame2`` before ``frame10``."""
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"(\d+)", name) if part]


def read_image(path: Path) -> np.ndarray | None:
    """An image file as ``(H, W, 3)`` uint8 RGB (grey ones too), upright; ``None`` if it cannot be read."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    bgr = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def fit_into(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``rgb`` scaled to lie inside ``size`` (width, height) without distortion, black around it."""
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    scale = min(size[0] / width, size[1] / height)
    inner = (min(size[0], max(1, round(width * scale))), min(size[1], max(1, round(height * scale))))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    resized = cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas
