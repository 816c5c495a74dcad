"""Where live frames come from, and how they are handed from one thread to the next without piling up."""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import cv2
import numpy as np

from stgt.errors import SourceError
from stgt.faces.landmarker import quiet_stderr
from stgt.faces.video import DEFAULT_FRAME_RATE, Camera, FrameSource, fit_into, open_source

logger = logging.getLogger("stgt")

Item = TypeVar("Item")

_OPEN_TIMEOUT_MS = 10_000
_WAIT_S = 0.2  # waiting in short turns, because Ctrl-C does not end a wait on every system
_JOIN_S = 3.0  # a camera that hangs must not keep the program from ending


class Stream(FrameSource):
    """A network stream (rtsp, http, …) that OpenCV opens; times are those of arrival, by this machine's clock.

    Raises:
        SourceError: the address does not answer, or gives no pictures.
    """

    def __init__(self, url: str) -> None:
        self.name = re.sub(r"//[^/@]*@", "//", url)  # a camera's password stays out of tables and pictures
        self.frame_count = None
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS)
        with quiet_stderr():  # FFmpeg's own words; ours are below
            self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
            okay, bgr = self._capture.read()
        cv2.utils.logging.setLogLevel(level)
        if not okay:
            self._capture.release()
            raise SourceError(
                f"{self.name} gives no pictures; is the address right, and does the camera or server run?"
            )
        self.image_size = (bgr.shape[1], bgr.shape[0])
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        # Streams that do not know their rate say 0, or that of their clock.
        self.frame_rate = rate if 1 <= rate <= 240 else DEFAULT_FRAME_RATE

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        origin_s = None
        while True:
            okay, bgr = self._capture.read()
            now_s = time.monotonic()
            if not okay:
                logger.warning("%s: the stream has ended", self.name)
                return
            origin_s = now_s if origin_s is None else origin_s
            yield now_s - origin_s, fit_into(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), self.image_size)

    def close(self) -> None:
        """End the connection."""
        self._capture.release()


def open_live_source(source: str | int | Path, frame_rate: float | None = None) -> FrameSource:
    """A camera by its index, a stream by its address, a video file or a folder of images.

    Args:
        source: as for `stgt.faces.video.open_source`, or an address with ``://``.
        frame_rate: Hz, of a folder of images, or to ask of a camera.

    Raises:
        SourceError: it cannot be opened.
    """
    if isinstance(source, str) and "://" in source:
        return Stream(source)
    return open_source(source, frame_rate)


def is_live(source: FrameSource) -> bool:
    """Whether frames come whether or not anyone takes them; a file waits."""
    return isinstance(source, Camera | Stream)


class CapturedFrame(NamedTuple):
    """A frame, when it came by this machine's monotonic clock, and how many were passed over until now."""

    timestamp_s: float
    rgb: np.ndarray
    arrived_s: float
    dropped: int


class Capture:
    """Reads a source in a thread of its own. Iterating gives `CapturedFrame`.

    Args:
        source: open; it stays open.
        newest_only: hand over the newest frame and pass over the others, or else every frame.
        in_real_time: let a file's frames arrive when a camera would deliver them.
    """

    def __init__(self, source: FrameSource, *, newest_only: bool, in_real_time: bool = False) -> None:
        self._closed = threading.Event()
        self._arrives = newest_only or in_real_time
        frames = iter(source)
        paced = self._paced(frames) if in_real_time else frames
        arriving = ((timestamp_s, rgb, time.monotonic()) for timestamp_s, rgb in paced)
        self._handover = Handover(arriving, capacity=1 if newest_only else 3, newest_only=newest_only)

    def __iter__(self) -> Iterator[CapturedFrame]:
        for timestamp_s, rgb, arrived_s in self._handover:
            # A file read as fast as possible waits for us, not we for it: its frames arrive when they are taken.
            now_s = arrived_s if self._arrives else time.monotonic()
            yield CapturedFrame(timestamp_s, rgb, now_s, self._handover.dropped)

    def close(self) -> bool:
        """End the thread; whether it did end. If not, it still reads the source, which must then be left alone."""
        self._closed.set()
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


class Handover(Generic[Item]):
    """Works through ``items`` in a thread and hands them to whoever iterates. What is raised there is raised here.

    Args:
        items: taken one after the other, in the thread.
        capacity: items that may wait.
        newest_only: when that many wait, drop the oldest and count it, instead of pausing the thread.
    """

    def __init__(self, items: Iterable[Item], capacity: int, newest_only: bool = False) -> None:
        self.dropped = 0
        self._waiting: deque[Item] = deque()
        self._capacity = capacity
        self._newest_only = newest_only
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        # A daemon: a device driver that never returns must not outlive the program.
        self._thread = threading.Thread(target=self._work, args=(iter(items),), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                while not (self._waiting or self._ended or self._closed):
                    self._changed.wait(_WAIT_S)
                if self._closed:
                    return
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item

    def close(self) -> bool:
        """End the thread and whoever waits for it; what still waits is forgotten. Whether it did end in time."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)
        return not self._thread.is_alive()

    def _work(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    break
        except BaseException as error:  # handed to the thread that waits for the items
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        """Whether anyone still wants items."""
        with self._changed:
            if self._newest_only:
                while len(self._waiting) >= self._capacity:
                    self._waiting.popleft()
                    self.dropped += 1
            else:
                self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._capacity)
            if self._closed:
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True
