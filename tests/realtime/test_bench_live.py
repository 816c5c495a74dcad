"""The benchmarks of the live program run, count what they say they count, and refuse what measures nothing."""

import numpy as np
import pytest
from stgt.realtime.bench import UNCOUNTED, LiveBenchConfig, Timing, bench_live, beside
from stgt.realtime.soak import SoakConfig, bench_soak

from stgt.bench import main as bench
from stgt.errors import StgtError


def test_a_session_is_timed_beside_the_bare_loop(capsys):
    bare, live = bench_live(LiveBenchConfig(stretch=24, rounds=1, pixels=False)).values()
    assert len(bare.fast.latencies_s) == len(live.fast.latencies_s) == len(bare.paced.latencies_s) == 24 - UNCOUNTED
    assert live.paced.latencies_s, "frames may be passed over, but not all"
    assert bare.paced.seconds > 0.8 * (24 - UNCOUNTED) / 30, "frames come at the video's own rate"
    assert set(live.fast.stages) == {"capture", "landmarks", "window", "model"}
    assert live.fast.stages["landmarks"] > 0
    assert live.fast.stages["model"] > 0, "a prediction was wanted at every frame"
    text = capsys.readouterr().out
    assert "bare MediaPipe loop" in text
    assert "live, geometry" in text


def test_a_turn_counts_what_comes_after_its_first_frames():
    timing = Timing()
    timing.count((0.001 * index, {"model": 1.0}) for index in range(UNCOUNTED + 5))
    np.testing.assert_allclose(timing.latencies_s, 0.001 * np.arange(UNCOUNTED, UNCOUNTED + 5))
    assert timing.stages == {"model": 5.0}
    assert timing.rate > 0


def test_faces_side_by_side_fill_a_picture_of_the_same_size():
    frame = np.full((120, 160, 3), 200, np.uint8)
    (picture,) = beside([frame], 4)
    assert picture.shape == frame.shape
    assert picture.min() == 200


def test_a_soak_reports_its_parts(capsys):
    parts = bench_soak(SoakConfig(frames=1000, track_once=True, every_frames=10))
    assert [part.frames for part in parts] == list(range(100, 1001, 100))
    assert all(part.memory_mb > 50 and part.p95_ms >= part.median_ms > 0 for part in parts)
    assert "after the first part" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["live", "--stretch", "3"], "--stretch must be at least"),
        (["live", "--video", "nowhere.mp4"], "nowhere.mp4"),
        (["soak", "--frames", "5"], "--frames at least"),
    ],
)
def test_what_measures_nothing_is_refused(arguments, sentence):
    with pytest.raises(StgtError, match=sentence):
        bench(arguments)
