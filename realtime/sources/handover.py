"""Handing things from one thread to the next without piling up."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_TURN_S = 0.2  # waiting in short turns, because Ctrl-C does not end a wait on every system
_JOIN_S = 3.0  # a driver that hangs must not keep the program from ending


class Handover(Generic[Item]):
    """Works through ``items`` in a thread and hands them to whoever iterates. What is raised there is raised here.

    Args:
        items: taken one after the other, in the thread; a generator is closed there, too.
        capacity: items that may wait.
        newest_only: when that many wait, drop the oldest and count it, instead of pausing the thread.

    Attributes:
        dropped: items that nobody was given.
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
            try:
                item = self.take()
            except EOFError:
                return
            yield item

    def take(self, timeout_s: float = math.inf, unless: threading.Event | None = None) -> Item:
        """The next item, as soon as there is one.

        Args:
            timeout_s: how long to wait for it.
            unless: set it and call `wake`, and nobody waits any longer.

        Raises:
            EOFError: there are no more, or `close` was called.
            TimeoutError: none came in time, or ``unless`` is set.
        """
        until_s = time.monotonic() + timeout_s
        with self._changed:
            while not self._closed:
                if unless is not None and unless.is_set():
                    raise TimeoutError
                if self._waiting:
                    item = self._waiting.popleft()
                    self._changed.notify_all()
                    return item
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    break
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                self._changed.wait(min(left_s, _TURN_S))
        raise EOFError

    def wake(self) -> None:
        """Let whoever waits look again whether to go on waiting."""
        with self._changed:
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget what waits; it is not counted as dropped."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    @property
    def is_running(self) -> bool:
        """Whether the thread still works, be it only because something in it hangs."""
        return self._thread.is_alive()

    def close(self, join_s: float = _JOIN_S) -> bool:
        """End the thread and whoever waits for it; what still waits is forgotten. Whether it ended within ``join_s``.

        If not, it ends by itself once it comes back from where it hangs.
        """
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(join_s)
        return not self._thread.is_alive()

    def _work(self, items: Iterator[Item]) -> None:
        try:
            try:
                for item in items:
                    if not self._put(item):
                        break
            finally:
                if hasattr(items, "close"):
                    items.close()
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
