"""What waits to be sent to a client: little, however slow the client is."""

import asyncio
import threading
from collections import deque


class OutboxFullError(Exception):
    """The client does not read what it is told."""


class Outbox:
    """Messages from any thread to the one task that sends them.

    News are all sent, in their order. Of results only the newest few wait; they come after the news.

    Args:
        results: that may wait.
        news: that may wait.
    """

    def __init__(self, results: int = 1, news: int = 64) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._there = asyncio.Event()
        self._is_told = False
        self._news: deque[str] = deque()
        self._most_news = news
        self._results: deque[str] = deque(maxlen=results)
        self._overflown = False

    def put_news(self, message: str) -> None:
        """A message that must arrive."""
        with self._lock:
            if len(self._news) >= self._most_news:
                self._overflown = True
            else:
                self._news.append(message)
            self._tell()

    def put_result(self, message: str) -> None:
        """A message that may be replaced by a newer one."""
        with self._lock:
            self._results.append(message)
            self._tell()

    async def take(self) -> str:
        """The next message, as soon as there is one.

        Raises:
            OutboxFullError: more news than the client reads.
        """
        while True:
            with self._lock:
                if self._overflown:
                    raise OutboxFullError
                if self._news:
                    return self._news.popleft()
                if self._results:
                    return self._results.popleft()
                self._there.clear()
                self._is_told = False
            await self._there.wait()

    def _tell(self) -> None:
        """Wake the task, once; the lock must be held."""
        if not self._is_told and not self._loop.is_closed():
            self._is_told = True
            self._loop.call_soon_threadsafe(self._there.set)
