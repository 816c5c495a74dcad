"""Who may use the processor next: one after the other, in the order in which they asked."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator


class Turns:
    """So many may work at once; others wait in a line.

    Landmarks of several faces at once on fewer cores take each other's caches and time: all are late. In turns the
    first is early, and who waits takes a newer frame when the turn comes.

    Args:
        at_once: who may work; none: as many as there are cores.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._free = at_once or _cores()
        self._lock = threading.Lock()
        self._line: deque[threading.Event] = deque()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Work inside the block."""
        with self._lock:
            mine = None
            if self._free:
                self._free -= 1
            else:
                mine = threading.Event()
                self._line.append(mine)
        if mine is not None:
            mine.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._line:
                    self._line.popleft().set()
                else:
                    self._free += 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
