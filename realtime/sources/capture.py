"""Where live frames come from, and how they reach the thread that works on them."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from stgt.errors import SourceError
from stgt.faces.video import Camera, FrameSource, open_source

from .base import LiveSource
from .cameras import camera_index, open_camera
from .handover import Handover
from .pictures import Uniform
from .pipe import PipeSource
from .streams import is_address, open_stream

logger = logging.getLogger("stgt")

PIPE = "-"  #: the source that stands for raw frames on standard input

_LEAST_STEP_S = 1e-3  # MediaPipe counts in milliseconds
_HASTE = 1.05  # a pipe may be as much faster than its frame rate …
_BURST_S = 0.5  # … and make up at once for as long


def open_live_source(
    source: str | int | Path, frame_rate: float | None = None, size: tuple[int, int] | None = None
) -> FrameSource:
    """A camera by its index, a stream by its address, a video file, a folder of images, or ``-``: raw frames.

    Cameras and live streams are opened again when they are lost; a file, or a recording on a server, has an end.

    Args:
        source: as for `stgt.faces.video.open_source`, or an address with ``://``, or ``-`` for `PipeSource`. A camera
            may also be named by its device, as ``/dev/video0``.
        frame_rate: Hz, of raw frames, of a folder of images, or to ask of a camera.
        size: ``(width, height)`` of raw frames, or to ask of a camera.

    Raises:
        SourceError: it cannot be opened.
    """
    if frame_rate is not None and not 0 < frame_rate < float("inf"):
        raise SourceError(f"the frame rate must be positive, not {frame_rate}")
    if source == PIPE:
        if size is None:
            raise SourceError("raw frames (-) have no size of their own; name it, as in --size 640x480")
        return PipeSource(size, frame_rate)
    index = camera_index(source)
    if index is not None:
        return open_camera(index, frame_rate, size)
    opened = open_stream(source) if is_address(source) else open_source(source, frame_rate)
    if size is not None:
        opened.close()
        raise SourceError(f"{opened.name} has a size of its own; --size is for cameras and raw frames (-)")
    return opened


def is_live(source: FrameSource) -> bool:
    """Whether frames come whether or not anyone takes them; a file waits."""
    return isinstance(source, Camera | LiveSource)


class CapturedFrame(NamedTuple):
    """A frame, when it came by this machine's monotonic clock, and how many were passed over until now."""

    timestamp_s: float
    rgb: np.ndarray
    arrived_s: float
    dropped: int


class Capturing(Protocol):
    """What hands over frames that were captured."""

    def __iter__(self) -> Iterator[CapturedFrame]: ...

    def close(self) -> bool:
        """End it; whether nobody reads the source any more."""


class HandsOver(LiveSource):
    """A source that keeps its newest frame until somebody has time for it, so that no thread needs to read it ahead."""

    def capture(self) -> Capturing:
        """The frames from the next one on: of one size, at times that go on."""
        raise NotImplementedError


def open_capture(source: FrameSource, *, newest_only: bool, in_real_time: bool = False) -> Capturing:
    """What a source gives, by itself or read in a thread; arguments as of `Capture`."""
    if newest_only and isinstance(source, HandsOver):
        return source.capture()
    return Capture(source, newest_only=newest_only, in_real_time=in_real_time)


class Capture:
    """Reads a source in a thread of its own. Iterating gives `CapturedFrame`.

    All of them are RGB and of one size, whatever the source gives. Times of a live source always go on, by a
    millisecond at least; those of a file may begin anew, when it is played again.

    Args:
        source: open; it stays open.
        newest_only: hand over the newest frame and pass over the others, or else every frame. A program that writes
            into a pipe then waits, and otherwise, too, if it writes faster than the frame rate it has.
        in_real_time: let a file's frames arrive when a camera would deliver them.
    """

    def __init__(self, source: FrameSource, *, newest_only: bool, in_real_time: bool = False) -> None:
        self._source = source
        self._closed = threading.Event()
        self._arrives = newest_only or in_real_time
        frames = _uniform(iter(source), source)
        if is_live(source):
            frames = _onward(frames, source.name)
        if in_real_time:
            frames = self._paced(frames)
        elif newest_only and isinstance(source, PipeSource) and source.is_timed:
            frames = self._unhurried(frames, source.frame_rate)
        arriving = ((timestamp_s, rgb, time.monotonic()) for timestamp_s, rgb in frames)
        self._handover = Handover(arriving, capacity=1 if newest_only else 3, newest_only=newest_only)

    def __iter__(self) -> Iterator[CapturedFrame]:
        for timestamp_s, rgb, arrived_s in self._handover:
            # A file read as fast as possible waits for us, not we for it: its frames arrive when they are taken.
            now_s = arrived_s if self._arrives else time.monotonic()
            yield CapturedFrame(timestamp_s, rgb, now_s, self.dropped)

    @property
    def dropped(self) -> int:
        """Frames passed over until now."""
        before = self._source.dropped if isinstance(self._source, LiveSource) else 0
        return before + self._handover.dropped

    def close(self) -> bool:
        """End the thread; whether it did end. If not, it still reads the source, which must then be left alone."""
        self._closed.set()
        if isinstance(self._source, LiveSource):
            self._source.interrupt()
        return self._handover.close()

    def _paced(self, frames: Iterator[tuple[float, np.ndarray]]) -> Iterator[tuple[float, np.ndarray]]:
        origin_s = None
        for timestamp_s, rgb in frames:
            now_s = time.monotonic()
            # Whoever took too long over a frame, or paused, goes on from there: nothing is hurried to catch up.
            if origin_s is None or now_s > origin_s + timestamp_s:
                origin_s = now_s - timestamp_s
            if self._closed.wait(origin_s + timestamp_s - now_s):
                return
            yield timestamp_s, rgb

    def _unhurried(
        self, frames: Iterator[tuple[float, np.ndarray]], frame_rate: float
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Let a program that writes faster than its frame rate wait: most of a film would be dropped otherwise.

        Whoever only makes up for a pause is not held up, nor is a clock that runs a little fast.
        """
        free_s = -float("inf")
        for timestamp_s, rgb in frames:
            now_s = time.monotonic()
            free_s = max(free_s, now_s - _BURST_S) + 1.0 / (_HASTE * frame_rate)
            if self._closed.wait(max(0.0, free_s - now_s)):
                return
            yield timestamp_s, rgb


def _uniform(frames: Iterator[tuple[float, np.ndarray]], source: FrameSource) -> Iterator[tuple[float, np.ndarray]]:
    uniform = Uniform(source.name, source.image_size)
    for timestamp_s, picture in frames:
        rgb = uniform(picture)
        if rgb is not None:
            yield timestamp_s, rgb


def _onward(frames: Iterator[tuple[float, np.ndarray]], name: str) -> Iterator[tuple[float, np.ndarray]]:
    """Times that always grow: one that does not counts as a millisecond after the one before."""
    last_s = -float("inf")
    warned = False
    for timestamp_s, rgb in frames:
        if timestamp_s < last_s + _LEAST_STEP_S:
            if timestamp_s <= last_s and not warned:
                warned = True
                logger.warning(
                    "%s: a frame's time is not after that of the frame before it (%.3f s, then %.3f s); such frames "
                    "count as a millisecond later",
                    *(name, last_s, timestamp_s),
                )
            timestamp_s = last_s + _LEAST_STEP_S
        last_s = timestamp_s
        yield timestamp_s, rgb
