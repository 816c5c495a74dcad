"""Sources whose frames come whether or not anyone takes them, and what to do when they stop coming."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from stgt.errors import SourceError
from stgt.faces.video import DEFAULT_FRAME_RATE, FrameSource

from .handover import Handover
from .pictures import Uniform

logger = logging.getLogger("stgt")

STALL_S = 5.0  #: a camera or stream that gives no picture for so long is given up and opened again
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)  #: waits before it is opened again; the last one from then on
_OPEN_S = 20.0  # a camera may take its time over the first picture; FFmpeg gives up sooner
_RELEASE_S = 1.0  # for the picture that a healthy camera is about to give
_STEADY_S = 10.0  # whoever goes again before that is not asked as often as at first
_MOST_HANGING = 3  # threads that wait for a driver which does not return
_CLOCK_LEEWAY = 1e-3  # a clock may be wrong by this share
_SETTLED_S = 5e-3  # less than a frame takes at any rate
_HURRY_S = 2.0  # who sends faster than it is meant to be seen for so long always does
_LATE_S = 5.0  # who seems to be later than that has set its clock


class LiveSource(FrameSource):
    """A source that does not wait. Iterating begins with what comes next; times count from there.

    Attributes:
        dropped: frames of this iteration that came and were not taken.
    """

    dropped: int = 0
    frame_count: None = None

    def interrupt(self) -> None:
        """End the iteration at once, from another thread. The source stays open, and can be iterated again."""
        raise NotImplementedError


class Connection(Protocol):
    """One opened device or address, read and closed by one thread."""

    frame_rate: float

    def read(self) -> tuple[float | None, np.ndarray] | None:
        """The next picture, RGB of any size, with its time on the sender's clock if it has one; ``None`` at the end."""

    def close(self) -> None:
        """Give it back."""


class _Arrived(NamedTuple):
    time_s: float  # when it was taken, on this machine's monotonic clock
    rgb: np.ndarray
    frame_rate: float


