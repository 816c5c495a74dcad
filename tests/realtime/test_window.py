import tracemalloc

import numpy as np
import pytest
from stgt.realtime.window import PreparedFace, SlidingWindow, decode_crops

from stgt.config import ModelConfig, WindowConfig
from stgt.data.clips import WindowReader
from stgt.faces.crops import CROP_SIZE, CropSequence, encode_crop
from stgt.faces.landmarker import Landmarks
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.geometry import aligned_nodes
from stgt.graphs.neutral import average_neutral
from stgt.inference import PreparedWindow

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


def prepared_at(reader: WindowReader, time_s: float) -> PreparedFace:
    """The face of a moment as `prepare_faces` makes it, with the made crop in place of a frame's."""
    face = face_at(time_s)
    jpeg, patches = b"", None
    if reader.needs_crops:
        jpeg = crop_at(time_s)
    if reader.patch_size:
        patches = reader.patches(decode_crops([jpeg]), face.points[None])[0]
    nodes = aligned_nodes(face.points[None], np.ones(1, bool), reader.layout)[0]
    return PreparedFace(nodes, face.blendshapes, jpeg, patches)


def windows(config: WindowConfig, streams: str = "geometry") -> WindowReader:
    return WindowReader(ModelConfig(streams=streams), config)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["reader", "action_reader", "pixel_reader", "frames_reader"])
def test_a_live_window_gives_the_probabilities_of_the_recording(kind, model, request):
    reader = request.getfixturevalue(model)
    frames = recording(kind)
    track, crops = offline(frames)
    window = SlidingWindow(reader.windows)
    starts, live = [], []
    for index, (time_s, seen) in enumerate(frames):
        window.push(time_s, prepared_at(reader.windows, time_s) if seen else None)
        # Not in the middle of frames with one time: a recording knows them all, a camera only the first of them.
        complete = index + 1 == len(frames) or frames[index + 1][0] > time_s
        if complete and index % max(1, len(frames) // 12) == 0 and window.start_s > frames[0][0] - 0.3:
            starts.append(window.start_s)
            # Who it is shows over longer than a window: a session keeps what is known of the neutral face.
            neutral = reader.windows.neutral(reader.windows.align(track), time_s)
            sample = window.sample(neutral, reader.frame_encoder)
            now = PreparedWindow(sample, window.track(), window.start_s)
            live += reader.predict_prepared([now], "made")[0]
    recorded = reader.predict_windows(track, crops, starts)
    assert len(live) >= 5
    for now, later in zip(live, recorded, strict=True):
        assert now.valid_share == later.valid_share
        assert now.end_s == pytest.approx(later.end_s)
        np.testing.assert_allclose(now.probabilities, later.probabilities, atol=1e-5, rtol=0)
    spread = np.ptp([p.probabilities for p in recorded if p.valid_share > 0], axis=0)
    assert spread.max() > 0.01, "windows that all look alike would show nothing"


def test_a_frame_is_read_by_the_backbone_only_once(frames_reader):
    read = []

    def encode(crops):
        read.append(len(crops))
        return frames_reader.frame_encoder(crops)

    window = SlidingWindow(frames_reader.windows, max_frame_rate=20.0)
    neutral = average_neutral(frames_reader.layout)
    faces = 0
    for index in range(3 * window.capacity):  # places in the buffer are used again
        face = prepared_at(frames_reader.windows, index / 16) if index % 7 else None
        window.push(index / 16, face)
        faces += face is not None
        sample = window.sample(neutral, encode)
        crops = window.sample(neutral).frames
        expected = frames_reader.frame_encoder(np.ascontiguousarray(crops)) * sample.frames_mask[:, None]
        np.testing.assert_allclose(sample.frames, expected, atol=1e-4)
    first, *others = read
    assert first == 1, "only to learn how much the backbone says"
    assert sum(others) <= faces
    window.sample(neutral, encode)
    assert len(read) == len(others) + 1, "the same window again needs nothing"


@pytest.mark.parametrize("streams", ["geometry", "geometry,patches"])
def test_memory_is_constant_for_ever(streams):
    reader = windows(WindowConfig(), streams)
    window = SlidingWindow(reader)
    face = prepared_at(reader, 0.0)
    held = []
    tracemalloc.start()
    for index in range(20_000):  # at 1000 Hz, far above what is kept
        window.push(index / 1000, face)
        if index in (9_999, 19_999):
            held.append(tracemalloc.get_traced_memory()[0])
            assert len(window) <= window.capacity
    tracemalloc.stop()
    assert abs(held[1] - held[0]) < 20_000
    track = window.track()
    assert track.times[0] - window.start_s < 0.01, "the window still reaches back all the way"
    assert window.end_s - track.times[-1] < 0.01
    assert 120 <= (len(track) - 1) / (track.times[-1] - track.times[0]) <= 240


def test_what_a_window_has_left_behind_is_forgotten():
    reader = windows(WindowConfig(frames=11, frame_rate=10.0))
    window = SlidingWindow(reader)
    for index in range(4000):  # more than the buffer is long
        window.push(index / 10, prepared_at(reader, index / 10) if index > 3900 else None)
        np.testing.assert_allclose(window.track().times, np.arange(max(index - 10, 0), index + 1) / 10)
    np.testing.assert_array_equal(window.track().points[-1], prepared_at(reader, 399.9).nodes)


def test_frames_are_cut_without_being_copied():
    reader = windows(WindowConfig())
    window = SlidingWindow(reader)
    for index in range(60):
        window.push(index / 30, prepared_at(reader, index / 30))
    assert not window.track().points.flags.owndata


def test_a_clock_that_runs_backwards_begins_another_recording():
    reader = windows(WindowConfig())
    window = SlidingWindow(reader)
    for time_s in (5.0, 5.1, 5.2, 0.0, 0.1):
        window.push(time_s, prepared_at(reader, time_s))
    assert window.track().times.tolist() == [0.0, 0.1]


@pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
def test_a_time_must_be_a_number(time_s):
    with pytest.raises(ValueError, match="finite"):
        SlidingWindow(windows(WindowConfig())).push(time_s, None)


def test_a_face_is_lost_after_the_gap_that_a_window_tolerates_and_over_after_the_window():
    reader = windows(WindowConfig(frames=4, frame_rate=10.0, max_gap_s=0.15))
    window = SlidingWindow(reader)
    lost, over = [], []
    times = ((0.0, False), (0.1, True), (0.2, False), (0.25, False), (0.3, False), (0.4, False), (0.45, False))
    for time_s, seen in times:
        window.push(time_s, prepared_at(reader, time_s) if seen else None)
        lost.append(window.face_lost)
        over.append(window.is_over)
    assert lost == [True, False, False, False, True, True, True]
    assert over == [True, False, False, False, False, False, True]
