import io
import itertools
import logging
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from stgt.realtime.sources.capture import Capture, is_live
from stgt.realtime.sources.pipe import PipeSource

from stgt.errors import SourceError

SIZE = (32, 24)
FRAMES = np.random.default_rng(0).integers(0, 256, (5, SIZE[1], SIZE[0], 3), np.uint8)


def test_raw_frames_have_the_times_of_their_rate():
    source = PipeSource(SIZE, 10.0, io.BytesIO(FRAMES.tobytes()))
    assert is_live(source)
    assert source.image_size == SIZE
    times, pictures = zip(*source, strict=True)
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(pictures, FRAMES)


def test_without_a_rate_frames_have_the_time_at_which_they_came():
    times = [time_s for time_s, _ in PipeSource(SIZE, None, io.BytesIO(FRAMES.tobytes()))]
    assert times[0] == 0.0
    assert all(0 <= later - sooner < 5 for sooner, later in itertools.pairwise(times))


def test_a_program_that_writes_in_pieces_and_stops_in_the_middle_of_a_frame(caplog, tmp_path):
    (tmp_path / "frames.rgb").write_bytes(FRAMES.tobytes()[:-7])
    program = (
        "import sys; data = open(sys.argv[1], 'rb').read()\n"
        "for start in range(0, len(data), 1000): sys.stdout.buffer.write(data[start:start + 1000]); sys.stdout.flush()"
    )
    with (
        caplog.at_level(logging.WARNING, "stgt"),
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "frames.rgb"], stdout=subprocess.PIPE, bufsize=0
        ) as writer,
        PipeSource(SIZE, 10.0, writer.stdout) as source,
    ):
        pictures = [frame.rgb for frame in Capture(source, newest_only=False)]
    np.testing.assert_array_equal(pictures, FRAMES[:4])
    assert len(caplog.records) == 1
    assert "middle of a frame" in caplog.text


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "gave nothing"), (b"x" * 100, "100 bytes, before one frame of 32x24")]
)
def test_a_pipe_without_a_frame_is_one_sentence(content, sentence):
    with pytest.raises(SourceError, match=sentence):
        list(Capture(PipeSource(SIZE, stream=io.BytesIO(content)), newest_only=True))


class SlowPipe(io.RawIOBase):
    """Gives one frame, and then hangs until it is let go."""

    def __init__(self):
        self.let_go = threading.Event()
        self.given = 0

    def readinto(self, target):
        if self.given:
            self.let_go.wait(10)
            return 0
        self.given = 1
        target[:] = FRAMES[0].tobytes()
        return len(target)


def test_a_writer_that_hangs_does_not_keep_anyone():
    pipe = SlowPipe()
    source = PipeSource(SIZE, stream=pipe)
    capture = Capture(source, newest_only=True)
    frames = iter(capture)
    np.testing.assert_array_equal(next(frames).rgb, FRAMES[0])
    assert capture.close(), "the thread has ended"
    source.close()
    assert list(frames) == []
    pipe.let_go.set()


def test_whoever_writes_waits_where_every_frame_is_wanted():
    content = io.BytesIO(FRAMES.tobytes() * 20)
    capture = Capture(PipeSource(SIZE, 10.0, content), newest_only=False)
    frames = iter(capture)
    for _ in range(3):
        next(frames)
    assert content.tell() <= 12 * FRAMES[0].nbytes, "few are read ahead"
    assert 3 + len(list(frames)) == 100
    assert capture.dropped == 0


def test_a_film_that_is_piped_in_runs_at_its_own_speed():
    rate = 40.0
    capture = Capture(PipeSource(SIZE, rate, io.BytesIO(FRAMES.tobytes() * 12)), newest_only=True)
    arrivals = [frame.arrived_s for frame in capture]
    assert len(arrivals) > 25, "but for half a second at the beginning, and what this machine was too slow for"
    assert arrivals[-1] - arrivals[0] > 0.9 * (60 / rate - 0.5) / 1.05


def test_a_writer_who_makes_up_for_a_pause_is_not_held_up():
    went_on_s = 0.0

    class Hiccups(io.BytesIO):
        def readinto(self, target):
            nonlocal went_on_s
            if self.tell() == 5 * FRAMES[0].nbytes:
                time.sleep(0.5)
                went_on_s = time.monotonic()
            return super().readinto(target)

    capture = Capture(PipeSource(SIZE, 10.0, Hiccups(FRAMES.tobytes() * 2)), newest_only=True)
    last = list(capture)[-1]
    assert last.timestamp_s == pytest.approx(0.9)
    assert last.arrived_s - went_on_s < 0.3, "at the frame rate it were 0.4"


@pytest.mark.parametrize("piped", [True, False])
def test_standard_input(piped):
    """In a process of its own, which ends while a thread still waits for its standard input."""
    program = (
        "from stgt.realtime.sources.capture import Capture, open_live_source\n"
        "source = open_live_source('-', 10.0, (32, 24))\n"
        "capture = Capture(source, newest_only=False)\n"
        "frames = iter(capture)\n"
        "print([int(next(frames).rgb.sum()) for _ in range(4)])\n"
        "print(capture.close())"
    )
    command = [sys.executable, "-c", program]
    if not piped:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert "standard input gave nothing" in ended.stderr
        return
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(FRAMES[:4].tobytes() + b"x")
        process.stdin.flush()
        assert process.stdout.readline().decode().strip() == str([int(frame.sum()) for frame in FRAMES[:4]])
        assert process.stdout.readline().strip() == b"True"
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
