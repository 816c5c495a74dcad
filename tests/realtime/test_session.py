import itertools
import threading
import time

import numpy as np
import pytest
from stgt.realtime.session import LiveSession, LiveState

from stgt.errors import SourceError, StgtError
from stgt.faces.extract import extract
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.tracks import LandmarkTrack
from stgt.inference import NO_LABEL


def stgt_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread is not threading.main_thread()}


@pytest.mark.parametrize("model", ["reader", "action_reader", "pixel_reader"])
def test_a_file_is_read_live_as_it_is_read_offline(model, request, rendered_face_clip, landmarker):
    reader = request.getfixturevalue(model)
    track, crops = extract(rendered_face_clip, landmarker=landmarker)
    with LiveSession(reader, rendered_face_clip, every_s=0.2, landmarker=landmarker) as session:
        frames = list(session)
    assert [frame.timestamp_s for frame in frames] == track.times.tolist(), "every frame, in order"
    for frame, points in zip(frames, track.points, strict=True):
        np.testing.assert_array_equal(frame.landmarks.points, points)
    live = [frame.prediction for frame in frames if frame.is_new]
    assert len(live) == 8  # at 0.0, 0.2 … 1.4 s
    recorded = reader.predict_windows(track, crops, [prediction.start_s for prediction in live])
    for now, later in zip(live, recorded, strict=True):
        np.testing.assert_allclose(now.probabilities, later.probabilities, atol=1e-5, rtol=0)
    assert frames[-1].state is LiveState.READING
    assert frames[-1].label in reader.labels
    assert all(frame.latency_s > 0 for frame in frames)
    assert frames[-1].frame_rate > 0


def test_the_neutral_face_is_known_as_a_recording_knows_it(
    action_reader, landmarker, made_source, face_frames, empty_frames
):
    """With frames lost at random, and nobody for a while: read from what the session itself has seen."""
    later = [(empty_frames[-1][0] + 0.0625 + time_s, rgb) for time_s, rgb in face_frames]
    shown = [*face_frames, *empty_frames, *later]
    kept = np.random.default_rng(3).random(len(shown)) > 0.2
    source = made_source([shown[index] for index in np.flatnonzero(kept)])
    with LiveSession(action_reader, source, every_s=0.0, landmarker=landmarker) as session:
        frames = list(session)
    seen = [frame.landmarks is not None for frame in frames]
    assert 20 < sum(seen) < len(seen) - 10
    nothing = Landmarks(np.zeros((478, 3)), np.zeros(52), np.zeros((4, 4)))
    points, blendshapes, transforms = (
        np.stack(values).astype(np.float32)
        for values in zip(*(frame.landmarks or nothing for frame in frames), strict=True)
    )
    times = np.array([frame.timestamp_s for frame in frames])
    track = LandmarkTrack(points, times, np.array(seen), blendshapes, transforms, source.image_size, "made")
    starts = times - action_reader.window.duration_s
    live = np.array([frame.prediction.probabilities for frame in frames])
    recorded = np.array([window.probabilities for window in action_reader.predict_windows(track, starts=starts)])
    np.testing.assert_allclose(live, recorded, atol=1e-5, rtol=0)
    alone = np.array(
        [action_reader.predict_windows(track.slice(start_s), starts=[start_s])[0].probabilities for start_s in starts]
    )
    assert np.nanmax(np.abs(alone - recorded)) > 0.01, "a window that knows no more than itself would show nothing"


def test_states_are_values(reader, landmarker, made_source, face_frames, empty_frames):
    # A face, nobody, the face again.
    later = [(empty_frames[-1][0] + 0.0625 + time_s, rgb) for time_s, rgb in face_frames]
    source = made_source([*face_frames, *empty_frames, *later])
    with LiveSession(reader, source, smoothing_s=0.0, landmarker=landmarker) as session:
        frames = list(session)
    changes = [frames[0]] + [b for a, b in itertools.pairwise(frames) if a.state is not b.state]
    states = [frame.state for frame in changes]
    assert states == [
        *(LiveState.WARMING_UP, LiveState.READING, LiveState.NO_FACE, LiveState.WARMING_UP, LiveState.READING)
    ]
    gone, back = changes[2], changes[3]
    assert gone.timestamp_s - face_frames[-1][0] == pytest.approx(0.1875), "one tolerated gap (0.15 s) later"
    assert back.is_new, "whoever comes into view is not kept waiting"
    for frame in frames:
        known = np.isfinite(frame.probabilities)
        if frame.state is LiveState.READING:
            assert frame.probabilities.sum() == pytest.approx(1.0)
            if frame.is_new:  # without smoothing
                np.testing.assert_array_equal(frame.probabilities, frame.prediction.probabilities)
        else:
            assert not known.any()
            assert frame.label == NO_LABEL
            assert np.isnan(frame.confidence)


