"""What is taken of what clients push in, and what is passed over."""

import math
import struct
import threading
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")

from stgt.realtime.session import LiveSession
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.live import source as source_module
from stgt.realtime.web.live.jpeg import JpegHeader, read_header
from stgt.realtime.web.live.source import MOST_BROKEN, PushedSource

from stgt.errors import SourceError, StgtError

SIZE = (64, 48)


def jpeg_of(picture: np.ndarray, *settings: int) -> bytes:
    return cv2.imencode(".jpg", picture, settings)[1].tobytes()


def grey(value: int, size: tuple[int, int] = SIZE) -> bytes:
    return jpeg_of(np.full((size[1], size[0], 3), value, np.uint8))


def lying(width: int, height: int) -> bytes:
    """A small JPEG that says it is of another size."""
    data = bytearray(grey(90))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def twofold() -> bytes:
    """Says it is small, behind a stuffed byte that some decoders pass over and read on: behind it, it is large."""
    bomb = b"\xff\xc0\x00\x11\x08\x1f\x40\x1f\x40\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    small = grey(90)
    return small[:2] + b"\xff\x00" + struct.pack(">H", 2 + len(bomb)) + bomb + small[2:]


@pytest.fixture
def source():
    with PushedSource(SIZE, Limits()) as source:
        yield source


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """Sizes of all that is decoded, in bytes."""
    sizes, decode = [], cv2.imdecode

    def counted(data, flags):
        sizes.append(len(data))
        return decode(data, flags)

    monkeypatch.setattr(source_module.cv2, "imdecode", counted)
    return sizes


@pytest.mark.parametrize("settings", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_OPTIMIZE, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_header_is_read(settings, channels):
    picture = np.random.default_rng(0).integers(0, 255, (37, 53, channels), np.uint8)
    assert read_header(jpeg_of(picture, *settings)) == JpegHeader(53, 37, channels)
    assert read_header(jpeg_of(picture, *settings) + bytes(20)) == JpegHeader(53, 37, channels), "some cameras pad"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is not a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a JPEG"),
        (grey(9)[:-40], "was cut off"),
        (b"\xff\xd8\xff\xd9", "damaged"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x02" * 5000 + b"\xff\xd9", "damaged"),
        (b"\xff\xd8\xff\xc0\x00\x04\x08\x00\xff\xd9", "its header was cut off"),
        (grey(9).replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), "12 bits per colour"),
        (grey(9).replace(b"\xff\xc0", b"\xff\xc9"), "rare kind"),
        (b"\xff\xd8\xff\xc0\x00\x14\x08\x00\x10\x00\x10\x04" + bytes(12) + b"\xff\xd9", "4 colour components"),
        (lying(0, 16), "no pixels"),
        (b"\xff\xd8" + b"\xff\xda\x00\x02" * 500 + grey(9)[2:], "more than 32 scans"),
        (twofold(), "damaged"),
    ],
)
def test_what_is_no_good_jpeg_is_told_why(data, why):
    with pytest.raises(ValueError, match=why):
        read_header(data)


def test_a_header_costs_little():
    data = jpeg_of(np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8))
    begun = time.perf_counter()
    for _ in range(50):
        read_header(data)
    assert (time.perf_counter() - begun) / 50 < 2e-3


def test_the_newest_frame_wins_and_nothing_else_is_decoded(source, decoded):
    for number in range(200):
        source.push(number, 100.0 + number / 30, grey(number))
    time_s, rgb = next(iter(source))
    assert (len(decoded), source.dropped) == (1, 199)
    assert abs(int(rgb.mean()) - 199) <= 1
    assert time_s == pytest.approx(199 / 30)
    pushed = source.answered(time_s)
    assert (pushed.frame, pushed.time_s) == (199, 100.0 + 199 / 30)
    with pytest.raises(KeyError):
        source.answered(time_s)


