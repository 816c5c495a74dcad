"""Very many at once, nonsense, those who do not listen, and those who are very slow."""

import json
import socket
import struct
import time
from contextlib import ExitStack, suppress

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

MIB = 2**20
FRAME = struct.Struct("<Id")


def test_fifty_sockets_at_once(server, live_socket, greet, eventually):
    """Two are read, twelve wait in line, the others are told that it is full; when all leave, the places are free."""
    with ExitStack() as stack:
        visitors = [stack.enter_context(live_socket(server)) for _ in range(50)]
        said = [greet(visitor)["type"] for visitor in visitors]
        assert said[:2] == ["ready", "ready"]
        assert said[2:14] == ["wait"] * 12
        assert said[14:] == ["full"] * 36
        visitors[0].close()
        heard = [json.loads(visitors[2].recv(20))["type"]]
        assert heard[-1] == "ready"

    def is_free() -> bool:
        with live_socket(server) as connection:
            return greet(connection)["type"] == "ready"

    eventually(is_free, "the places are free again")


NONSENSE = {
    "no type": ["{}"],
    "no JSON": ["not json"],
    "deep JSON": ["[" * 100_000],
    "a list": ["[1]"],
    "huge": ['{"type": "hello", "width": 1000000000, "height": 1000000000}'],
    "no size": ['{"type": "hello", "width": -1, "height": NaN}'],
    "a frame first": [FRAME.pack(1, 0.0)],
    "an empty frame": ["hello", b""],
    "a short frame": ["hello", b"short"],
    "an unknown message": ["hello", '{"type": "rm -rf"}'],
    "eternity": ["hello", '{"type": "neutral", "seconds": 1e300}'],
    "a large message": ["hello", bytes(2 * MIB)],
}


@pytest.mark.parametrize("messages", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_ends_the_session_with_a_word(server, live_socket, hello, one_sentence, messages):
    with live_socket(server) as connection:
        with suppress(ConnectionClosed):  # while it is still being sent
            for message in messages:
                connection.send(hello if message == "hello" else message)
        words, code = until_closed(connection)
    if len(messages[-1]) > MIB:  # refused by the protocol itself, before it is here
        assert code in (None, 1009)
    else:
        assert code in (1003, 1007, 1008)
        assert words[-1]["type"] == "error"
        assert one_sentence(words[-1]["error"])


def until_closed(connection) -> tuple[list[dict], int | None]:
    """What the server still says, and with which code it closes."""
    words = []
    try:
        while True:
            words.append(json.loads(connection.recv(10)))
    except ConnectionClosed as closed:
        return words, closed.rcvd and closed.rcvd.code


PICTURES = {
    "none": b"\xff\xd8\xff" + bytes(100),
    "of another size": cv2.imencode(".jpg", np.zeros((1200, 1200, 3), np.uint8))[1].tobytes(),
    "of 65535 pixels": b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(40) + b"\xff\xd9",
    "a bomb": None,
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_frames_that_are_no_pictures_end_the_session_with_a_word(
    server, live_socket, sit, png_bomb, one_sentence, picture
):
    """One that is broken is passed over, as a camera's may be; many are somebody's intention."""
    content = png_bomb(8_000) if picture is None else picture
    with live_socket(server) as connection:
        sit(connection)
        before = server.memory_bytes()
        with suppress(ConnectionClosed):
            for number in range(1, 200):
                connection.send(FRAME.pack(number, number / 30) + content)
                time.sleep(0.01)
        words, code = until_closed(connection)
    assert code == 1008
    assert words[-1]["type"] == "error"
    assert one_sentence(words[-1]["error"])
    assert server.memory_bytes() - before < 64 * MIB


def masked(kind: int, content: bytes) -> bytes:
    """A WebSocket frame as clients send it, with a mask of zeros."""
    if len(content) < 126:
        size = struct.pack(">B", 0x80 | len(content))
    elif len(content) < 65536:
        size = struct.pack(">BH", 0x80 | 126, len(content))
    else:
        size = struct.pack(">BQ", 0x80 | 127, len(content))
    return bytes([0x80 | kind]) + size + bytes(4) + content


def test_who_does_not_listen_costs_no_memory(server, head, hello, face_jpeg):
    """Frames go in as fast as they can; nothing that comes back is ever read."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    sent, memory = 0, []
    with socket.create_connection((server.host, server.port), timeout=0.5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head(server, "GET", "/api/live", *upgrade, key))
        connection.sendall(masked(1, hello.encode()))
        end_s = time.monotonic() + 2
        while time.monotonic() < end_s:
            sent += 1
            try:
                connection.sendall(masked(2, FRAME.pack(sent, sent / 1000) + face_jpeg))
            except OSError:  # the server takes no more, or has closed
                break
            if sent % 20 == 0:
                memory.append(server.memory_bytes())
    assert sent > 20
    early = memory[len(memory) // 4]
    assert max(memory) - early < 48 * MIB, [value // MIB for value in memory[:: len(memory) // 10 + 1]]


def test_very_slow_senders_keep_nobody_waiting(server, head):
    """A hundred requests whose heads never end, and uploads whose bodies trickle."""
    upload = head(
        *(server, "POST", "/api/predict"), "Content-Type: multipart/form-data; boundary=x", "Content-Length: 100000"
    )
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection((server.host, server.port), timeout=5)) for _ in range(100)
        ]
        for index, connection in enumerate(slow):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " if index % 2 else upload + b"--x\r\n")
        time.sleep(0.3)
        for connection in slow:
            with suppress(OSError):  # refused already
                connection.sendall(b"a")
        began_s = time.monotonic()
        assert server.ask("GET", "/").status == 200
        assert server.get("/api/model")["labels"]
        assert time.monotonic() - began_s < 2
