import logging
import threading
import time

import numpy as np
import pytest
from stgt.realtime.sources.base import Reconnecting, SenderClock
from stgt.realtime.sources.capture import Capture

from stgt.errors import SourceError

LONG_S = 10.0
WHITE = np.full((24, 32, 3), 255, np.uint8)


class Device:
    """Gives the connections of a script, one after the other; a hanging picture waits for `let_go`."""

    frame_rate = 30.0

    def __init__(self, *script):
        self.script = list(script)
        self.opened = 0
        self.closed = 0
        self.let_go = threading.Event()
        self.hangs = threading.Event()
        self.gave_back = threading.Event()
        self.reached = [threading.Event() for _ in range(100)]

    def connect(self):
        self.opened += 1
        self.reached[self.opened].set()
        pictures = self.script.pop(0) if self.script else []
        if pictures is None:
            raise SourceError("it is not there")
        if pictures == "hang":
            self.let_go.wait(LONG_S)
            pictures = []
        return _Connection(self, iter(pictures))


class _Connection:
    frame_rate = 30.0

    def __init__(self, device, pictures):
        self.device = device
        self.pictures = pictures

    def read(self):
        time.sleep(0.002)
        picture = next(self.pictures, None)
        if isinstance(picture, str):
            self.device.hangs.set()
            self.device.let_go.wait(LONG_S)
            return None
        return None if picture is None else (None, picture)

    def close(self):
        self.device.closed += 1
        self.device.gave_back.set()


def reconnecting(device, **settings):
    settings = {"stall_s": 0.2, "backoff_s": (0.01, 0.05)} | settings
    return Reconnecting("camera 0", device.connect, **settings)


def until(event, picture, then=()):
    while not event.is_set():
        yield picture
    yield from then


def forever(picture):
    return until(threading.Event(), picture)


def wait_until(condition):
    deadline_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def take(source, count):
    frames = []
    for frame in source:
        frames.append(frame)
        if len(frames) == count:
            break
    return frames


