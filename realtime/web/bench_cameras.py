"""Cameras of `stgt bench web`: WebSocket clients that behave as the page does, and note how long answers take."""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SIZE = (640, 480)
_UNANSWERED = 2
_ANSWER_S = 1.0  # a frame that was not answered for so long was passed over


@dataclass
class CameraTiming:
    """What one camera got.

    Attributes:
        latencies_s: of each result, from sending its frame to receiving it.
        seconds: that the measurement took.
        sent: frames.
    """

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    sent: int = 0

    @property
    def rate(self) -> float:
        """Results per second."""
        return len(self.latencies_s) / self.seconds if self.seconds else 0.0


class Camera:
    """A client as the page is one.

    Args:
        port: of the server.
        jpegs: its pictures, shown in their order again and again.
        frame_rate: Hz.
        mesh: whether results are to tell nodes and attention.
    """

    def __init__(self, port: int, jpegs: Sequence[bytes], frame_rate: float, mesh: bool) -> None:
        self._port = port
        self._jpegs = itertools.cycle(jpegs)
        self._step_s = 1 / frame_rate
        self._hello = {"type": "hello", "width": SIZE[0], "height": SIZE[1], "mesh": mesh}
        self._sent: dict[int, float] = {}
        self._answered = asyncio.Event()
        self.timing = CameraTiming()

    async def run(self, seconds: float, together: asyncio.Barrier) -> None:
        """Send and listen for so long, from when all have a place."""
        from websockets.asyncio.client import connect

        address = f"ws://127.0.0.1:{self._port}/api/live"
        async with connect(address, compression=None, max_size=None) as socket:
            await socket.send(json.dumps(self._hello))
            while json.loads(await socket.recv())["type"] != "ready":
                pass
            await together.wait()
            listening = asyncio.create_task(self._listen(socket))
            began_s = time.perf_counter()
            await self._send(socket, began_s + seconds)
            self.timing.seconds = time.perf_counter() - began_s
            listening.cancel()

    async def _send(self, socket: Any, until_s: float) -> None:
        from .live.messages import pack_frame

        due_s = time.perf_counter()
        while (now_s := time.perf_counter()) < until_s:
            while len(self._sent) >= _UNANSWERED:
                self._answered.clear()
                try:
                    await asyncio.wait_for(self._answered.wait(), _ANSWER_S)
                except TimeoutError:
                    self._sent.clear()
            now_s = time.perf_counter()
            await asyncio.sleep(max(0.0, due_s - now_s))
            # A camera shows its frames whether or not anyone takes them: the next one comes on the same grid.
            now_s = max(now_s, due_s)
            due_s += self._step_s * (1 + (now_s - due_s) // self._step_s)
            number = self.timing.sent
            self._sent[number] = time.perf_counter()
            await socket.send(pack_frame(number, self._sent[number], next(self._jpegs)))
            self.timing.sent += 1

    async def _listen(self, socket: Any) -> None:
        async for message in socket:
            now_s = time.perf_counter()
            said = json.loads(message)
            if said["type"] != "result":
                continue
            sent_s = self._sent.get(said["frame"])
            if sent_s is not None:
                self.timing.latencies_s.append(now_s - sent_s)
            self._sent = {number: sent_s for number, sent_s in self._sent.items() if number > said["frame"]}
            self._answered.set()