class Reconnecting(LiveSource):
    """A camera or stream that is opened again when it ends or stalls; its clock goes on meanwhile.

    It is read in a thread of its own, which opens, reads and closes each connection: if a driver never returns, only
    that thread waits for it. Each outage is told in one warning, and one more when it is over.

    Args:
        name: for messages; without a password.
        connect: opens a connection or raises `SourceError`.
        first: one that is open already; by default ``connect`` is called.
        stall_s: seconds without a picture that count as an outage.
        backoff_s: seconds to wait before each attempt to open it again, the last of them for ever.
        open_s: seconds that opening may take.

    Raises:
        SourceError: it cannot be opened, or gives no picture. Only the first time; afterwards it is tried again.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        *,
        first: Connection | None = None,
        stall_s: float = STALL_S,
        backoff_s: tuple[float, ...] = BACKOFF_S,
        open_s: float = _OPEN_S,
    ) -> None:
        self.name = name
        self._connect = connect
        self._stall_s = stall_s
        self._backoff_s = backoff_s
        self._open_s = open_s
        self._hanging: list[Handover[_Arrived]] = []
        self._interrupted = threading.Event()
        self._closed = False
        self._lost_s: float | None = None
        self._frames = self._start(first)
        try:
            picture = self._frames.take(open_s)
        except EOFError:
            raise SourceError(f"{name} ends before its first picture; does it run?") from None
        except TimeoutError:
            self._frames.close(0.0)
            raise SourceError(
                f"{name} gives no picture for {open_s:g} s; does it hang, or another program use it?"
            ) from None
        except BaseException:  # Ctrl-C, too
            self._frames.close(0.0)
            raise
        self.image_size = (picture.rgb.shape[1], picture.rgb.shape[0])
        self.frame_rate = picture.frame_rate

    @property
    def is_lost(self) -> bool:
        """Whether it is gone at present, and waited for."""
        return self._lost_s is not None

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        self.interrupt()
        self._interrupted = interrupted = threading.Event()
        self._frames.clear()  # what came in before anyone asked is old by now
        self._frames.dropped = 0
        self.dropped = 0
        return self._pictures(interrupted)

    def interrupt(self) -> None:
        """End the iteration at once, also in the middle of an outage; can be iterated again."""
        self._interrupted.set()
        self._frames.wake()

    def close(self) -> None:
        """Give back the device. What hangs gives it back when it comes to itself."""
        self._closed = True
        self.interrupt()
        # Whoever opens the device again at once must not find it in use by us.
        self._frames.close(0.0 if self.is_lost else _RELEASE_S)

    def _pictures(self, interrupted: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
        uniform = Uniform(self.name, self.image_size)
        origin_s = None
        for arrived in self._arriving(interrupted):
            rgb = uniform(arrived.rgb)
            if rgb is not None:
                origin_s = arrived.time_s if origin_s is None else origin_s
                yield arrived.time_s - origin_s, rgb

    def _arriving(self, interrupted: threading.Event) -> Iterator[_Arrived]:
        dropped = attempts = 0
        since_s = last_s = time.monotonic()
        while not interrupted.is_set():
            try:
                arrived = self._frames.take(self._stall_s, interrupted)
            except (EOFError, TimeoutError, SourceError) as error:
                if interrupted.is_set() or self._closed:
                    return
                if time.monotonic() - since_s > _STEADY_S:
                    attempts = 0
                dropped += self._frames.dropped
                stalled = isinstance(error, TimeoutError)
                self._tell_lost(last_s, f"no picture for {self._stall_s:g} s" if stalled else "no more pictures come")
                arrived, attempts = self._return(attempts, interrupted)
                if arrived is None:
                    return
                since_s = time.monotonic()
            self._tell_back()
            self.dropped = dropped + self._frames.dropped
            last_s = time.monotonic()
            yield arrived

    def _return(self, attempts: int, interrupted: threading.Event) -> tuple[_Arrived | None, int]:
        """The first picture after an outage, and how many attempts there were; ``None`` if nobody waits any longer."""
        arrived = None
        while arrived is None:
            self._frames.close(0.0)
            if self._frames not in self._hanging:
                self._hanging.append(self._frames)
            if interrupted.wait(self._backoff_s[min(attempts, len(self._backoff_s) - 1)]):
                break
            attempts += 1
            self._hanging = [frames for frames in self._hanging if frames.is_running]
            if len(self._hanging) >= _MOST_HANGING:
                continue
            self._frames = self._start()
            try:
                arrived = self._frames.take(self._open_s, interrupted)
            except (EOFError, TimeoutError, SourceError):
                if interrupted.is_set():
                    break
        if self._closed:  # perhaps while it was opened
            self._frames.close(0.0)
        return arrived, attempts

    def _start(self, connection: Connection | None = None) -> Handover[_Arrived]:
        return Handover(self._read(connection), capacity=1, newest_only=True)

    def _read(self, connection: Connection | None) -> Iterator[_Arrived]:
        """What one connection gives; runs in a thread of its own."""
        connection = self._connect() if connection is None else connection
        clock = SenderClock()
        try:
            while (picture := connection.read()) is not None:
                sent_s, rgb = picture
                time_s = clock.time_s(sent_s, time.monotonic())
                if clock.is_settled:
                    yield _Arrived(time_s, rgb, connection.frame_rate)
        finally:
            connection.close()

    def _tell_lost(self, last_s: float, why: str) -> None:
        if self._lost_s is None:
            self._lost_s = last_s
            logger.warning("%s: %s; it is opened again as soon as it answers", self.name, why)

    def _tell_back(self) -> None:
        if self._lost_s is not None:
            logger.warning("%s is back, after %.1f s without a picture", self.name, time.monotonic() - self._lost_s)
            self._lost_s = None


class SenderClock:
    """Times on a sender's clock as times on ours: when a picture was taken, without what the network did to it.

    A picture cannot have been taken after it arrived, so the picture that was least on its way tells how far the clocks
    are apart. That is allowed to change slowly, because no two clocks run alike.

    Attributes:
        is_settled: whether the times can be relied on. At first a server sends what it had kept: each picture is less
            late than the one before it, until one is not.
    """

    def __init__(self) -> None:
        self.is_settled = False
        self._apart_s: float | None = None
        self._began_s = self._arrived_s = 0.0

    def time_s(self, sent_s: float | None, arrived_s: float) -> float:
        """Seconds on our clock, never after ``arrived_s``; ``arrived_s`` itself if the sender says nothing."""
        if sent_s is None:
            self.is_settled = True
            return arrived_s
        apart_s = arrived_s - sent_s
        if self._apart_s is None:
            self._began_s = arrived_s
        else:
            allowed_s = self._apart_s + _CLOCK_LEEWAY * (arrived_s - self._arrived_s)
            hurries = apart_s < allowed_s - _SETTLED_S and arrived_s < self._began_s + _HURRY_S
            self.is_settled |= not hurries
            if apart_s - allowed_s < _LATE_S:
                apart_s = min(apart_s, allowed_s)
        self._apart_s, self._arrived_s = apart_s, arrived_s
        return sent_s + apart_s


def nominal_rate(*rates: float | None) -> float:
    """The first that is a frame rate, Hz: devices that do not know theirs say 0, or that of their clock."""
    return next((rate for rate in rates if rate is not None and 1 <= rate <= 1000), DEFAULT_FRAME_RATE)
