"""The torch dataset: which windows a clip gives, and that they hold what their track and crops hold."""

import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stgt.config import AugmentationConfig, ModelConfig, WindowConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowDataset, WindowReader, WindowSample, collate
from stgt.data.preparation.prepare import Prepared
from stgt.data.preparation.store import Store
from stgt.data.sampling import Cut, sped
from stgt.errors import DatasetError
from stgt.faces.crops import CROP_SIZE, CropSequence, encode_crop
from stgt.faces.tracks import BLENDSHAPES, LandmarkTrack
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.geometry import aligned_nodes, geometry_stream
from stgt.graphs.layout import load_layout
from stgt.graphs.neutral import NeutralEstimator, NeutralFace
from stgt.graphs.windows import cut_window
from stgt.learning.augmentation import Augmentation

LABELS = ("anger", "fear")
WINDOW = WindowConfig(frames=8, frame_rate=10.0, hop_s=0.5)
GEOMETRY = ModelConfig(layout="landmarks68")
ACTIONS = ModelConfig(layout="landmarks68", streams="geometry,actions")
FUSED = ModelConfig(layout="landmarks68", streams="geometry,actions,patches,frames", patch_size=6, stream_frames=3)


def make_track(frames: int, valid: np.ndarray | None = None, rate: float = 20.0, seed: int = 0) -> LandmarkTrack:
    """A face of 60 pixels between the eyes that moves a little."""
    noise = np.random.default_rng(seed).normal(0, 0.5, (frames, 478, 3))
    blendshapes = np.random.default_rng(seed).uniform(0, 0.1, (frames, BLENDSHAPES))
    valid = np.ones(frames, bool) if valid is None else valid
    points = (load_reference_face().points * 60 + (150, 150, 0) + noise) * valid[:, None, None]
    return LandmarkTrack(
        points=points.astype(np.float32),
        times=np.arange(frames) / rate,
        valid=valid,
        blendshapes=blendshapes.astype(np.float32) * valid[:, None],
        transforms=np.zeros((frames, 4, 4), np.float32),
        image_size=(300, 300),
        source="drawn",
    )


def make_crops(valid: np.ndarray) -> CropSequence:
    """Crops whose left half is red and right half blue, each frame a little brighter than the one before."""
    jpegs = []
    for number, shown in enumerate(valid):
        crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
        crop[:, : CROP_SIZE // 2, 0] = min(100 + 2 * number, 255)
        crop[:, CROP_SIZE // 2 :, 2] = min(100 + 2 * number, 255)
        jpegs.append(encode_crop(crop) if shown else b"")
    return CropSequence.from_jpegs(jpegs)


@pytest.fixture
def prepare(tmp_path):
    """Puts tracks into a cache; returns their clips and what ``prepare_clips`` would."""

    def put(tracks: dict[str, LandmarkTrack], apex: str = "unknown") -> tuple[list[Clip], Prepared]:
        store = Store(tmp_path / "store")
        for name, track in tracks.items():
            crops = make_crops(track.valid)
            store.add(name, track, (crops.data, crops.offsets))
        clips = [Clip(name, Path(name), name, LABELS[number % 2], apex=apex) for number, name in enumerate(tracks)]
        return clips, Prepared(store, {name: name for name in tracks})

    return put


def augmentation(**settings: float) -> Augmentation:
    """No change but those asked for."""
    none = dict.fromkeys((entry.name for entry in fields(AugmentationConfig)), 0.0)
    return Augmentation(AugmentationConfig(**{**none, **settings}), load_layout("landmarks68"))


def test_evaluation_windows_cover_the_clip(prepare):
    clips, prepared = prepare({"long": make_track(50), "short": make_track(6)})
    dataset = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW)
    # 2.45 s in windows of 0.7 s every 0.5 s, and a last one that ends with the clip.
    assert [number for number, _ in dataset.items] == [0] * 5 + [1]
    np.testing.assert_allclose([cut.start_s for _, cut in dataset.items], [0, 0.5, 1.0, 1.5, 1.75, 0])
    batch = collate([dataset[index] for index in range(len(dataset))])
    assert batch.geometry.shape == (6, 8, 68, 12)
    assert batch.geometry.dtype == torch.float32
    assert batch.clip.tolist() == [0, 0, 0, 0, 0, 1]
    assert batch.target.tolist() == [0, 0, 0, 0, 0, 1]
    assert batch.mask[:5].all()
    assert batch.mask[5].tolist() == [True] * 5 + [False] * 3, "a clip that is shorter than a window is padded"
    assert batch.actions is None
    assert batch.patches is None
    assert batch.frames is None


def test_evaluation_window_is_the_geometry_of_its_track(prepare):
    clips, prepared = prepare({"a": make_track(50)})
    track = prepared.track(clips[0])
    sample = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW)[1]
    window = cut_window(track, 0.5, WINDOW)
    layout = load_layout("landmarks68")
    seen = track.slice(None, window.end_s)
    nodes = aligned_nodes(seen.points, seen.valid, layout)
    neutral = NeutralEstimator(layout).update(nodes, seen.blendshapes, seen.times, seen.valid).nodes
    expected = geometry_stream(window.points, window.valid, layout, WINDOW.frame_rate, neutral=neutral)
    np.testing.assert_allclose(sample.geometry, expected, atol=1e-5)


