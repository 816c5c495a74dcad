import itertools
import threading
import time
import tracemalloc

import numpy as np
import pytest
from stgt.realtime.frames import FaceState
from stgt.realtime.session import LiveSession

from stgt.errors import SourceError, StgtError
from stgt.faces.extract import extract
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.tracks import LandmarkTrack
from stgt.inference import NO_LABEL, UNCERTAIN, ExpressionReader

NOTHING = Landmarks(np.zeros((478, 3)), np.zeros(52), np.zeros((4, 4)))


def track_of(frames) -> LandmarkTrack:
    """What a session saw of its only face, as a recording would hold it."""
    seen = [frame.faces[0].landmarks if frame.faces else None for frame in frames]
    points, blendshapes, transforms = (
        np.stack(values).astype(np.float32) for values in zip(*(face or NOTHING for face in seen), strict=True)
    )
    times = np.array([frame.timestamp_s for frame in frames])
    valid = np.array([face is not None for face in seen])
    size = frames[0].rgb.shape[1::-1]
    return LandmarkTrack(points, times, valid, blendshapes, transforms, size, "made")


def stgt_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread is not threading.main_thread()}


@pytest.mark.parametrize("model", ["reader", "action_reader", "pixel_reader", "frames_reader"])
def test_a_file_is_read_live_as_it_is_read_offline(model, request, rendered_face_clip, landmarker):
    reader = request.getfixturevalue(model)
    track, crops = extract(rendered_face_clip, landmarker=landmarker)
    settings = {"every_s": 0.2, "smoothing_s": 0.0, "hysteresis": 0.0, "landmarker": landmarker}
    with LiveSession(reader, rendered_face_clip, **settings) as session:
        frames = list(session)
    assert [frame.timestamp_s for frame in frames] == track.times.tolist(), "every frame, in order"
    assert [frame.index for frame in frames] == list(range(len(track)))
    for frame, points in zip(frames, track.points, strict=True):
        np.testing.assert_array_equal(frame.faces[0].landmarks.points, points)
    new = [frame.faces[0] for frame in frames if frame.faces[0].is_new]
    assert len(new) == 8  # at 0.0, 0.2 … 1.4 s
    recorded = reader.predict_windows(track, crops, [face.prediction.start_s for face in new])
    for face, later in zip(new, recorded, strict=True):
        np.testing.assert_allclose(face.prediction.probabilities, later.probabilities, atol=1e-5, rtol=0)
        if face.state is FaceState.READING:
            np.testing.assert_array_equal(face.probabilities, face.prediction.probabilities)
            assert face.label == face.prediction.label
    last = frames[-1]
    assert last.state is last.faces[0].state is FaceState.READING
    assert {face.face for frame in frames for face in frame.faces} == {0}
    assert all(frame.latency_s > 0 for frame in frames)
    assert all(abs(frame.wall_s - time.time()) < 60 for frame in frames)
    assert last.frame_rate > 0
    assert set(last.stages) == {"capture", "landmarks", "window", "model"}
    assert sum(last.stages.values()) <= last.latency_s


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
    track = track_of(frames)
    assert 20 < track.valid.sum() < len(track) - 10
    assert {face.face for frame in frames for face in frame.faces} == {0}, "who comes back is known again"
    read = [frame for frame in frames if frame.faces]
    starts = [frame.faces[0].prediction.start_s for frame in read]
    live = np.array([frame.faces[0].prediction.probabilities for frame in read])
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
    assert [frame.state for frame in changes] == [
        *(FaceState.WARMING_UP, FaceState.READING, FaceState.NO_FACE, FaceState.WARMING_UP, FaceState.READING)
    ]
    gone, back = changes[2], changes[3]
    assert gone.timestamp_s - face_frames[-1][0] == pytest.approx(0.1875), "one tolerated gap (0.15 s) later"
    assert gone.faces == ()
    assert back.faces[0].is_new, "whoever comes into view is not kept waiting"
    hidden = frames[len(face_frames)].faces[0]
    assert hidden.landmarks is None
    assert hidden.box == frames[len(face_frames) - 1].faces[0].box, "where the face was last seen"
    for face in (face for frame in frames for face in frame.faces):
        if face.state is FaceState.READING:
            assert face.probabilities.sum() == pytest.approx(1.0)
            assert face.confidence == face.probabilities[face.labels.index(face.label)]
            if face.is_new:  # without smoothing
                np.testing.assert_array_equal(face.probabilities, face.prediction.probabilities)
        else:
            assert np.isnan(face.probabilities).all()
            assert face.label == NO_LABEL
            assert np.isnan(face.confidence)


