import logging
import threading
import time

import cv2
import numpy as np
import pytest
from stgt.realtime.sources.base import LiveSource
from stgt.realtime.sources.capture import Capture, is_live, open_live_source

from stgt.errors import SourceError

GREY = np.zeros((32, 48, 3), np.uint8)


class MadeLiveSource(LiveSource):
    """Frames from a list, as a camera would give them; then it ends, or waits until it is interrupted."""

    def __init__(self, frames, then_waits=False):
        self.name = "made"
        self.frames = frames
        self.image_size = frames[0][1].shape[1::-1]
        self.frame_rate = 16.0
        self.interrupted = threading.Event()
        self.then_waits = then_waits

    def __iter__(self):
        yield from self.frames
        if self.then_waits:
            self.interrupted.wait(10)

    def interrupt(self):
        self.interrupted.set()


@pytest.fixture
def made_live_source():
    return MadeLiveSource


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


def test_a_file_played_again_begins_anew_and_a_live_source_always_goes_on(made_source, made_live_source, caplog):
    times = [0.0, 0.1, 0.2, 0.2, 0.15, 0.3, 0.0, 0.1]
    frames = [(time_s, GREY) for time_s in times]
    with caplog.at_level(logging.WARNING, "stgt"):
        played = [frame.timestamp_s for frame in Capture(made_source(frames), newest_only=False)]
        assert played == times
        assert caplog.records == []
        live = [frame.timestamp_s for frame in Capture(made_live_source(frames), newest_only=False)]
    assert live == pytest.approx([0.0, 0.1, 0.2, 0.201, 0.202, 0.3, 0.301, 0.302])
    assert len(caplog.records) == 1
    assert "0.200 s, then 0.200 s" in caplog.text


def test_whatever_a_source_gives_is_handed_over_as_rgb_of_one_size(made_source):
    pictures = [
        GREY + 7,
        GREY[..., 0],
        np.full((64, 48, 4), 200, np.uint8),
        (GREY + 9).astype(np.uint16) << 8,
        GREY / 2,
    ]
    frames = list(
        Capture(made_source([(index / 10, picture) for index, picture in enumerate(pictures)]), newest_only=False)
    )
    assert [frame.timestamp_s for frame in frames] == [0.0, 0.1, 0.2, 0.3], "what is no picture is left out"
    assert {(frame.rgb.shape, frame.rgb.dtype.name) for frame in frames} == {((32, 48, 3), "uint8")}
    assert [frame.rgb[16, 24].tolist() for frame in frames] == [[7] * 3, [0] * 3, [200] * 3, [9] * 3]


def test_what_waits_for_a_source_ends_when_it_is_closed(made_live_source):
    source = made_live_source([(0.0, GREY)], then_waits=True)
    capture = Capture(source, newest_only=True)
    frames = iter(capture)
    next(frames)
    assert capture.close()
    assert list(frames) == []


def test_what_was_dropped_before_is_counted_too(made_live_source):
    source = made_live_source([(0.0, GREY)])
    source.dropped = 5
    assert [frame.dropped for frame in Capture(source, newest_only=False)] == [5]


def test_files_and_folders_wait_and_are_not_live(rendered_face_clip, tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), GREY)
    for source in (rendered_face_clip, str(rendered_face_clip), tmp_path):
        assert not is_live(open_live_source(source, frame_rate=30.0))


@pytest.mark.parametrize(
    ("source", "settings", "sentence"),
    [
        ("nothing.mp4", {}, "nothing.mp4: there is no such file or folder"),
        ("-", {}, "--size 640x480"),
        (".", {}, "has no images"),
        ("-", {"size": (4, 4), "frame_rate": 0.0}, "must be positive"),
        (3, {"frame_rate": float("nan")}, "must be positive"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(source, settings, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=sentence):
        open_live_source(source, **settings)


def test_a_file_has_a_size_of_its_own(rendered_face_clip):
    with pytest.raises(SourceError, match="sample.mp4 has a size of its own"):
        open_live_source(rendered_face_clip, size=(640, 480))
