"""Places for live sessions, and a fair line for those who wait."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from stgt.errors import StgtError

from ...session import session_landmarker
from ..landmarkers import Landmarkers
from ..limits import Limits
from .memory import keep_heaps_few
from .recordings import KeptRecordings
from .turns import Turns


class RoomIsFullError(StgtError):
    """All places are taken, and the line is as long as it may be."""


class Place:
    """Somebody's place in the room, or in the line before it.

    Attributes:
        ahead: how many are before them in the line; ``None``: they are inside.
    """

    def __init__(self, ahead: int | None) -> None:
        self.ahead = ahead
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()

    async def moved(self) -> None:
        """Wait until ``ahead`` has changed."""
        await self._moved.wait()
        self._moved.clear()

    def move(self, ahead: int | None) -> None:
        """Tell them where they are now; from any thread."""
        if ahead == self.ahead:
            return
        self.ahead = ahead
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._moved.set)


class LiveRoom:
    """At most ``limits.live_sessions`` are inside at once. Others wait in the order in which they came.

    Any thread may call everything but `ask`, which belongs to an event loop.

    Args:
        limits: of the server.

    Attributes:
        landmarkers: for those inside.
        recordings: that were made here.
        threads: one for each session inside.
        turns: of those inside, at finding landmarks.
    """

    def __init__(self, limits: Limits) -> None:
        keep_heaps_few()
        self._most, self._longest = limits.live_sessions, limits.live_waiting
        self._lock = threading.Lock()
        self._inside: set[Place] = set()
        self._line: list[Place] = []
        self._stops: dict[Place, Callable[[], None]] = {}
        self._closed = False
        self.landmarkers = Landmarkers(partial(session_landmarker, shared=True), limits.live_sessions)
        self.recordings = KeptRecordings(limits)
        self.turns = Turns()
        self.threads = ThreadPoolExecutor(limits.live_sessions, thread_name_prefix="live")

    @property
    def inside(self) -> int:
        """How many places are taken."""
        return len(self._inside)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def ask(self) -> Place:
        """A place inside if one is free, or at the end of the line. Give it back by `leave`.

        Raises:
            RoomIsFullError: the line is full, too.
        """
        with self._lock:
            if self._closed:
                raise RoomIsFullError("the server is about to end")
            if len(self._inside) < self._most:  # nobody waits then
                place = Place(None)
                self._inside.add(place)
                return place
            if len(self._line) >= self._longest:
                raise RoomIsFullError(
                    f"{self._most} cameras are being read and {self._longest} wait; try again in a few minutes"
                )
            place = Place(len(self._line))
            self._line.append(place)
            return place

    def leave(self, place: Place) -> None:
        """Give back a place, inside or in the line; once more does nothing."""
        with self._lock:
            self._stops.pop(place, None)
            if place in self._inside:
                self._inside.remove(place)
                if self._line:
                    following = self._line.pop(0)
                    self._inside.add(following)
                    following.move(None)
            elif place in self._line:
                self._line.remove(place)
            for ahead, waiting in enumerate(self._line):
                waiting.move(ahead)

    def stop_with(self, place: Place, stop: Callable[[], None]) -> None:
        """What ends the session of a place when the room closes."""
        with self._lock:
            self._stops[place] = stop
            closed = self._closed
        if closed:
            stop()

    def close(self) -> None:
        """End all sessions and recordings; wait for their threads."""
        with self._lock:
            self._closed = True
            stops = list(self._stops.values())
        for stop in stops:
            stop()
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.recordings.close()
        self.landmarkers.close()
