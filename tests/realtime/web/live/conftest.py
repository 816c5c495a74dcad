"""A room behind a socket, in this process; and pictures of a rendered face as a browser sends them."""

import contextlib
import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")

import uvicorn
from fastapi import FastAPI
from stgt.realtime.web.connections import HttpConnection, SocketConnection
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.live import routes, socket
from stgt.realtime.web.live.messages import pack_frame
from stgt.realtime.web.live.room import LiveRoom
from stgt.realtime.web.scratch import Scratch
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE_S = 20.0


def encode(rgb: np.ndarray) -> bytes:
    """RGB -> JPEG, as browsers do."""
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def eventually(condition, what: str, timeout_s: float = PATIENCE_S) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, f"not in time: {what}"
        time.sleep(0.01)


class Client:
    """A client that waits for each answer."""

    def __init__(self, url: str, size: tuple[int, int] = (320, 320), mesh: bool = False, hello: Any = None) -> None:
        self.socket = connect(url, compression=None, max_size=None)
        self.news: list[dict[str, Any]] = []
        hello = {"type": "hello", "width": size[0], "height": size[1], "mesh": mesh} if hello is None else hello
        self.say(hello)

    def say(self, message: Any) -> None:
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def hear(self, kind: str | None = None) -> dict[str, Any]:
        """The next message, or the next of a kind; others are kept in ``news``."""
        while True:
            message = json.loads(self.socket.recv(PATIENCE_S))
            if kind is None or message["type"] == kind:
                return message
            self.news.append(message)

    def push(self, number: int, time_s: float, jpeg: bytes) -> None:
        with contextlib.suppress(ConnectionClosed):  # `hear` and `end` tell
            self.socket.send(pack_frame(number, time_s, jpeg))

    def ask(self, number: int, time_s: float, jpeg: bytes) -> dict[str, Any]:
        self.push(number, time_s, jpeg)
        return self.hear("result")

    def end(self) -> tuple[dict[str, Any], int]:
        """The last message before the server closes, and the code with which it does."""
        last = {}
        try:
            while True:
                last = json.loads(self.socket.recv(PATIENCE_S))
        except ConnectionClosed as closed:
            return last, closed.rcvd.code

    def kill(self) -> None:
        """Go without a word, as a browser that was killed."""
        self.socket.socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()


class Server:
    """The routes of live sessions, served in this process.

    Attributes:
        service: what they share.
    """

    def __init__(self, service: SimpleNamespace) -> None:
        self.service = service
        app = FastAPI()
        app.state.service = service
        app.include_router(socket.router)
        app.include_router(routes.router)
        config = uvicorn.Config(
            *(app, "127.0.0.1", 0),
            http=HttpConnection,
            ws=SocketConnection,
            ws_max_size=service.limits.live_frame_bytes,
            ws_per_message_deflate=False,
            lifespan="off",
            log_level="error",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        eventually(lambda: self._server.started, "the server has started")
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/api/live"
        self.http = f"http://127.0.0.1:{self.port}"

    @property
    def room(self) -> LiveRoom:
        return self.service.room

    def client(self, faces: int | str | None = None, **settings) -> Client:
        return Client(self.url if faces is None else f"{self.url}?faces={faces}", **settings)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.room.close()


@pytest.fixture(scope="session")
def start_live(reader, tmp_path_factory):
    """``with start_live(live_idle_s=1.0) as server:`` has these limits."""

    @contextlib.contextmanager
    def start(**limits):
        room_limits = replace(Limits(), **limits)
        service = SimpleNamespace(
            reader=reader,
            limits=room_limits,
            checkpoint="pretrained",
            scratch=Scratch(tmp_path_factory.mktemp("live")),
            room=LiveRoom(room_limits),
        )
        server = Server(service)
        try:
            yield server
        finally:
            server.stop()
            service.scratch.close()

    return start


@pytest.fixture(scope="session")
def live_server(start_live):
    """The server of all tests that need no limits of their own."""
    with start_live() as server:
        yield server


@pytest.fixture(scope="session")
def jpegs(face_frames) -> list[tuple[float, bytes]]:
    """``(time in s, JPEG)`` of a face, 320x320, 16 in a second."""
    return [(time_s, encode(rgb)) for time_s, rgb in face_frames]