def test_a_camera_that_vanishes_comes_back_on_the_same_clock(caplog):
    unplugged = threading.Event()
    device = Device(until(unplugged, WHITE), None, None, forever(WHITE // 2))
    began_s = time.monotonic()
    times = []
    with caplog.at_level(logging.WARNING, "stgt"), reconnecting(device) as source:
        for time_s, picture in source:
            times.append(time_s)
            if len(times) == 5:
                unplugged.set()
            if picture.max() < 200:
                break
    assert times[0] == 0.0
    assert (np.diff(times) > 0).all()
    assert times[-1] - times[-2] >= 0.11, "0.01, 0.05 and 0.05 s of waiting are a gap"
    assert times[-1] <= time.monotonic() - began_s
    assert device.opened == 4
    assert [record.getMessage().split(",")[0].split(";")[0] for record in caplog.records] == [
        "camera 0: no more pictures come",
        "camera 0 is back",
    ]


def test_a_stall_is_an_outage_and_the_hanging_driver_is_left_alone(caplog):
    stalls = threading.Event()
    device = Device(until(stalls, WHITE, ["hang"]), forever(WHITE // 2))
    with caplog.at_level(logging.WARNING, "stgt"), reconnecting(device) as source:
        times = []
        for time_s, picture in source:
            times.append(time_s)
            stalls.set()
            if picture.max() < 200:
                break
        assert times[-1] - times[-2] >= 0.2
        assert device.closed == 0, "only the thread that reads may close"
        device.let_go.set()
        assert device.gave_back.wait(LONG_S), "what came back late was given back"
    assert len(caplog.records) == 2
    assert "no picture for 0.2 s" in caplog.text


def test_a_driver_that_hangs_at_every_opening_does_not_collect_threads():
    before = threading.active_count()
    device = Device([WHITE], *["hang"] * 50)
    source = reconnecting(device, open_s=0.02)
    waiting = threading.Thread(target=take, args=(source, 5))
    waiting.start()
    assert device.reached[4].wait(LONG_S)
    time.sleep(0.3)  # in which a dozen more would be opened
    assert source.is_lost
    assert device.opened == 4, "the first, and three that hang"
    assert threading.active_count() - before <= 4, "they, and the one that waits here"
    source.close()
    waiting.join(LONG_S)
    assert not waiting.is_alive()
    device.let_go.set()


@pytest.mark.parametrize("outage", ["waiting to try again", "opening", "stalled"])
def test_closing_ends_an_outage_at_once(outage):
    unplugged = threading.Event()
    settings = {"stall_s": 60.0, "backoff_s": (60.0,)}
    pictures = until(unplugged, WHITE)
    if outage == "opening":
        settings["backoff_s"] = (0.001,)
    if outage == "stalled":
        pictures = until(unplugged, WHITE, ["hang"])
    device = Device(pictures, "hang")
    source = reconnecting(device, **settings)
    capture = Capture(source, newest_only=True)
    frames = iter(capture)
    next(frames)
    unplugged.set()
    if outage == "opening":
        assert device.reached[2].wait(LONG_S)
    elif outage == "stalled":
        assert device.hangs.wait(LONG_S)
    else:
        wait_until(lambda: source.is_lost)
    began_s = time.monotonic()
    assert capture.close(), "the thread has ended"
    source.close()
    assert time.monotonic() - began_s < 3.0
    assert len(list(frames)) <= 1
    device.let_go.set()


def test_a_first_opening_that_fails_is_an_error():
    with pytest.raises(SourceError, match="is not there"):
        reconnecting(Device(None))
    for nothing, sentence in ((Device([]), "ends before its first picture"), (Device("hang"), "no picture for 0.05 s")):
        began_s = time.monotonic()
        with pytest.raises(SourceError, match=sentence):
            reconnecting(nothing, open_s=0.05)
        assert time.monotonic() - began_s < LONG_S / 2
        assert nothing.opened == 1, "it is not tried again"
        nothing.let_go.set()


def test_frames_of_changing_size_are_fitted_into_the_first():
    bright, grey = threading.Event(), threading.Event()
    tall = np.full((48, 24, 3), 200, np.uint8)
    flat = np.full((24, 32), 100, np.uint8)
    device = Device(until(bright, WHITE), until(grey, tall), forever(flat))
    seen = {}
    with reconnecting(device) as source:
        for _, picture in source:
            assert picture.shape == (24, 32, 3)
            seen[int(picture[12, 16, 0])] = int(picture[12, 2, 0])
            bright.set()
            if 200 in seen:
                grey.set()
            if 100 in seen:
                break
    assert seen == {255: 255, 200: 0, 100: 100}, "black beside what is taller"


def test_a_source_can_be_iterated_again_without_being_opened_again():
    device = Device(forever(WHITE))
    with reconnecting(device) as source:
        first = take(source, 3)
        second = take(source, 3)
    assert first[0][0] == second[0][0] == 0.0
    assert device.opened == 1


def test_an_outage_outlives_iterations_and_is_told_once(caplog):
    unplugged = threading.Event()
    device = Device(until(unplugged, WHITE), None, None, "hang", forever(WHITE))
    with caplog.at_level(logging.WARNING, "stgt"), reconnecting(device) as source:
        capture = Capture(source, newest_only=True)
        next(iter(capture))
        unplugged.set()
        assert device.reached[4].wait(LONG_S)
        assert capture.close()
        assert source.is_lost
        device.let_go.set()
        assert len(take(source, 3)) == 3
        assert not source.is_lost
    assert ["is opened again" in text for text in caplog.messages] == [True, False]


def test_what_was_being_opened_while_it_was_closed_is_given_back():
    unplugged = threading.Event()
    device = Device(until(unplugged, WHITE), "hang")
    source = reconnecting(device)
    capture = Capture(source, newest_only=True)
    next(iter(capture))
    unplugged.set()
    assert device.reached[2].wait(LONG_S)
    source.close()
    device.let_go.set()
    wait_until(lambda: device.closed == 2)
    assert capture.close()
    assert device.opened == 2


def test_frames_that_nobody_took_are_counted():
    fed, came = threading.Event(), threading.Event()

    def pictures():
        while not fed.is_set():
            yield WHITE
        yield from [WHITE // 2] * 20
        yield WHITE // 4
        came.set()
        yield from forever(WHITE // 4)

    with reconnecting(Device(pictures()), stall_s=LONG_S) as source:
        frames = iter(source)
        next(frames)
        fed.set()
        assert came.wait(LONG_S)
        picture = next(frames)[1]
        assert (picture == 63).all(), "the newest"
        assert source.dropped >= 20


def test_a_late_frame_keeps_the_time_at_which_it_was_sent():
    clock = SenderClock()
    delays = [0.2, 0.05, 0.05, 0.3, 0.05, 0.9, 0.05]
    sent = [100.0 + index / 25 for index in range(len(delays))]
    times = [clock.time_s(now_s, now_s + delay_s) for now_s, delay_s in zip(sent, delays, strict=True)]
    assert times[1:] == pytest.approx([now_s + 0.05 for now_s in sent[1:]], abs=2e-3)
    assert all(now_s <= sent_s + delay_s for now_s, sent_s, delay_s in zip(times, sent, delays, strict=True))


def test_what_a_server_had_kept_is_passed_over():
    clock = SenderClock()
    arrivals = [5.0, 5.001, 5.002, 5.003, 5.006, 5.046, 5.09]
    settled = []
    for index, arrived_s in enumerate(arrivals):
        clock.time_s(index / 25, arrived_s)
        settled.append(clock.is_settled)
    assert settled == [False] * 5 + [True] * 2
    assert clock.time_s(7 / 25, 5.13) == pytest.approx(5.006 + 3 / 25, abs=1e-3)
    hurrying = SenderClock()
    for index in range(21):
        assert not hurrying.is_settled
        hurrying.time_s(index, 5.0 + index / 10)
    assert hurrying.is_settled, "it always sends faster than it should"
    without_times = SenderClock()
    without_times.time_s(None, 1.0)
    assert without_times.is_settled


def test_a_sender_that_sets_its_clock_is_believed_again():
    clock = SenderClock()
    assert clock.time_s(50.0, 1000.0) == 1000.0
    assert clock.time_s(51.0, 1001.0) == 1001.0
    assert clock.time_s(3.0, 1002.0) == 1002.0, "an hour back or more is another clock"
    assert clock.time_s(9999.0, 1003.0) == 1003.0, "nothing comes from the future"
    assert clock.time_s(10000.0, 1004.0) == 1004.0
    assert clock.time_s(None, 1005.0) == 1005.0