def test_the_neutral_face_comes_from_the_frames_up_to_the_end_of_the_window():
    reader, track = WindowReader(ACTIONS, WINDOW), make_track(60)
    start_s, end_s = 1.0, 1.0 + WINDOW.duration_s
    sample = reader.read(track, None, start_s)
    later, earlier = track.times > end_s + 1e-6, track.times < start_s - 1e-6

    def read_changed(frames: np.ndarray) -> WindowSample:
        points = track.points + 8 * frames[:, None, None] * np.random.default_rng(9).normal(size=(478, 3))
        changed = replace(
            track, points=points.astype(np.float32), blendshapes=track.blendshapes + 0.01 * frames[:, None]
        )
        return reader.read(changed, None, start_s)

    after, before = read_changed(later), read_changed(earlier)
    assert np.array_equal(after.geometry, sample.geometry)
    assert np.array_equal(after.actions, sample.actions)
    assert np.array_equal(before.geometry[..., :9], sample.geometry[..., :9])
    assert np.array_equal(before.actions[:, :52], sample.actions[:, :52])
    assert np.abs(before.geometry[..., 9:] - sample.geometry[..., 9:]).max() > 0.1
    assert np.abs(before.actions[:, 52:] - sample.actions[:, 52:]).max() > 1e-3


def test_a_neutral_face_that_is_known_is_used():
    reader, track = WindowReader(ACTIONS, WINDOW), make_track(60)
    window = cut_window(track, 1.0, WINDOW)
    nodes = aligned_nodes(window.points, window.valid, reader.layout)
    sample = reader.read(track, None, 1.0, neutral=NeutralFace(nodes[3], window.actions[3]))
    assert np.abs(sample.geometry[3, :, 9:]).max() < 1e-4
    assert np.abs(sample.actions[3, 52:]).max() < 1e-6
    assert np.abs(sample.geometry[4, :, 9:]).max() > 0.1
    np.testing.assert_allclose(sample.actions[:, :52], window.actions, atol=1e-6)
    np.testing.assert_allclose(sample.actions[4, 52:], window.actions[4] - window.actions[3], atol=1e-6)


def test_apex_at_the_end(prepare):
    clips, prepared = prepare({"a": make_track(50)}, apex="last")
    assert WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW).items == [(0, Cut(pytest.approx(1.75)))]
    training = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW, augmentation())
    evaluated = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW)[0]
    for epoch in range(3):
        np.testing.assert_allclose(training[(epoch, 0)].geometry, evaluated.geometry, atol=1e-5)


def test_training_windows_change_with_the_epoch_and_only_with_it(prepare):
    clips, prepared = prepare({"a": make_track(60), "b": make_track(60, seed=1)})
    dataset = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW, augmentation(jitter=0.01, speed=0.2), seed=3)
    again = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW, augmentation(jitter=0.01, speed=0.2), seed=3)
    assert len(dataset) == 2
    first = dataset[(0, 1)]
    dataset[(5, 0)]  # what was read before must not matter
    np.testing.assert_array_equal(dataset[(0, 1)].geometry, first.geometry)
    np.testing.assert_array_equal(again[(0, 1)].geometry, first.geometry)
    assert np.abs(dataset[(1, 1)].geometry - first.geometry).max() > 0.01


def test_training_window_has_a_face_where_there_is_one(prepare):
    valid = np.zeros(200, bool)
    valid[120:126] = True
    clips, prepared = prepare({"a": make_track(200, valid), "faceless": make_track(40, np.zeros(40, bool))})
    dataset = WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW, augmentation(drop_frames=0.5))
    assert len(dataset) == 1, "nothing can be learnt from a clip without a face"
    for epoch in range(20):
        assert dataset[(epoch, 0)].mask.any()