def test_what_is_not_probable_enough_is_uncertain(checkpoint, landmarker, rendered_face_clip):
    reader = ExpressionReader(checkpoint, device="cpu", min_confidence=1.0)
    with LiveSession(reader, rendered_face_clip, landmarker=landmarker) as session:
        faces = [frame.faces[0] for frame in session]
    read = [face for face in faces if face.state is not FaceState.WARMING_UP]
    assert {face.state for face in read} == {FaceState.UNCERTAIN}
    assert {face.label for face in read} == {UNCERTAIN}
    assert all(face.confidence == face.probabilities.max() for face in read)


def test_whoever_comes_into_view_is_read_at_once_and_from_scratch(
    reader, landmarker, made_source, face_frames, empty_frames
):
    later = [(empty_frames[-1][0] + 0.0625 + time_s, rgb) for time_s, rgb in face_frames]
    source = made_source([*empty_frames, *later])
    with LiveSession(reader, source, every_s=100.0, landmarker=landmarker) as session:
        new = [index for index, frame in enumerate(session) if any(face.is_new for face in frame.faces)]
    assert new == [len(empty_frames)]
    source = made_source([*face_frames, *empty_frames, *later])
    with LiveSession(reader, source, every_s=0.0, smoothing_s=100.0, landmarker=landmarker) as session:
        frames = list(session)[len(face_frames) + len(empty_frames) :]
    first, *others = (frame.faces[0] for frame in frames if frame.state is FaceState.READING)
    np.testing.assert_array_equal(first.probabilities, first.prediction.probabilities)
    assert (others[-1].probabilities != others[-1].prediction.probabilities).any()


def test_nobody_at_all_is_no_error(reader, landmarker, made_source, empty_frames):
    frames = list(LiveSession(reader, made_source(empty_frames), landmarker=landmarker))
    assert len(frames) == len(empty_frames)
    assert {frame.state for frame in frames} == {FaceState.NO_FACE}
    assert {frame.faces for frame in frames} == {()}


def test_smoothed_probabilities_follow_the_predictions_slowly(reader, landmarker, rendered_face_clip):
    with LiveSession(reader, rendered_face_clip, every_s=0.0, smoothing_s=2.0, landmarker=landmarker) as session:
        faces = [frame.faces[0] for frame in session if frame.state is FaceState.READING]
    smooth = np.abs(np.diff([face.probabilities for face in faces], axis=0)).sum()
    rough = np.abs(np.diff([face.prediction.probabilities for face in faces], axis=0)).sum()
    assert 0 < smooth < 0.7 * rough


def test_predictions_come_by_frames_or_by_time(reader, landmarker, made_source, face_frames):
    still = [(index / 16, face_frames[0][1]) for index in range(24)]

    def predicted(**settings):
        with LiveSession(reader, made_source(still), landmarker=landmarker, **settings) as session:
            return [index for index, frame in enumerate(session) if frame.faces[0].is_new]

    assert predicted(every_frames=5) == [0, 5, 10, 15, 20]
    assert predicted(every_s=0.25) == [0, 4, 8, 12, 16, 20]
    assert predicted(every_s=0.1) == [0, 2, 4, 5, 7, 8, 10, 12, 13, 15, 16, 18, 20, 21, 23]  # of 16 Hz: no drift
    assert predicted(every_s=0.0) == list(range(24))


