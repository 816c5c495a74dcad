"""What models of face crops alone are given: the crops of any other model with a frames stream, and no landmarks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stgt.config import AugmentationConfig, ModelConfig, WindowConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowDataset, WindowReader, collate
from stgt.data.preparation.prepare import Prepared
from stgt.data.preparation.store import Store
from stgt.faces.crops import CROP_SIZE, CropSequence, encode_crop
from stgt.faces.tracks import BLENDSHAPES, LandmarkTrack
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.layout import load_layout
from stgt.learning.augmentation import Augmentation
from stgt.models import create_model

LABELS = ("anger", "fear")
WINDOW = WindowConfig(frames=8, frame_rate=10.0)
ALONE = ModelConfig("frames:test_efficientnet", stream_frames=3, frame_size=64)
FUSED = ModelConfig(streams="geometry,frames", stream_frames=3)


def make_track(valid):
    frames = len(valid)
    face = load_reference_face().points * 60 + (150, 150, 0)
    points = np.tile(face, (frames, 1, 1)) * np.asarray(valid)[:, None, None]
    none = np.zeros((frames, BLENDSHAPES), np.float32)
    transforms = np.zeros((frames, 4, 4), np.float32)
    times = np.arange(frames) / 20
    return LandmarkTrack(points.astype(np.float32), times, np.asarray(valid), none, transforms, (300, 300), "drawn")


def make_crops(shown):
    """Left half red, right half blue, each frame brighter than the one before."""
    jpegs = []
    for number, seen in enumerate(shown):
        crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
        crop[:, : CROP_SIZE // 2, 0] = crop[:, CROP_SIZE // 2 :, 2] = 60 + 4 * number
        jpegs.append(encode_crop(crop) if seen else b"")
    return CropSequence.from_jpegs(jpegs)


@pytest.fixture
def prepared(tmp_path):
    """A clip of two seconds with a gap, a picture, and an aligned picture in which no face was found."""
    store = Store(tmp_path / "store")
    gap = np.ones(40, bool)
    gap[12:22] = False
    picture, unfound = np.ones(1, bool), np.zeros(1, bool)
    clips = []
    for name, valid, shown in (("clip", gap, gap), ("picture", picture, picture), ("unfound", unfound, picture)):
        crops = make_crops(shown)
        store.add(name, make_track(valid), (crops.data, crops.offsets))
        kind = "video" if name == "clip" else "image"
        clips.append(Clip(name, Path(name), name, "anger", kind=kind, aligned=name != "clip"))
    return clips, Prepared(store, {clip.clip_id: clip.clip_id for clip in clips})


def datasets(prepared, **settings):
    return [WindowDataset(*prepared, LABELS, model, WINDOW, **settings) for model in (ALONE, FUSED)]


def test_the_crops_are_those_that_a_fused_model_sees(prepared):
    alone, fused = datasets(prepared)
    assert alone.items == fused.items
    for index in range(len(alone)):
        one, other = alone[index], fused[index]
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.frames_mask, other.frames_mask)
        assert np.array_equal(one.mask, other.mask)
        assert not one.geometry.any()
        assert one.geometry.shape == other.geometry.shape


def test_training_mirrors_and_drops_frames(prepared):
    changes = {"rotation_deg": 0.0, "scale": 0.0, "jitter": 0.0, "speed": 0.0}
    layout = load_layout("landmarks68")

    def visits(**settings):
        augmentation = Augmentation(AugmentationConfig(**{**changes, **settings}), layout)
        dataset = WindowDataset(*prepared, LABELS, ALONE, WINDOW, augmentation=augmentation)
        return [dataset[(epoch, 0)] for epoch in range(12)]

    half = CROP_SIZE // 2
    for sample in visits(mirror=1.0, drop_frames=0.0):
        seen = sample.frames[sample.frames_mask]
        assert (seen[:, 2, :, : half - 8] > 40).all(), "blue is now on the left"
        assert not sample.frames[~sample.frames_mask].any()
    dropped = [sample.frames_mask.sum() for sample in visits(mirror=0.0, drop_frames=0.6)]
    kept = [sample.frames_mask.sum() for sample in visits(mirror=0.0, drop_frames=0.0)]
    assert sum(dropped) < sum(kept)
    assert all(sample.mask.any() for sample in visits(drop_frames=1.0))


def test_pictures_are_windows_with_one_crop_even_without_landmarks(prepared):
    alone, _ = datasets(prepared)
    of = {alone.clips[number].clip_id: alone[index] for index, (number, _) in enumerate(alone.items)}
    for name in ("picture", "unfound"):
        assert of[name].frames_mask.tolist() == [True, False, False]
        assert of[name].frames[0].max() > 50
    assert not of["unfound"].mask.any()
    batch = collate([of["picture"], of["unfound"]])
    torch.manual_seed(0)
    model = create_model(ALONE, 2, WINDOW).eval()
    with torch.no_grad():
        logits = model(**batch.inputs)
        torch.testing.assert_close(logits[0], logits[1])
        model = create_model(replace(ALONE, frame_pool="mean"), 2, WINDOW).eval()
        crop = model.encode_frames(batch.frames[0, :1])
        torch.testing.assert_close(model(**batch.inputs)[:1], model.forward_head(crop), atol=1e-5, rtol=1e-5)


def test_landmarks_are_not_aligned_and_take_no_memory(prepared, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a face was aligned")

    monkeypatch.setattr("stgt.data.clips.align_track", refuse)
    monkeypatch.setattr("stgt.data.clips.geometry_stream", refuse)
    alone, fused = datasets(prepared)
    whole = alone._aligned.left_bytes
    alone[0]
    assert whole - alone._aligned.left_bytes < 1000
    with pytest.raises(AssertionError, match="a face was aligned"):
        fused[0]


def test_reading_a_whole_track_gives_what_the_dataset_gives(prepared):
    """As ``stgt predict`` does it, and the live program from its own buffer."""
    clips, store = prepared
    alone, _ = datasets(prepared)
    reader = WindowReader(ALONE, WINDOW)
    track, crops = store.track(clips[0]), store.crops(clips[0])
    for index, (number, cut) in enumerate(alone.items):
        if number == 0:
            sample = reader.read(track, crops, cut.start_s)
            assert np.array_equal(sample.frames, alone[index].frames)
            assert np.array_equal(sample.mask, alone[index].mask)
