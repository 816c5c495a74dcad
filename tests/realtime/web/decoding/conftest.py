"""Files as strangers send them."""

import io
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import av
import cv2
import numpy as np
import pytest


@pytest.fixture
def uploaded() -> Iterator[Callable[[bytes], BinaryIO]]:
    """A file without a name, as the server keeps uploads."""
    files = []

    def upload(content: bytes) -> BinaryIO:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
        files.append(file)
        file.write(content)
        return file

    yield upload
    for file in files:
        file.close()


@pytest.fixture(scope="session")
def encode_video() -> Callable[..., bytes]:
    """``encode_video("mp4", "mpeg4", count, size, rate)``: grey pictures that become brighter."""

    def encode(container: str, codec: str, count: int = 20, size: tuple[int, int] = (64, 48), rate: int = 10) -> bytes:
        content = io.BytesIO()
        with av.open(content, "w", format=container) as target:
            stream = target.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
            for index in range(count):
                picture = np.full((size[1], size[0], 3), 40 + 8 * (index % 25), np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=stream.pix_fmt)
                target.mux(stream.encode(frame))
            target.mux(stream.encode())
        return content.getvalue()

    return encode


@pytest.fixture(scope="session")
def encode_sound() -> Callable[[], bytes]:
    def encode() -> bytes:
        content = io.BytesIO()
        with av.open(content, "w", format="mp4") as target:
            stream = target.add_stream("aac", rate=8000)
            for index in range(10):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", layout="mono")
                frame.rate, frame.pts = 8000, 1024 * index
                target.mux(stream.encode(frame))
            target.mux(stream.encode())
        return content.getvalue()

    return encode


@pytest.fixture(scope="session")
def claimed_png() -> Callable[[int, int], bytes]:
    """A small PNG file that claims any size."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def claim(width: int, height: int) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        pixels = zlib.compress(bytes(1000))
        return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", pixels) + part(b"IEND", b"")

    return claim


@pytest.fixture(scope="session")
def encode_picture() -> Callable[[np.ndarray, str], bytes]:
    def encode(rgb: np.ndarray, suffix: str) -> bytes:
        okay, content = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        assert okay
        return content.tobytes()

    return encode
