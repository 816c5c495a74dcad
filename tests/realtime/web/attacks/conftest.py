"""A server that is attacked, and the tools for it."""

import json
import secrets
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import cv2
import pytest


@pytest.fixture(scope="session")
def server(web_server) -> Any:
    """Takes files of 8 MiB, 20 seconds of video and two cameras."""
    return web_server


@pytest.fixture(autouse=True)
def it_still_stands(request) -> Iterator[None]:
    """Whatever was done, the server answers as quickly as ever afterwards, and met no error of its own."""
    yield
    if "server" not in request.fixturenames:
        return
    server = request.getfixturevalue("server")
    began_s = time.monotonic()
    assert server.get("/healthz") == {"status": "ok"}
    assert time.monotonic() - began_s < 2
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="session")
def head() -> Callable[..., bytes]:
    """``head(server, method, path, "Name: value")``: the head of a request as bytes, exactly as it is written here."""

    def write(server: Any, method: str, path: str, *lines: str) -> bytes:
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *lines, "", ""]).encode()

    return write


@pytest.fixture(scope="session")
def raw() -> Callable[..., bytes]:
    """``raw(server, request)``: what comes back for these bytes, until the server closes or falls silent."""

    def exchange(server: Any, request: bytes, wait_s: float = 4.0) -> bytes:
        answer = b""
        with socket.create_connection((server.host, server.port), timeout=wait_s) as connection:
            connection.sendall(request)
            try:
                while piece := connection.recv(65536):
                    answer += piece
                    if b"\r\n\r\n" in answer and b'"error"' in answer:
                        break
            except TimeoutError:
                pass
        return answer

    return exchange


@pytest.fixture(scope="session")
def live_socket() -> Callable[..., AbstractContextManager[Any]]:
    """``with live_socket(server) as connection:`` a connection to ``/api/live``."""
    from websockets.sync.client import connect

    def open_socket(server: Any, **settings: Any) -> AbstractContextManager[Any]:
        return connect(f"ws://{server.host}:{server.port}/api/live", max_size=None, open_timeout=20, **settings)

    return open_socket


@pytest.fixture(scope="session")
def greet(hello) -> Callable[[Any], dict[str, Any]]:
    """``greet(connection)``: says hello; what the server answers first."""

    def exchange(connection: Any) -> dict[str, Any]:
        connection.send(hello)
        return json.loads(connection.recv(20))

    return exchange


@pytest.fixture(scope="session")
def sit(greet) -> Callable[[Any], None]:
    """``sit(connection)``: says hello, and waits for a place if the last one was not yet given up."""

    def exchange(connection: Any) -> None:
        answer = greet(connection)
        while answer["type"] == "wait":
            answer = json.loads(connection.recv(20))
        assert answer["type"] == "ready"

    return exchange


@pytest.fixture(scope="session")
def hello() -> str:
    return json.dumps({"type": "hello", "width": 320, "height": 320, "mesh": True})


@pytest.fixture(scope="session")
def face_jpeg(face_pictures) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(face_pictures[0], cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.fixture(scope="session")
def png_bomb() -> Callable[[int], bytes]:
    """``png_bomb(side)``: a PNG of a few kilobytes that wants to be so many pixels wide and high, all black."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def write(side: int) -> bytes:
        head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)  # one bit for a pixel
        packer, row = zlib.compressobj(), bytes(side // 8 + 1)
        packed = b"".join([packer.compress(row) for _ in range(side)]) + packer.flush()
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")

    return write


@pytest.fixture(scope="session")
def one_sentence() -> Callable[[str], bool]:
    """Whether that is something to say to a visitor: short, on one line, nothing of the server's inside."""

    def judge(error: str) -> bool:
        inside = any(word in error for word in ("Traceback", "/tmp", "stgt-web-", "Error(", "\n"))
        return 0 < len(error) < 400 and not inside

    return judge


@pytest.fixture
def token() -> str:
    return secrets.token_urlsafe(24)