def test_colours_are_in_their_order(source):
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 250  # OpenCV writes BGR
    source.push(0, 0.0, jpeg_of(red))
    _, rgb = next(iter(source))
    assert rgb.shape == (48, 64, 3)
    assert rgb[..., 0].mean() > 240 > 20 > rgb[..., 2].mean()


@pytest.mark.parametrize(
    "bad", [lying(8000, 8000), lying(1, 1), grey(5, (64, 50)), grey(5)[:-30], b"no picture", b"\xff\xd8\xff\xd9"]
)
def test_what_is_broken_is_passed_over_and_never_decoded(source, decoded, bad):
    frames = iter(source)
    source.push(0, 0.0, bad)
    threading.Timer(0.05, lambda: source.push(1, 0.1, grey(40))).start()
    assert next(frames)[0] == pytest.approx(0.1)
    assert source.dropped == 1
    assert len(decoded) == 1


def test_a_picture_that_breaks_in_the_decoder_is_passed_over(source):
    data = grey(9)
    at = data.index(b"\xff\xda")
    source.push(0, 0.0, data[: at + 2] + bytes(9) + data[-2:])
    threading.Timer(0.05, lambda: source.push(1, 0.1, grey(40))).start()
    assert next(iter(source))[0] == pytest.approx(0.1)


@pytest.mark.parametrize(("number", "time_s"), [(5, 1.1), (4, 1.1), (6, 1.0), (6, 1.0005), (6, 0.5), (6, -1e9)])
def test_what_does_not_go_on_is_passed_over(source, number, time_s):
    source.push(5, 1.0, grey(10))
    source.push(number, time_s, grey(20))
    source.push(7, 1.2, grey(30))
    _, rgb = next(iter(source))
    assert abs(int(rgb.mean()) - 30) <= 1
    assert source.dropped == 2


@pytest.mark.parametrize("time_s", [math.nan, math.inf, -math.inf, 1e300, 1.0 + 3601])
def test_a_time_that_makes_no_sense_is_refused(source, time_s):
    source.push(0, 1.0, grey(10))
    with pytest.raises(StgtError, match="time"):
        source.push(1, time_s, grey(10))


@pytest.mark.parametrize("bad", [lambda n: (n, n / 30, b"broken"), lambda n: (0, n / 30, grey(1))])
def test_many_bad_frames_in_a_row_end_it_with_a_sentence(source, bad):
    def push() -> None:
        for number in range(MOST_BROKEN + 1):
            source.push(*bad(number))
            time.sleep(0.005)

    threading.Thread(target=push).start()
    with pytest.raises(SourceError, match=f"{MOST_BROKEN} frames in a row could not be used"):
        list(source)


@pytest.mark.parametrize("size", [(8, 480), (1281, 720), (0, 0), (10**9, 10**9)])
def test_a_size_that_is_not_taken_is_refused(size):
    with pytest.raises(StgtError, match="from 16 to 1280"):
        PushedSource(size, Limits())


def test_closing_ends_whoever_waits(source):
    threading.Timer(0.05, source.close).start()
    begun = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - begun < 0.4


def test_a_session_reads_it_with_no_thread_in_between(reader, landmarker, face_frames):
    """Frames are found again by their times; the session's clock begins with the first frame."""
    before = threading.active_count()
    with (
        PushedSource((320, 320), Limits()) as source,
        LiveSession(reader, source, landmarker=landmarker, shared=True) as session,
    ):
        answers = []
        for number, (time_s, rgb) in enumerate(face_frames[:6]):
            source.push(number, 1e6 + time_s, jpeg_of(rgb[..., ::-1]))
            if not number:
                frames = iter(session)
            live = next(frames)
            answers.append(source.answered(live.timestamp_s).frame)
            assert live.timestamp_s == pytest.approx(time_s, abs=1e-6)
            assert live.faces[0].landmarks is not None
        assert answers == list(range(6))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
