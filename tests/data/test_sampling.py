"""Which windows of a clip are read, worked out by hand, and what they show."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stgt.config import AugmentationConfig, ModelConfig, WindowConfig, from_dict
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowDataset, WindowReader, collate
from stgt.data.sampling import Cut, evaluation_cuts, lengthened, sped, training_cut
from stgt.errors import StgtError
from stgt.faces.crops import CropSequence, encode_crop
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.aligned import align_track
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.layout import load_layout
from stgt.graphs.windows import cut_window
from stgt.learning.augmentation import Augmentation

#: Six frames, half a second from the first to the last.
WINDOW = WindowConfig(frames=6, frame_rate=10.0, hop_s=0.5)
MODEL = ModelConfig(layout="landmarks68")
PIXELS = ModelConfig(layout="landmarks68", streams="geometry,frames", stream_frames=6)
LABELS = ("anger", "fear")


def make_track(frames: int, rate: float = 20.0, valid: np.ndarray | None = None, start_s: float = 0.0) -> LandmarkTrack:
    """A face whose jaw sinks steadily, frame by frame."""
    valid = np.ones(frames, bool) if valid is None else valid
    points = np.repeat(load_reference_face().points[None] * 60 + (150, 150, 0), frames, 0)
    points[:, 152, 1] += np.arange(frames)
    return LandmarkTrack(
        points=(points * valid[:, None, None]).astype(np.float32),
        times=start_s + np.arange(frames) / rate,
        valid=valid,
        blendshapes=np.zeros((frames, 52), np.float32),
        transforms=np.zeros((frames, 4, 4), np.float32),
        image_size=(300, 300),
        source="drawn",
    )


class Drawn(dict):
    """Prepared clips that were drawn: clip id -> track."""

    read: list[str]

    def track(self, clip: Clip) -> LandmarkTrack:
        self.read.append(clip.clip_id)
        return self[clip.clip_id]

    def crops(self, clip: Clip) -> CropSequence:
        pictures = (np.full((128, 128, 3), 10 * number, np.uint8) for number in range(len(self[clip.clip_id])))
        return CropSequence.from_jpegs([encode_crop(picture) for picture in pictures])

    def span(self, clip_id: str) -> tuple[float, float, int]:
        times = self[clip_id].times
        return float(times[0]), float(times[-1]), len(times)

    def valid_share(self, clip_id: str) -> float:
        return self[clip_id].valid_share


def drawn(apex: str = "unknown", **tracks: LandmarkTrack) -> tuple[list[Clip], Drawn]:
    prepared = Drawn(tracks)
    prepared.read = []
    clips = [Clip(name, Path(name), name, LABELS[number % 2], apex=apex) for number, name in enumerate(tracks)]
    return clips, prepared


def still() -> Augmentation:
    """An augmentation that changes nothing."""
    settings = dict.fromkeys(("mirror", "rotation_deg", "scale", "jitter", "drop_frames", "speed"), 0.0)
    return Augmentation(AugmentationConfig(**settings), load_layout("landmarks68"))


def moments(cut: Cut, window: WindowConfig) -> list[float]:
    """The times that a window shows."""
    return (cut.start_s + np.arange(window.frames) / sped(window, cut.speed).frame_rate).tolist()


def approx(cuts: list[tuple[float, float]]) -> list:
    return [(pytest.approx(start_s), pytest.approx(speed)) for start_s, speed in cuts]


def test_dense_windows_cover_the_clip():
    assert evaluation_cuts(1.0, 2.7, WINDOW, "unknown") == approx([(1.0, 1), (1.5, 1), (2.0, 1), (2.2, 1)])


def test_the_centre():
    centre = replace(WINDOW, testing="centre")
    # The clip lasts 2 s and the window 0.5 s, so that its start is anywhere within 1.5 s.
    assert evaluation_cuts(1.0, 3.0, centre, "unknown") == approx([(1.75, 1)])
    assert evaluation_cuts(1.0, 3.0, replace(centre, views=2), "unknown") == approx([(1.375, 1), (2.125, 1)])
    assert evaluation_cuts(1.0, 1.2, replace(centre, views=2), "unknown") == [(1.0, 1)], "of a short clip there is one"


def test_a_uniform_window_has_one_moment_in_each_segment():
    uniform = replace(WINDOW, testing="uniform")
    # Six segments of 0.5 s each: 5 times as long as the step of the window.
    (cut,) = evaluation_cuts(1.0, 4.0, uniform, "unknown")
    assert cut == approx([(1.25, 5.0)])[0]
    assert moments(cut, uniform) == pytest.approx([1.25, 1.75, 2.25, 2.75, 3.25, 3.75])
    views = evaluation_cuts(1.0, 4.0, replace(uniform, views=2), "unknown")
    assert moments(views[0], uniform) == pytest.approx([1.125, 1.625, 2.125, 2.625, 3.125, 3.625])
    assert moments(views[1], uniform) == pytest.approx([1.375, 1.875, 2.375, 2.875, 3.375, 3.875])
    # A clip that is shorter than the window is squeezed out; one of a single frame is what it is.
    (short,) = evaluation_cuts(0.0, 0.3, uniform, "unknown")
    assert moments(short, uniform) == pytest.approx([0.025, 0.075, 0.125, 0.175, 0.225, 0.275])
    assert evaluation_cuts(2.0, 2.0, uniform, "unknown") == [(2.0, 1.0)]


@pytest.mark.parametrize("how", ["dense", "centre", "uniform"])
def test_where_the_apex_comes_last_the_window_ends_with_the_clip(how):
    window = replace(WINDOW, testing=how, views=1 if how == "dense" else 2)
    (cut,) = evaluation_cuts(1.0, 3.0, window, "last")
    assert moments(cut, window)[-1] == pytest.approx(3.0)
    assert moments(cut, window)[0] == pytest.approx(1.0 if how == "uniform" else 2.5)


def training_cuts(track: LandmarkTrack, training: str, apex: str = "unknown", speed: float = 1.0) -> list[Cut]:
    window = replace(WINDOW, training=training)
    generator = np.random.default_rng(0)
    return [training_cut(track, window, apex, speed, generator) for _ in range(50)]


def test_random_windows_are_everywhere():
    starts = np.array([cut.start_s for cut in training_cuts(make_track(60), "random")])
    assert starts.min() < 0.3
    assert starts.max() > 2.1
    assert ((starts >= 0) & (starts <= 2.45)).all()


def test_the_centre_in_training_follows_the_playing_speed():
    track = make_track(60)  # 2.95 s
    assert all(cut == Cut(pytest.approx((2.95 - 0.5) / 2)) for cut in training_cuts(track, "centre"))
    assert training_cuts(track, "centre", speed=2.0)[0] == Cut(pytest.approx((2.95 - 1.0) / 2), 2.0)


def test_uniform_training_moves_all_moments_by_the_same_share_of_a_segment():
    track = make_track(61)  # 3 s, in segments of half a second
    cuts = training_cuts(track, "uniform", speed=1.3)
    starts = np.array([cut.start_s for cut in cuts])
    assert {round(cut.speed, 9) for cut in cuts} == {5.0}, "it covers the clip at any playing speed"
    assert starts.min() < 0.05
    assert starts.max() > 0.45
    assert starts.max() < 0.5
    (to_the_end,) = set(training_cuts(track, "uniform", apex="last"))
    assert moments(to_the_end, WINDOW) == pytest.approx(np.linspace(0, 3, 6).tolist())


@pytest.mark.parametrize("training", ["random", "centre", "uniform"])
def test_a_training_window_holds_a_face_if_there_is_one(training):
    valid = np.zeros(200, bool)
    valid[10] = True
    track = make_track(200, valid=valid)
    for cut in training_cuts(track, training):
        assert cut_window(track, cut.start_s, sped(WINDOW, cut.speed)).valid.any()


def test_what_comes_after_a_short_clip():
    track = align_track(make_track(4, start_s=2.0), load_layout("landmarks68"))  # at 2.00, 2.05, 2.10 and 2.15 s
    assert lengthened(track, 2.5, WINDOW)[0] is track
    held, shown = lengthened(track, 2.3, replace(WINDOW, short="hold"))
    assert shown.tolist() == [0, 1, 2, 3, 3, 3, 3]
    np.testing.assert_allclose(held.times, 2.0 + 0.05 * np.arange(7))
    looped, shown = lengthened(track, 2.3, replace(WINDOW, short="loop"))
    assert shown.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    np.testing.assert_allclose(looped.times, 2.0 + 0.05 * np.arange(8))
    np.testing.assert_array_equal(looped.points[4:], track.points)


def test_the_last_face_is_held_where_the_last_frames_have_none():
    valid = np.array([True, True, False, False])
    track = align_track(make_track(4, valid=valid), load_layout("landmarks68"))
    held, shown = lengthened(track, 0.3, replace(WINDOW, short="hold"))
    assert shown.tolist() == [0, 1, 2, 3, 1, 1, 1]
    assert held.valid.tolist() == [True, True, False, False, True, True, True]


@pytest.mark.parametrize(
    ("short", "mask", "frames"),
    [
        # The clip has frames at 0, 0.1, 0.2 s; the window asks for 0, 0.1 … 0.5 s.
        ("mask", [1, 1, 1, 1, 0, 0], [0, 1, 2, 2]),
        ("hold", [1] * 6, [0, 1, 2, 2, 2, 2]),
        ("loop", [1] * 6, [0, 1, 2, 0, 1, 2]),
    ],
)
def test_short_clips_in_geometry_and_pixels(short, mask, frames):
    clips, prepared = drawn(a=make_track(3, rate=10.0))
    (sample,) = WindowDataset(clips, prepared, LABELS, PIXELS, replace(WINDOW, short=short))
    assert sample.mask.tolist() == [bool(value) for value in mask]
    # The picture of frame n is 10 n bright.
    brightness = sample.frames[: len(frames)].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(brightness, 10 * np.array(frames), atol=1)
    chin = load_layout("landmarks68").landmarks.tolist().index(152)
    height = sample.geometry[: len(frames), chin, 1]
    order = np.array([height[frames.index(number)] for number in frames])
    np.testing.assert_allclose(height, order, atol=1e-5)
    assert height[0] < height[1] < height[2]


def test_holding_and_looping_leave_long_clips_alone():
    for short in ("hold", "loop"):
        reader, plain = WindowReader(MODEL, replace(WINDOW, short=short)), WindowReader(MODEL, WINDOW)
        for start_s in (0.0, 1.0, 2.6):  # the last one looks beyond the end
            assert np.array_equal(
                reader.read(make_track(60), None, start_s).geometry, plain.read(make_track(60), None, start_s).geometry
            )


def test_two_views_of_a_clip_belong_to_it():
    clips, prepared = drawn(a=make_track(61), b=make_track(41))
    dataset = WindowDataset(clips, prepared, LABELS, MODEL, replace(WINDOW, testing="uniform", views=2))
    batch = collate([dataset[index] for index in range(len(dataset))])
    assert batch.clip.tolist() == [0, 0, 1, 1]
    assert batch.mask.all()
    # The clip is seen whole, so that the jaw sinks as far as in it, and faster than it does.
    chin = load_layout("landmarks68").landmarks.tolist().index(152)
    dense = WindowDataset(clips[:1], prepared, LABELS, MODEL, WINDOW)
    assert batch.geometry[0, :, chin, 4].max() > 4 * dense[0].geometry[:, chin, 4].max()


def test_uniform_windows_of_few_frames_have_no_holes():
    clips, prepared = drawn(a=make_track(3, rate=10.0), b=make_track(4, rate=25.0))
    for training in (None, still()):
        window = replace(WINDOW, training="uniform", testing="uniform")
        dataset = WindowDataset(clips, prepared, LABELS, MODEL, window, training)
        assert all(dataset[(0, index)].mask.all() for index in range(2))


def test_another_visit_in_an_epoch_shows_another_window():
    clips, prepared = drawn(a=make_track(60))
    dataset = WindowDataset(clips, prepared, LABELS, MODEL, WINDOW, still(), seed=1)
    first, second = dataset[(0, 0, 0)].geometry, dataset[(0, 0, 1)].geometry
    assert np.array_equal(first, dataset[(0, 0)].geometry), "the first visit is what it is without weights"
    assert not np.array_equal(first, second)


def test_nothing_is_read_before_it_is_asked_for():
    clips, prepared = drawn(a=make_track(60), b=make_track(60))
    evaluation = WindowDataset(clips, prepared, LABELS, MODEL, WINDOW)
    training = WindowDataset(clips, prepared, LABELS, MODEL, WINDOW, still())
    assert prepared.read == []
    evaluation[0], evaluation[1], training[(0, 1)], training[(1, 1)]
    assert prepared.read == ["a", "b"], "and once while there is memory for its faces"


@pytest.mark.parametrize("limit_bytes", [0, 100_000, 2**27])
def test_what_is_kept_in_memory_changes_nothing_but_time(monkeypatch, limit_bytes):
    monkeypatch.setattr("stgt.data.clips.ALIGNED_MEMORY_BYTES", limit_bytes)
    clips, prepared = drawn(a=make_track(60), b=make_track(100), c=make_track(9))
    reader = WindowReader(MODEL, WINDOW)
    for training in (None, still()):
        dataset = WindowDataset(clips, prepared, LABELS, MODEL, WINDOW, training, seed=2)
        for index in (0, 1, 2, 0, 2, 1):
            sample, cut = dataset[(1, index)], dataset.items[index][1]
            track = prepared[clips[sample.clip].clip_id]
            if training is not None:
                generator = np.random.default_rng([2, 1, sample.clip])
                cut = training_cut(track, WINDOW, "unknown", training.playing_speed(generator), generator)
            expected = reader.read(None, None, cut.start_s, aligned=reader.align(track)).geometry
            # In training the rotation by no angle rounds.
            np.testing.assert_allclose(sample.geometry, expected, rtol=0, atol=0 if training is None else 1e-5)


def test_faces_that_are_kept_are_not_sent_to_other_processes():
    clips, prepared = drawn(a=make_track(300))
    dataset = WindowDataset(clips, prepared, LABELS, MODEL, WINDOW)
    first = dataset[0].geometry
    sent = copy.copy(dataset)  # by what is sent
    assert np.array_equal(sent[0].geometry, first)
    assert prepared.read == ["a", "a"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"training": "middle"}, "window.training is 'middle'; it is random, centre or uniform"),
        ({"testing": "random"}, "window.testing is 'random'; it is dense, centre or uniform"),
        ({"short": "pad"}, "window.short is 'pad'; it is mask, hold or loop"),
        ({"views": 0, "testing": "centre"}, "at least one window"),
        ({"views": 2}, "set window.testing to centre or uniform"),
    ],
)
def test_bad_settings_are_one_sentence(settings, sentence):
    with pytest.raises(StgtError, match=sentence):
        from_dict(WindowConfig, settings)


def test_settings_of_older_checkpoints_mean_what_they_meant():
    old = {"frames": 16, "frame_rate": 10.0, "hop_s": 0.5, "max_gap_s": 0.15}
    window = from_dict(WindowConfig, old)
    assert (window.training, window.testing, window.views, window.short) == ("random", "dense", 1, "mask")
