"""What `stgt bench web` measures, on a server in this process."""

import numpy as np
import pytest

pytest.importorskip("fastapi")

from stgt.realtime.web.bench import SIZE, WebBenchConfig, as_jpegs, camera_pictures, main, measure_cameras, video_of
from stgt.realtime.web.live.jpeg import read_header

from stgt.bench import ELSEWHERE
from stgt.errors import StgtError
from stgt.faces.video import open_source


def test_it_is_found_by_its_name():
    assert ELSEWHERE["web"] == main.__module__


def test_cameras_are_measured_side_by_side(live_server):
    jpegs = as_jpegs(camera_pictures(None))
    assert read_header(jpegs[0])[:2] == SIZE
    config = WebBenchConfig(seconds=1.0, frame_rate=20.0)
    timings = measure_cameras(live_server.port, jpegs, 2, config)
    assert len(timings) == 2
    for timing in timings:
        assert 0 < len(timing.latencies_s) <= timing.sent <= 21
        assert timing.seconds == pytest.approx(1.0, abs=0.5)
        assert all(0 < latency_s < 2 for latency_s in timing.latencies_s)
        assert timing.rate == len(timing.latencies_s) / timing.seconds


def test_the_video_of_the_job_is_as_long_as_asked_for():
    pictures = camera_pictures(None)
    assert np.abs(pictures[1].astype(int) - pictures[-1]).max() == 0, "forth and back"
    with video_of(pictures[:4], 0.5) as path, open_source(path) as source:
        assert source.image_size == SIZE
        assert len(list(source)) == 15
    assert not path.exists()


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--cameras", "0"], ["--frame_rate", "-1"]])
def test_what_measures_nothing_is_refused(arguments):
    with pytest.raises(StgtError, match="positive"):
        main(arguments)