def test_attention_is_given_where_it_was_asked_for(reader, landmarker, rendered_face_clip):
    with LiveSession(reader, rendered_face_clip, landmarker=landmarker, attention=True) as session:
        looked = [frame.faces[0].attention for frame in session]
    for attention in looked:
        assert attention.shape == (len(reader.layout),)
        assert attention.min() >= 0
        assert attention.sum() == pytest.approx(1.0, abs=1e-4)
    with LiveSession(reader, rendered_face_clip, landmarker=landmarker) as session:
        assert {frame.faces[0].attention for frame in session} == {None}


def test_a_given_neutral_face_is_the_mean_of_its_seconds(action_reader, landmarker, rendered_face_clip):
    def logs(predictions):
        return np.log([prediction.probabilities for prediction in predictions])

    track, _ = extract(rendered_face_clip, landmarker=landmarker)
    with LiveSession(action_reader, rendered_face_clip, every_s=0.0, landmarker=landmarker) as session:
        session.calibrate_neutral(seconds=0.5)
        frames, calibrating = [], []
        for frame in session:
            frames.append(frame)
            calibrating.append(session.is_calibrating)
    assert calibrating == [time_s < 0.5 for time_s in track.times]
    starts = [frame.faces[0].prediction.start_s for frame in frames]
    live = logs(frame.faces[0].prediction for frame in frames)
    given = action_reader.neutral_face(track, 0.0, 0.5)
    recorded = logs(action_reader.predict_windows(track, None, starts, given))
    estimated = logs(action_reader.predict_windows(track, None, starts))
    np.testing.assert_allclose(live[8:], recorded[8:], atol=1e-3)
    np.testing.assert_allclose(live[:8], estimated[:8], atol=1e-3)
    assert np.abs(recorded - estimated)[8:].min(axis=0).max() > 0.1, "it makes a difference"


def test_run_calls_back_until_it_is_told_to_stop(reader, landmarker, rendered_face_clip):
    seen = []

    def look(frame):
        seen.append(frame.index)
        return len(seen) < 5

    with LiveSession(reader, rendered_face_clip, landmarker=landmarker) as session:
        session.run(look)
    assert seen == [0, 1, 2, 3, 4]


def test_a_paused_file_waits_and_a_paused_camera_does_not(reader, landmarker, made_source, face_frames):
    def watch(**settings):
        times = []
        with LiveSession(reader, source, landmarker=landmarker, **settings) as session:
            for frame in session:
                times.append(frame.timestamp_s)
                if len(times) == 3:
                    session.pause()
                    threading.Timer(0.4, session.resume).start()
                    assert session.is_paused
        return times, frame

    source = made_source(face_frames)
    assert watch()[0] == [time_s for time_s, _ in face_frames]
    source = made_source([(index / 50, face_frames[0][1]) for index in range(60)], wait_s=0.02)
    times, last = watch(newest_only=True)
    gap_s = max(np.diff(times))
    assert 0.3 < gap_s < 0.8
    assert last.timestamp_s > 1.1
    assert last.dropped < 30, "what came during the pause was not passed over for want of time"


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


def test_a_model_slower_than_the_camera_drops_frames_stays_in_time_and_says_so(
    checkpoint, landmarker, made_source, face_frames, caplog
):
    reader = ExpressionReader(checkpoint, device="cpu")
    predict = reader.predict_prepared

    def slowly(*arguments):
        time.sleep(0.25)
        return predict(*arguments)

    reader.predict_prepared = slowly
    shown = [(index / 60, face_frames[index % 20][1]) for index in range(150)]
    source = made_source(shown, wait_s=1 / 60)
    with LiveSession(reader, source, newest_only=True, every_s=0.0, landmarker=landmarker) as session:
        frames = list(session)
    assert len(frames) < 20
    assert frames[-1].dropped == len(shown) - len(frames)
    waited_s = [frame.latency_s - frame.stages["model"] - 2 * frame.stages["landmarks"] for frame in frames]
    assert np.median(waited_s) < 0.2, "not for another prediction"
    passed_over = [passed.timestamp_s for frame in frames for passed in frame.passed_over]
    assert len(passed_over) > 2 * len(frames), "they went into the windows all the same"
    assert all(frame.stages["model"] > 0.25 for frame in frames)
    (warning,) = (record.getMessage() for record in caplog.records)
    assert "were passed over" in warning
    assert warning.endswith("goes into model")


