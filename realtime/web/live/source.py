"""PushedSource: the camera of somebody's browser, whose pictures are pushed in by a socket."""

import math
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from stgt.errors import SourceError, StgtError

from ...sources.capture import CapturedFrame, HandsOver
from ..limits import Limits
from .jpeg import read_header
from .turns import Turns

#: So many frames in a row that cannot be used end the session.
MOST_BROKEN = 20

_LEAST_STEP_S = 1e-3  # MediaPipe counts in milliseconds
_LONGEST_STEP_S = 3600.0  # whoever sends nothing for so long is long gone
_NOMINAL_RATE = 30.0
_LEAST_SIDE = 16
_WAIT_S = 0.5
_DECODED_AS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


class PushedFrame(NamedTuple):
    """A frame as its sender knows it: number, time on the sender's clock; and when it came by our monotonic clock."""

    frame: int
    time_s: float
    arrived_s: float


class PushedSource(HandsOver):
    """A camera whose JPEGs are pushed in from anywhere. The newest one wins, and only what is taken is decoded.

    Whoever iterates decodes in their own thread, when they have time for a frame. A frame whose number or time does not
    go on, or whose picture is broken, is passed over and counted; ``MOST_BROKEN`` in a row end the iteration.

    Args:
        image_size: ``(width, height)`` of all frames in pixels.
        limits: of the server.
        turns: shared by all whose frames are read on this machine; none: nobody else's are.

    Attributes:
        dropped: frames that came since it was opened and were not taken, and broken ones.

    Raises:
        StgtError: a size that makes no picture, or is more than is taken.
    """

    def __init__(self, image_size: tuple[int, int], limits: Limits, turns: Turns | None = None) -> None:
        width, height = image_size
        if min(image_size) < _LEAST_SIDE or max(image_size) > limits.live_side:
            raise StgtError(
                f"frames of {width}x{height} pixels are not taken; both sides must be from {_LEAST_SIDE} to "
                f"{limits.live_side}"
            )
        self.name = "camera"
        self.image_size = image_size
        self.frame_rate = _NOMINAL_RATE
        self.dropped = 0
        self.turns = turns or Turns()
        self._changed = threading.Condition()
        self._newest: tuple[PushedFrame, bytes] | None = None
        self._last: PushedFrame | None = None
        self._first_s = 0.0
        self._taken: dict[float, PushedFrame] = {}
        self._broken, self._why = 0, ""
        self._iteration = 0
        self._closed = False

    def push(self, frame: int, time_s: float, jpeg: bytes) -> None:
        """Take the next frame; never waits.

        Args:
            frame: its number; they grow.
            time_s: on the sender's clock; it grows.
            jpeg: the picture.

        Raises:
            StgtError: a time that is none, or much later than the one before.
        """
        if not math.isfinite(time_s):
            raise StgtError("the time of a frame must be a number of seconds")
        arrived = PushedFrame(frame, time_s, time.monotonic())
        with self._changed:
            last = self._last
            if last is None:
                self._first_s = time_s
            elif time_s - last.time_s > _LONGEST_STEP_S:
                raise StgtError(f"a frame's time is {time_s - last.time_s:.0f} s after that of the one before")
            elif frame <= last.frame:
                self._pass_over("their numbers must grow")
                return
            elif time_s - last.time_s < _LEAST_STEP_S:
                self._pass_over("their times must grow, by a millisecond at least")
                return
            if self._newest is not None:
                self.dropped += 1
            self._last, self._newest = arrived, (arrived, jpeg)
            self._changed.notify_all()

    def answered(self, timestamp_s: float) -> PushedFrame:
        """The frame that was given with this time; those before it are forgotten.

        Raises:
            KeyError: none was.
        """
        with self._changed:
            found = self._taken[timestamp_s]
            for earlier in [time_s for time_s in self._taken if time_s <= timestamp_s]:
                del self._taken[earlier]
            return found

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        return ((frame.timestamp_s, frame.rgb) for frame in self.capture())

    def capture(self) -> "PushedCapture":
        """The frames from the newest one on; whoever iterated before gets no more."""
        with self._changed:
            self._iteration += 1
            self._taken.clear()
            self._changed.notify_all()
            return PushedCapture(self, self._iteration)

    def interrupt(self) -> None:
        """End the iteration at once."""
        with self._changed:
            self._iteration += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End the iteration, and every later one."""
        self._closed = True
        self.interrupt()

    def wait(self, iteration: int) -> bool:
        """Wait until there is a frame to be taken; false: this iteration was interrupted.

        Raises:
            SourceError: too many in a row could not be used.
        """
        with self._changed:
            while not self._closed and iteration == self._iteration:
                if self._broken >= MOST_BROKEN:
                    raise SourceError(f"{MOST_BROKEN} frames in a row could not be used: {self._why}")
                if self._newest is not None:
                    return True
                self._changed.wait(_WAIT_S)
        return False

    def take(self) -> CapturedFrame | None:
        """The newest frame, decoded; ``None``: there is none, or it is broken."""
        with self._changed:
            newest, self._newest = self._newest, None
        if newest is None:
            return None
        pushed, jpeg = newest
        try:
            rgb = self._decoded(jpeg)
        except ValueError as error:
            with self._changed:
                self._pass_over(f"the last picture {error}")
            return None
        timestamp_s = pushed.time_s - self._first_s
        with self._changed:
            self._broken = 0
            self._taken[timestamp_s] = pushed
            return CapturedFrame(timestamp_s, rgb, pushed.arrived_s, self.dropped)

    def _pass_over(self, why: str) -> None:
        """Count a frame that cannot be used; the lock must be held."""
        self.dropped += 1
        self._broken += 1
        self._why = why
        self._changed.notify_all()

    def _decoded(self, jpeg: bytes) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        Raises:
            ValueError: it is no JPEG of our size; to be put behind "the picture".
        """
        header = read_header(jpeg)
        said = (header.width, header.height)
        if said != self.image_size:
            raise ValueError(
                f"has {header.width}x{header.height} pixels, not the {self.image_size[0]}x{self.image_size[1]} that "
                "were announced"
            )
        try:
            rgb = cv2.imdecode(np.frombuffer(jpeg, np.uint8), _DECODED_AS)
        except cv2.error:
            rgb = None
        if rgb is None or rgb.shape[1::-1] != said:
            raise ValueError("is a damaged JPEG")
        return rgb


class PushedCapture:
    """What a `LiveSession` reads a `PushedSource` by: no thread reads ahead of it."""

    def __init__(self, source: PushedSource, iteration: int) -> None:
        self._source = source
        self._iteration = iteration

    def __iter__(self) -> Iterator[CapturedFrame]:
        while self._source.wait(self._iteration):
            # The turn ends when the next frame is asked for: when all that takes long was done with this one.
            with self._source.turns.taken():
                frame = self._source.take()
                if frame is not None:
                    yield frame

    def close(self) -> bool:
        """End it."""
        self._source.interrupt()
        return True
