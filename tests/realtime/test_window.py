import tracemalloc

import numpy as np
import pytest
from stgt.realtime.window import SlidingWindow

from stgt.config import WindowConfig
from stgt.faces.crops import CROP_SIZE, CropSequence, encode_crop
from stgt.faces.landmarker import Landmarks
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face

IMAGE_SIZE = (640, 480)


def face_at(time_s: float) -> Landmarks:
    """The reference face, 150 pixels between the eyes; every point swings on its own, and the head moves about."""
    phases = np.arange(478 * 3).reshape(478, 3) * 2.4
    swing = 0.04 * np.sin(3 * time_s + phases)
    place = np.array([320 + 40 * np.sin(time_s), 240 + 20 * np.cos(2 * time_s), 0])
    points = (150 * (load_reference_face().points + swing) + place).astype(np.float32)
    blendshapes = 0.02 + 0.02 * np.sin(3 * time_s + np.arange(52))
    return Landmarks(points, blendshapes.astype(np.float32), np.eye(4, dtype=np.float32))


def crop_at(time_s: float) -> bytes:
    """A crop with a pattern that moves."""
    rows, columns = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    grey = 127 + 120 * np.sin(rows / 9 + columns / 7 + 5 * time_s)
    return encode_crop(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))


def recording(kind: str) -> list[tuple[float, bool]]:
    """``(time_s, whether a face is seen)`` of the frames of a source."""
    rng = np.random.default_rng(7)
    if kind == "5 Hz":
        return [(index / 5, True) for index in range(20)]
    if kind == "120 Hz":
        return [(index / 120, True) for index in range(300)]
    if kind == "irregular":
        return [(time_s, True) for time_s in np.cumsum(rng.uniform(0.005, 0.12, 60))]
    if kind == "lost faces":
        return [(index / 25, not 0.9 < index / 25 < 1.4 and rng.random() > 0.2) for index in range(70)]
    if kind == "gaps":
        return [(index / 30, True) for index in range(110) if not (20 < index < 50 or 70 < index < 76)]
    if kind == "equal times":
        return [(index // 2 / 15, rng.random() > 0.3) for index in range(70)]
    if kind == "long-running clock":
        return [(86_400.0 + index / 29.97, True) for index in range(70)]
    raise ValueError(kind)


KINDS = ("5 Hz", "120 Hz", "irregular", "lost faces", "gaps", "equal times", "long-running clock")


def offline(frames) -> tuple[LandmarkTrack, CropSequence]:
    """The whole recording as a track."""
    times = np.array([time_s for time_s, _ in frames])
    valid = np.array([seen for _, seen in frames])
    nothing = Landmarks(np.zeros((478, 3)), np.zeros(52), np.zeros((4, 4)))
    faces = [face_at(time_s) if seen else nothing for time_s, seen in frames]
    points, blendshapes, transforms = (np.stack(values) for values in zip(*faces, strict=True))
    track = LandmarkTrack(points, times, valid, blendshapes, transforms, IMAGE_SIZE, "made")
    return track, CropSequence.from_jpegs([crop_at(time_s) if seen else b"" for time_s, seen in frames])


def feed(window: SlidingWindow, time_s: float, seen: bool) -> None:
    window.push(time_s, face_at(time_s) if seen else None, crop_at(time_s) if seen else b"")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["reader", "action_reader", "pixel_reader"])
def test_a_live_window_gives_the_probabilities_of_the_recording(kind, model, request):
    reader = request.getfixturevalue(model)
    frames = recording(kind)
    track, crops = offline(frames)
    window = SlidingWindow(reader.window, IMAGE_SIZE, with_crops=model == "pixel_reader")
    starts, live = [], []
    for index, (time_s, seen) in enumerate(frames):
        feed(window, time_s, seen)
        # Not in the middle of frames with one time: a recording knows them all, a camera only the first of them.
        complete = index + 1 == len(frames) or frames[index + 1][0] > time_s
        if complete and index % max(1, len(frames) // 12) == 0 and window.start_s > frames[0][0] - 0.3:
            starts.append(window.start_s)
            # Who it is shows over longer than a window: a session keeps what is known of the neutral face.
            neutral = reader.windows.neutral(reader.windows.align(track), time_s)
            live += reader.predict_windows(window.track(), window.crops(), [window.start_s], neutral)
    recorded = reader.predict_windows(track, crops, starts)
    assert len(live) >= 5
    for now, later in zip(live, recorded, strict=True):
        assert now.valid_share == later.valid_share
        np.testing.assert_allclose(now.probabilities, later.probabilities, atol=1e-5, rtol=0)
    spread = np.ptp([p.probabilities for p in recorded if p.valid_share > 0], axis=0)
    assert spread.max() > 0.01, "windows that all look alike would show nothing"


def test_memory_is_constant_for_ever():
    window = SlidingWindow(WindowConfig(), IMAGE_SIZE, with_crops=True)
    face, crop = face_at(0.0), crop_at(0.0)
    held = []
    tracemalloc.start()
    for index in range(6000):  # at 1000 Hz, far above what is kept
        window.push(index / 1000, face, bytes(crop))
        if index in (2999, 5999):
            held.append(tracemalloc.get_traced_memory()[0])
            assert len(window) <= window.capacity
    tracemalloc.stop()
    assert abs(held[1] - held[0]) < 20_000
    track = window.track()
    assert track.times[0] - window.start_s < 0.01, "the window still reaches back all the way"
    assert window.end_s - track.times[-1] < 0.01
    assert 120 <= track.frame_rate <= 240


def test_what_a_window_has_left_behind_is_forgotten():
    window = SlidingWindow(WindowConfig(frames=11, frame_rate=10.0), IMAGE_SIZE, "camera")
    for index in range(100):
        window.push(index / 10, face_at(index / 10))
    track = window.track()
    np.testing.assert_allclose(track.times, np.arange(89, 100) / 10)
    assert track.source == "camera"
    assert track.image_size == IMAGE_SIZE
    track.points[:] = 0
    assert window.track().points.any(), "a track is a copy: the next frame must not change it"


def test_a_clock_that_runs_backwards_begins_another_recording():
    window = SlidingWindow(WindowConfig(), IMAGE_SIZE)
    for time_s in (5.0, 5.1, 5.2, 0.0, 0.1):
        window.push(time_s, face_at(time_s))
    assert window.track().times.tolist() == [0.0, 0.1]


@pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
def test_a_time_must_be_a_number(time_s):
    with pytest.raises(ValueError, match="finite"):
        SlidingWindow(WindowConfig(), IMAGE_SIZE).push(time_s, None)


def test_a_face_is_lost_after_the_gap_that_a_window_tolerates():
    window = SlidingWindow(WindowConfig(max_gap_s=0.15), IMAGE_SIZE)
    lost = []
    for time_s, seen in ((0.0, False), (0.1, True), (0.2, False), (0.25, False), (0.3, False), (0.4, True)):
        window.push(time_s, face_at(time_s) if seen else None)
        lost.append(window.face_lost)
    assert lost == [True, False, False, False, True, False]
