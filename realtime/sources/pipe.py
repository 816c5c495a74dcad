"""Raw frames that another program writes into a pipe."""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from stgt.errors import SourceError
from stgt.faces.video import DEFAULT_FRAME_RATE

from .base import LiveSource
from .handover import Handover

logger = logging.getLogger("stgt")


class PipeSource(LiveSource):
    """Raw rgb24 frames, one after the other, as ``ffmpeg -f rawvideo -pix_fmt rgb24 -`` writes them.

    Whoever writes waits until a frame is asked for. An iteration that is interrupted loses no frame: the next one goes
    on where it ended, and its times begin there. A last frame that is cut short is left out.

    Args:
        size: ``(width, height)`` of every frame.
        frame_rate: Hz; frame ``n`` has the time ``n / frame_rate``. Without it, the time of its arrival.
        stream: read until its end; by default this program's standard input.
        name: for messages.

    Attributes:
        is_timed: whether a frame rate was given.

    Raises:
        SourceError: standard input is a terminal, or closed.
    """

    def __init__(
        self,
        size: tuple[int, int],
        frame_rate: float | None = None,
        stream: BinaryIO | None = None,
        name: str = "standard input",
    ) -> None:
        self.name = name
        self.image_size = size
        self.frame_rate = frame_rate or DEFAULT_FRAME_RATE
        self.is_timed = frame_rate is not None
        self._owned: contextlib.ExitStack = contextlib.ExitStack()
        self._stream = self._owned.enter_context(_standard_input()) if stream is None else stream
        self._interrupted = threading.Event()
        # The thread that waits for the writer; it is begun with the first iteration.
        self._frames: Handover[_Piped] | None = None

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        self.interrupt()
        self._interrupted = interrupted = threading.Event()
        if self._frames is None:
            self._frames = Handover(self._read(), capacity=1)
        return self._pictures(self._frames, interrupted)

    def interrupt(self) -> None:
        """End the iteration at once; see `LiveSource`."""
        self._interrupted.set()
        if self._frames is not None:
            self._frames.wake()

    def close(self) -> None:
        """Read no more. Standard input stays open while a thread still waits for the writer."""
        self.interrupt()
        if self._frames is None or self._frames.close(0.0):
            self._owned.close()

    def _pictures(self, frames: "Handover[_Piped]", interrupted: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
        origin_s = None
        while True:
            try:
                piped = frames.take(unless=interrupted)
            except (EOFError, TimeoutError):
                return
            time_s = piped.index / self.frame_rate if self.is_timed else piped.arrived_s
            origin_s = time_s if origin_s is None else origin_s
            yield time_s - origin_s, piped.rgb

    def _read(self) -> Iterator["_Piped"]:
        width, height = self.image_size
        index = 0
        while True:
            pixels = np.empty((height, width, 3), np.uint8)
            got = _fill(self._stream, memoryview(pixels).cast("B"))
            if got < pixels.nbytes:
                break
            yield _Piped(index, time.monotonic(), pixels)
            index += 1
        if got and not index:
            raise SourceError(
                f"{self.name} ended after {got} bytes, before one frame of {width}x{height} was whole; is --size right?"
            )
        if not index:
            raise SourceError(f"{self.name} gave nothing; does the program that writes into the pipe run?")
        if got:
            logger.warning("%s ended in the middle of a frame, which is left out; is --size right?", self.name)


class _Piped(NamedTuple):
    index: int
    arrived_s: float
    rgb: np.ndarray


def _fill(stream: BinaryIO, target: memoryview) -> int:
    """Read until ``target`` is full or the stream has ended; how many bytes came."""
    filled = 0
    while filled < len(target):
        try:
            got = stream.readinto(target[filled:])
        except (OSError, ValueError):  # closed by us, or broken by the writer
            break
        if not got:
            break
        filled += got
    return filled


def _standard_input() -> BinaryIO:
    """Standard input by a descriptor of our own, without a buffer.

    A thread that waits in ``sys.stdin`` holds a lock that Python wants when it ends.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        raise SourceError("raw frames (-) come through a pipe, but nothing is piped into this program")
    try:
        return os.fdopen(os.dup(0), "rb", buffering=0)
    except OSError:
        raise SourceError("raw frames (-) come through a pipe, but standard input is closed") from None
