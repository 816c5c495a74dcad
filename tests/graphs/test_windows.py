"""A window is a function of the frames within it, at the model's rate, whatever the source's rate was."""

import numpy as np
import pytest

from stgt.config import WindowConfig
from stgt.graphs.geometry import geometry_stream
from stgt.graphs.layout import load_layout
from stgt.graphs.windows import cut_window, sample_window, window_starts

CONFIG = WindowConfig(frames=16, frame_rate=10.0)


def test_grid_and_interpolation_are_linear_in_time(track_factory):
    track = track_factory([0.0, 0.06, 0.1, 0.25, 0.4])
    window = cut_window(track, 0.0, WindowConfig(frames=5, frame_rate=10.0))
    assert np.allclose(window.times, [0, 0.1, 0.2, 0.3, 0.4])
    assert window.valid.all()
    assert np.allclose(window.points[1], track.points[2])
    assert np.allclose(window.points[2], track.points[2] / 3 + track.points[3] * 2 / 3, atol=1e-3)
    blendshapes = track.blendshapes
    assert np.allclose(window.actions[2], blendshapes[2] / 3 + blendshapes[3] * 2 / 3, atol=1e-6)
    assert window.frame_index.tolist() == [0, 2, 3, 3, 4]
    assert window.points.dtype == np.float32


@pytest.mark.parametrize("start_s", [0.0, 0.5, 1.25, 1.4])
def test_same_window_from_a_longer_track_and_a_ring_buffer(track, start_s):
    """Offline and live: cut out of 3 s of video, and out of a buffer that holds little more than the window."""
    whole = cut_window(track, start_s, CONFIG)
    kept = (track.times >= start_s - 1e-9) & (track.times <= start_s + CONFIG.duration_s + 0.1)
    arrays = (track.points, track.blendshapes, track.times, track.valid)
    buffered = sample_window(*(np.ascontiguousarray(values[kept]) for values in arrays), start_s, CONFIG)
    assert np.array_equal(whole.actions, buffered.actions)
    assert np.array_equal(whole.valid, buffered.valid)
    assert np.array_equal(whole.frame_index, buffered.frame_index + np.flatnonzero(kept)[0])
    layout = load_layout("landmarks68")
    streams = [geometry_stream(window.points, window.valid, layout, 10.0) for window in (whole, buffered)]
    assert np.abs(streams[0] - streams[1]).max() < 1e-5


def test_frames_outside_of_the_window_do_not_count(track):
    window = cut_window(track, 1.0, CONFIG)
    outside = (track.times < 1.0 - 1e-6) | (track.times > 2.5 + 1e-6)
    points = np.where(outside[:, None, None], np.float32(1e6), track.points)
    actions = np.where(outside[:, None], np.float32(1e6), track.blendshapes)
    changed = sample_window(points, actions, track.times, track.valid, 1.0, CONFIG)
    assert np.array_equal(window.points, changed.points)
    assert np.array_equal(window.actions, changed.actions)


def test_the_rate_of_the_source_hardly_matters(track_factory):
    fast, slow = (track_factory(np.arange(0, 2, 1 / rate)) for rate in (60, 24))
    for track in (fast, slow):  # a smooth face: without its noise
        track.points[:] = 100 + 10 * np.sin(2 * track.times)[:, None, None]
    windows = [cut_window(track, 0.1, CONFIG) for track in (fast, slow)]
    # Within: at its ends a window takes the first and the last of its own frames.
    assert np.abs(windows[0].points - windows[1].points)[1:-1].max() < 0.02


def test_lost_frames_are_bridged_up_to_the_gap_and_masked_beyond(track_factory):
    times = np.arange(60) / 30
    lost = (times > 0.42) & (times < 1.18)
    track = track_factory(times, ~lost)
    window = cut_window(track, 0.0, CONFIG)
    # 0.4 s and 1.2 s are the last and first frames with a face: at most 0.15 s away is near.
    assert window.valid.tolist() == [True] * 6 + [False] * 5 + [True] * 5
    assert not window.points[~window.valid].any()
    assert not window.actions[~window.valid].any()
    assert np.abs(window.points[5]).max() > 1
    assert not lost[window.frame_index].any()


def test_no_face_at_all(track_factory):
    window = cut_window(track_factory(np.arange(60) / 30, np.zeros(60)), 0.0, CONFIG)
    assert not window.valid.any()
    assert not window.points.any()
    assert window.frame_index.max() < 60
    assert window.valid_share == 0


def test_equal_timestamps_are_no_division_by_zero(track_factory):
    times = np.repeat(np.arange(30) / 20, 2)
    track = track_factory(times)
    window = cut_window(track, 0.0, CONFIG)
    assert np.isfinite(window.points).all()
    assert np.allclose(window.points[2], track.points[9])  # of the two frames at 0.2 s the last counts


def test_an_empty_track_gives_an_invalid_window(track_factory):
    track = track_factory(np.zeros(0))
    assert window_starts(track, CONFIG) == [0.0]
    window = cut_window(track, 0.0, CONFIG)
    assert window.points.shape == (16, 478, 3)
    assert window.actions.shape == (16, 52)
    assert not window.valid.any()


def test_a_clip_shorter_than_a_window_gives_one_padded_at_its_end(track_factory):
    track = track_factory(2.0 + np.arange(20) / 30)
    assert window_starts(track, CONFIG) == [2.0]
    window = cut_window(track, 2.0, CONFIG)
    assert window.valid.tolist() == [True] * 8 + [False] * 8


def test_starts_cover_the_clip_and_the_last_window_ends_with_it(track_factory):
    track = track_factory(1.0 + np.arange(101) / 30)  # from 1 s to 4 1/3 s
    starts = window_starts(track, CONFIG)
    assert np.allclose(starts, [1.0, 1.5, 2.0, 2.5, 4 + 1 / 3 - 1.5])
    assert cut_window(track, starts[-1], CONFIG).valid.all()
    exact = track_factory(np.arange(46) / 30)  # exactly one window
    assert window_starts(exact, CONFIG) == [0.0]
    assert cut_window(exact, 0.0, CONFIG).valid.all()