def test_whoever_comes_into_view_is_read_at_once_and_from_scratch(
    reader, landmarker, made_source, face_frames, empty_frames
):
    later = [(empty_frames[-1][0] + 0.0625 + time_s, rgb) for time_s, rgb in face_frames]
    source = made_source([*empty_frames, *later])
    with LiveSession(reader, source, every_s=100.0, landmarker=landmarker) as session:
        assert [index for index, frame in enumerate(session) if frame.is_new] == [0, len(empty_frames)]
    source = made_source([*face_frames, *empty_frames, *later])
    with LiveSession(reader, source, every_s=0.0, smoothing_s=100.0, landmarker=landmarker) as session:
        frames = list(session)[len(face_frames) + len(empty_frames) :]
    first, *others = (frame for frame in frames if frame.state is LiveState.READING)
    np.testing.assert_array_equal(first.probabilities, first.prediction.probabilities)
    assert (others[-1].probabilities != others[-1].prediction.probabilities).any()


def test_nobody_at_all_is_no_error(reader, landmarker, made_source, empty_frames):
    frames = list(LiveSession(reader, made_source(empty_frames), landmarker=landmarker))
    assert {frame.state for frame in frames} == {LiveState.NO_FACE}
    assert {frame.landmarks for frame in frames} == {None}
    assert np.isnan(frames[-1].prediction.probabilities).all()
    assert frames[-1].prediction.valid_share == 0


def test_smoothed_probabilities_follow_the_predictions_slowly(reader, landmarker, rendered_face_clip):
    with LiveSession(reader, rendered_face_clip, every_s=0.0, smoothing_s=2.0, landmarker=landmarker) as session:
        frames = [frame for frame in session if frame.state is LiveState.READING]
    smooth = np.abs(np.diff([frame.probabilities for frame in frames], axis=0)).sum()
    rough = np.abs(np.diff([frame.prediction.probabilities for frame in frames], axis=0)).sum()
    assert 0 < smooth < 0.7 * rough


def test_predictions_come_by_frames_or_by_time(reader, landmarker, made_source, empty_frames):
    def predicted(**settings):
        with LiveSession(reader, made_source(empty_frames), landmarker=landmarker, **settings) as session:
            return [index for index, frame in enumerate(session) if frame.is_new]

    assert predicted(every_frames=5) == [0, 5, 10, 15, 20]
    assert predicted(every_s=0.25) == [0, 4, 8, 12, 16, 20]
    assert predicted(every_s=0.1) == [0, 2, 4, 5, 7, 8, 10, 12, 13, 15, 16, 18, 20, 21, 23]  # of 16 Hz: no drift
    assert predicted(every_s=0.0) == list(range(24))


def test_a_camera_gives_its_newest_frame(reader, landmarker, made_source, face_frames):
    source = made_source([(index / 100, face_frames[0][1]) for index in range(80)], wait_s=0.01)
    times = []
    with LiveSession(reader, source, newest_only=True, landmarker=landmarker) as session:
        for frame in session:
            times.append(frame.timestamp_s)
            time.sleep(0.1)
    assert times == sorted(times)
    assert times[-1] == 0.79
    assert frame.dropped == 80 - len(times)
    assert frame.dropped > 40


def test_a_session_that_is_left_early_closes_everything(reader, rendered_face_clip, monkeypatch):
    closed = []
    close = FaceLandmarker.close
    monkeypatch.setattr(FaceLandmarker, "close", lambda self: (closed.append(self), close(self)))
    before = stgt_threads()
    with LiveSession(reader, rendered_face_clip) as session:
        for index, _ in enumerate(session):
            if index == 3:
                break
        assert len(stgt_threads() - before) >= 1
    assert not stgt_threads() - before
    assert len(closed) == 1


def test_interrupting_closes_everything(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames)
    before = stgt_threads()

    def watch():
        with LiveSession(reader, source, landmarker=landmarker) as session:
            for _ in session:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch()
    assert not stgt_threads() - before
    assert not source.closed, "who opened a source closes it"


def test_a_session_can_be_iterated_again(reader, landmarker, rendered_face_clip):
    with LiveSession(reader, rendered_face_clip, landmarker=landmarker) as session:
        first, second = ([frame.prediction.probabilities for frame in session] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_source_that_breaks_says_so(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames[:3], error=SourceError("the cable was pulled"))
    before = stgt_threads()
    with LiveSession(reader, source, landmarker=landmarker) as session, pytest.raises(SourceError, match="cable"):
        list(session)
    assert not stgt_threads() - before


def test_a_setting_that_makes_no_sense_is_one_sentence(reader, rendered_face_clip):
    for settings in ({"every_s": -1.0}, {"every_frames": 0}, {"smoothing_s": -1.0}):
        with pytest.raises(StgtError, match="must be"):
            LiveSession(reader, rendered_face_clip, **settings)
    with pytest.raises(SourceError, match="no such file"):
        LiveSession(reader, "nothing.mp4")