def test_a_recording_that_begins_anew_is_read_as_a_new_one(action_reader, landmarker, made_source, face_frames):
    again = [*face_frames[8:], *face_frames]
    with LiveSession(action_reader, made_source(again), every_s=0.0, landmarker=landmarker) as session:
        second = list(session)[-len(face_frames) :]
    assert {frame.faces[0].face for frame in second} == {0}, "the person is known again"
    track = track_of(second)
    starts = [frame.faces[0].prediction.start_s for frame in second]
    recorded = action_reader.predict_windows(track, starts=starts)
    for frame, later in zip(second, recorded, strict=True):
        np.testing.assert_allclose(frame.faces[0].prediction.probabilities, later.probabilities, atol=1e-5)


class MadeLandmarker:
    """Faces without MediaPipe: two people who move about; one of them leaves now and then."""

    faces = 2

    def __init__(self, face: Landmarks) -> None:
        self.face = face

    def detect_all(self, timestamp_s: float, rgb: np.ndarray) -> list[Landmarks]:
        moved = self.face.points + np.array([5 * np.sin(timestamp_s), 0, 0], np.float32)
        others = [self.face._replace(points=moved + np.array([300, 0, 0], np.float32))]
        return [self.face._replace(points=moved)] + (others if timestamp_s % 8 < 4 else [])

    def detect(self, timestamp_s: float, rgb: np.ndarray) -> Landmarks | None:
        return self.detect_all(timestamp_s, rgb)[0]

    def reset(self) -> None:
        """Nothing is followed."""


@pytest.fixture
def two_made_faces(made_source, landmarker, face_frames):
    """A function: a source of two people at a frame rate, for so many frames, and what finds them."""
    landmarker.reset()
    face = landmarker.detect(*face_frames[0])
    canvas = np.full((320, 640, 3), 110, np.uint8)
    canvas[:, :320] = face_frames[0][1]
    canvas[:, 320:] = face_frames[0][1][..., ::-1]

    def make(rate, count):
        return made_source([(index / rate, canvas) for index in range(count)]), MadeLandmarker(face)

    return make


@pytest.mark.parametrize(("rate", "count"), [(5.0, 60), (30.0, 300), (120.0, 600)])
def test_a_camera_of_any_rate_is_read_alike(reader, two_made_faces, rate, count):
    source, made = two_made_faces(rate, count)
    with LiveSession(reader, source, faces=2, every_s=0.5, landmarker=made) as session:
        predictions = [face.prediction for frame in session for face in frame.faces if face.is_new]
    assert {prediction.face for prediction in predictions} == {0, 1}
    full = [prediction for prediction in predictions if prediction.valid_share == 1]
    assert len(full) > 10
    assert all(prediction.end_s - prediction.start_s == pytest.approx(0.7) for prediction in full)


def test_memory_does_not_grow(reader, two_made_faces):
    source, made = two_made_faces(30.0, 1200)
    held = []
    with LiveSession(reader, source, faces=2, every_s=0.5, landmarker=made) as session:
        for frame in session:
            if frame.index == 480:  # people have come and gone
                tracemalloc.start()
            elif frame.index in (720, 1199):
                held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 100_000


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
        first, second = ([frame.faces[0].prediction.probabilities for frame in session] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_source_that_breaks_says_so(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames[:3], error=SourceError("the cable was pulled"))
    before = stgt_threads()
    with LiveSession(reader, source, landmarker=landmarker) as session, pytest.raises(SourceError, match="cable"):
        list(session)
    assert not stgt_threads() - before


def test_a_setting_that_makes_no_sense_is_one_sentence(reader, rendered_face_clip):
    for settings in ({"every_s": -1.0}, {"every_frames": 0}, {"smoothing_s": -1.0}, {"hysteresis": -0.1}, {"faces": 0}):
        with pytest.raises(StgtError, match="must be"):
            LiveSession(reader, rendered_face_clip, **settings)
    with pytest.raises(SourceError, match="no such file"):
        LiveSession(reader, "nothing.mp4")
