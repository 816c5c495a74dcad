import functools
import http.server
import threading
import time

import numpy as np
import pytest
from stgt.realtime.capture import Capture, Handover, is_live, open_live_source

from stgt.errors import SourceError
from stgt.faces.video import VideoFile

GREY = np.zeros((32, 48, 3), np.uint8)


def test_every_item_arrives_in_order_and_none_piles_up():
    made = []

    def items():
        for index in range(20):
            made.append(index)
            yield index

    handover = Handover(items(), capacity=2)
    time.sleep(0.1)
    assert len(made) <= 3, "two wait, and one is in the thread's hand"
    assert list(handover) == list(range(20))
    assert handover.dropped == 0


def test_the_newest_frame_is_handed_over_and_the_others_are_counted(made_source):
    source = made_source([(index / 200, GREY + index) for index in range(60)], wait_s=0.005)
    capture = Capture(source, newest_only=True)
    seen = []
    for frame in capture:
        seen.append(round(frame.timestamp_s * 200))
        assert frame.rgb[0, 0, 0] == seen[-1]
        last = frame
        time.sleep(0.04)
    assert seen == sorted(seen)
    assert seen[-1] == 59, "the last one is not lost"
    assert len(seen) < 40
    assert last.dropped == 60 - len(seen)


def test_what_is_raised_in_the_thread_is_raised_where_the_items_are_wanted():
    def items():
        yield 1
        raise SourceError("the cable was pulled")

    handover = iter(Handover(items(), capacity=2))
    assert next(handover) == 1
    with pytest.raises(SourceError, match="cable"):
        next(handover)


def test_closing_ends_the_thread_and_whoever_waits():
    go_on = threading.Event()

    def items():
        yield 1
        go_on.wait(5)
        yield 2

    handover = Handover(items(), capacity=1)
    received = []
    waiting = threading.Thread(target=lambda: received.extend(handover))
    waiting.start()
    time.sleep(0.05)
    threading.Timer(0.05, go_on.set).start()
    assert handover.close()
    waiting.join(1)
    assert not waiting.is_alive()
    assert received == [1]


def test_a_file_in_real_time_takes_its_time_and_does_not_hurry_after_a_pause(made_source):
    frames = [(index * 0.05, GREY) for index in range(9)]
    began_s = time.monotonic()
    capture = Capture(made_source(frames), newest_only=False, in_real_time=True)
    arrivals = [frame.arrived_s - began_s for frame in capture]
    assert arrivals[-1] >= 0.39
    paused = []
    for index, frame in enumerate(Capture(made_source(frames), newest_only=False, in_real_time=True)):
        paused.append(frame.arrived_s)
        time.sleep(0.5 if index == 0 else 0.0)
    # Three frames waited during the pause, and one was in the thread's hand; then the file runs on at its own speed.
    assert paused[-1] - paused[0] > 0.5 + 3 * 0.05 - 0.01


@pytest.fixture
def web_server(rendered_face_clip):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(rendered_face_clip.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_stream_is_read_like_a_camera(web_server, rendered_face_clip):
    with open_live_source(f"{web_server}/{rendered_face_clip.name}") as stream:
        assert is_live(stream)
        assert stream.image_size == VideoFile(rendered_face_clip).image_size
        frames = list(stream)
    assert len(frames) > 10
    assert frames[0][0] == 0.0
    assert frames[0][1].shape == (320, 320, 3)


@pytest.mark.parametrize("path", ["nothing.mp4", ""])
def test_a_stream_that_gives_nothing_is_one_sentence(web_server, path, capfd):
    address = f"{web_server}/{path}".replace("http://", "http://user:secret@")
    with pytest.raises(SourceError, match="gives no pictures") as caught:
        open_live_source(address)
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_files_wait_and_are_not_live(rendered_face_clip):
    assert not is_live(open_live_source(rendered_face_clip))