def test_evaluation_keeps_a_clip_without_a_face(prepare):
    clips, prepared = prepare({"faceless": make_track(40, np.zeros(40, bool))})
    sample = WindowDataset(clips, prepared, LABELS, FUSED, WINDOW)[0]
    assert not sample.mask.any()
    assert not sample.geometry.any()
    assert not sample.actions.any()
    assert not sample.patches.any()
    assert not sample.frames.any()
    with pytest.raises(DatasetError, match="no face was found"):
        WindowDataset(clips, prepared, LABELS, GEOMETRY, WINDOW, augmentation())


def test_pixels(prepare):
    valid = np.ones(50, bool)
    valid[:4] = False  # 0.2 s without a face: more than the gap that is bridged
    clips, prepared = prepare({"a": make_track(50, valid)})
    dataset = WindowDataset(clips, prepared, LABELS, FUSED, WINDOW)
    batch = collate([dataset[0], dataset[1]])
    assert batch.actions.shape == (2, 8, 104)
    assert batch.patches.shape == (2, 8, 68, 6, 6, 3)
    assert batch.frames.shape == (2, 3, 3, CROP_SIZE, CROP_SIZE)
    assert batch.patches.dtype == batch.frames.dtype == torch.uint8
    assert batch.frames_mask.tolist() == [[False, True, True], [True, True, True]]
    assert not batch.patches[0, 0].any()
    assert not batch.frames[0, 0].any()
    layout = load_layout("landmarks68")
    # The subject's right eye is on the left of the picture, which is red.
    right, left = layout.regions["right_eye"][0], layout.regions["left_eye"][0]
    assert batch.patches[1, 3, right, ..., 0].min() > 50 > batch.patches[1, 3, right, ..., 2].max()
    assert batch.patches[1, 3, left, ..., 2].min() > 50 > batch.patches[1, 3, left, ..., 0].max()
    # The window from 0.5 s shows frame 10 first and frame 24 last, and later frames are brighter.
    red = batch.frames[1, :, 0, 64, 10].int()
    assert abs(red[0] - 120) <= 4
    assert abs(red[2] - 148) <= 4


def test_mirrored_window_mirrors_its_pixels(prepare):
    clips, prepared = prepare({"a": make_track(50)}, apex="last")
    plain = WindowDataset(clips, prepared, LABELS, FUSED, WINDOW, augmentation())
    mirrored = WindowDataset(clips, prepared, LABELS, FUSED, WINDOW, augmentation(mirror=1.0))
    expected = collate([plain[(0, 0)]]).mirror(load_layout("landmarks68"))
    batch = collate([mirrored[(0, 0)]])
    torch.testing.assert_close(batch.geometry, expected.geometry, atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.actions, expected.actions, atol=1e-6, rtol=0)
    assert torch.equal(batch.patches, expected.patches)
    assert torch.equal(batch.frames, expected.frames)


def test_speed_stretches_the_window_and_its_motion(prepare):
    track = make_track(60, rate=20.0)
    reader = WindowReader(GEOMETRY, WINDOW)
    lip = reader.layout.regions["mouth"][0]
    track.points[:, reader.layout.landmarks[lip], 1] += np.linspace(0, 60, 60)  # it goes down steadily
    slow, fast = (reader.read(track, None, 0.2, speed=speed).geometry for speed in (1.0, 2.0))
    assert sped(WINDOW, 2.0).duration_s == pytest.approx(2 * WINDOW.duration_s)
    assert fast[1:, lip, 4].mean() == pytest.approx(2 * slow[1:, lip, 4].mean(), rel=0.15)


def test_labels_of_another_model(prepare):
    clips, prepared = prepare({"a": make_track(6), "b": make_track(6)})
    dataset = WindowDataset(clips, prepared, ("fear",), GEOMETRY, WINDOW)
    assert collate([dataset[0], dataset[1]]).target.tolist() == [-1, 0]
    with pytest.raises(DatasetError, match="clip a is labelled anger, not one of fear"):
        WindowDataset(clips, prepared, ("fear",), GEOMETRY, WINDOW, augmentation())


def test_unprepared_clip_is_named(prepare):
    clips, prepared = prepare({"a": make_track(20)})
    stranger = Clip("b", Path("b"), "b", "fear")
    with pytest.raises(DatasetError, match="clip b is not prepared"):
        WindowDataset([*clips, stranger], prepared, LABELS, GEOMETRY, WINDOW)


def test_item_costs_little(prepare):
    clips, prepared = prepare({"a": make_track(60)})
    dataset = WindowDataset(clips, prepared, LABELS, GEOMETRY, WindowConfig(), augmentation(jitter=0.01, speed=0.2))
    fastest = 1.0
    for epoch in range(100):
        start = time.process_time()
        dataset[(epoch, 0)]
        fastest = min(fastest, time.process_time() - start)
    assert fastest < 0.003, "the loader must not hold up the training"
