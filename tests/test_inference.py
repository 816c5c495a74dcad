from dataclasses import replace

import numpy as np
import pytest
import torch

from stgt.config import ModelConfig, WindowConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowDataset, collate
from stgt.data.preparation.prepare import prepare_clips
from stgt.errors import CheckpointError, SourceError, StgtError
from stgt.evaluation.pooling import pool_windows
from stgt.faces.crops import CROP_SIZE, CropSequence, encode_crop
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.geometry import aligned_nodes
from stgt.inference import ExpressionReader, choose_device, clip_probabilities
from stgt.models.checkpoint import save_checkpoint, set_temperature
from stgt.models.registry import create_model

LABELS = ("neutral", "happiness", "surprise")
WINDOW = WindowConfig(frames=8, frame_rate=10.0, hop_s=0.3)


def random_checkpoint(path, streams="geometry"):
    """An untrained model, its classifier made steep so that different windows get different answers."""
    torch.manual_seed(0)
    config = ModelConfig(layout="landmarks68", streams=streams, width=16, blocks=2)
    model = create_model(config, len(LABELS), WINDOW)
    with torch.no_grad():
        model.head.weight *= 5
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=WINDOW, dataset="none")
    return path


def moving_face(seconds=3.0, rate=25.0, seed=0) -> LandmarkTrack:
    """The reference face, 150 pixels between the eyes, in smooth random motion."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    waves = np.sin(times[:, None, None] * 3 + rng.normal(size=(1, 478, 3)) * 2)
    points = 150 * (load_reference_face().points + 0.04 * waves) + np.array([320, 240, 0])
    count = len(times)
    return LandmarkTrack(
        points=points.astype(np.float32),
        times=times,
        valid=np.ones(count, bool),
        blendshapes=(0.025 + 0.025 * np.sin(times[:, None] * 2 + np.arange(52))).astype(np.float32),
        transforms=np.zeros((count, 4, 4), np.float32),
        image_size=(640, 480),
        source="made",
    )


def hide(track: LandmarkTrack, start_s: float, end_s: float) -> LandmarkTrack:
    """The track without a face in part of the time."""
    valid = (track.times < start_s) | (track.times > end_s)
    return replace(track, valid=valid, points=track.points * valid[:, None, None])


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> ExpressionReader:
    return ExpressionReader(random_checkpoint(tmp_path_factory.mktemp("model") / "model.safetensors"), "cpu")


@pytest.fixture(scope="module")
def action_reader(tmp_path_factory) -> ExpressionReader:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return ExpressionReader(random_checkpoint(path, "geometry,actions"), "cpu")


def test_windows_cover_the_track_and_differ(reader):
    predictions = reader.predict_windows(moving_face())
    assert predictions[0].start_s == 0
    assert predictions[-1].end_s == pytest.approx(2.96)
    assert np.diff([p.start_s for p in predictions]).max() <= 0.3 + 1e-9
    probabilities = np.array([p.probabilities for p in predictions])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.ptp(probabilities, axis=0).max() > 0.05
    first = predictions[0]
    assert first.label == LABELS[first.probabilities.argmax()]
    assert first.confidence == first.probabilities.max()
    assert (first.source, first.face, first.valid_share) == ("made", 0, 1.0)


def test_a_window_says_the_same_alone_in_a_batch_and_in_a_longer_stream(action_reader):
    track = moving_face(seconds=20)
    starts = [0.2 * index for index in range(90)]  # more than one batch
    together = action_reader.predict_windows(track, starts=starts)
    probabilities = np.array([window.probabilities for window in together])
    alone = [action_reader.predict_windows(track, starts=[start])[0].probabilities for start in starts]
    np.testing.assert_allclose(alone, probabilities, atol=1e-5)
    for index in (0, 40, 89):
        end_s = starts[index] + WINDOW.duration_s
        so_far = action_reader.predict_windows(track.slice(None, end_s), starts=[starts[index]])[0]
        np.testing.assert_allclose(so_far.probabilities, probabilities[index], atol=1e-5)
        # Of the frames before it, nothing counts but what they say of the neutral face.
        part = track.slice(starts[index], end_s)
        neutral = action_reader.windows.neutral(action_reader.windows.align(track), end_s)
        cut = action_reader.predict_windows(part, starts=[starts[index]], neutral=neutral)[0]
        np.testing.assert_allclose(cut.probabilities, probabilities[index], atol=1e-5)


def test_a_neutral_part_is_the_face_that_all_windows_are_read_against(action_reader, rendered_face_clip):
    estimated = action_reader.read(rendered_face_clip)
    given = action_reader.read(rendered_face_clip, neutral_s=(0.0, 0.2))
    assert np.abs(given.probabilities - estimated.probabilities).max() > 1e-3
    track = given.track
    part = track.slice(0.0, 0.2)
    assert 2 <= len(part) < len(track)
    face = action_reader.neutral_face(track, 0.0, 0.2)
    nodes = aligned_nodes(part.points, part.valid, action_reader.layout)
    np.testing.assert_allclose(face.nodes, nodes.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(face.actions, part.blendshapes.mean(axis=0), atol=1e-6)
    again = action_reader.predict_windows(track, neutral=face)
    np.testing.assert_allclose([window.probabilities for window in again], given.probabilities, atol=1e-6)


def test_a_neutral_part_without_a_face_is_said(action_reader, rendered_face_clip):
    with pytest.raises(SourceError, match=r"sample.mp4 shows no face from 7 to 9.5 s; give another neutral part"):
        action_reader.read(rendered_face_clip, neutral_s=(7.0, 9.5))
    track = hide(moving_face(), 1.0, 2.0)
    with pytest.raises(SourceError, match=r"made shows no face from 1.2 to 1.8 s"):
        action_reader.neutral_face(track, 1.2, 1.8)
    assert np.isfinite(action_reader.neutral_face(track, 0.8, 1.8).nodes).all()


def test_logits_are_divided_by_the_temperature_of_the_checkpoint(tmp_path):
    path = random_checkpoint(tmp_path / "model.safetensors")
    as_trained = ExpressionReader(path, "cpu").predict_windows(moving_face())[0].probabilities
    set_temperature(path, 2.0)
    tempered = ExpressionReader(path, "cpu").predict_windows(moving_face())[0].probabilities
    np.testing.assert_allclose(tempered, np.sqrt(as_trained) / np.sqrt(as_trained).sum(), rtol=1e-6)
    assert np.abs(tempered - as_trained).max() > 0.01


def test_time_without_a_face_has_no_label_and_does_not_touch_the_rest(reader):
    track = moving_face(seconds=4)
    whole = reader.predict_windows(track)
    gap = reader.predict_windows(hide(track, 1.4, 3.0))
    hidden = [p for p in gap if p.valid_share == 0]
    assert hidden
    assert {p.label for p in hidden} == {"none"}
    assert all(np.isnan(p.probabilities).all() and np.isnan(p.confidence) for p in hidden)
    partly = [p for p in gap if 0 < p.valid_share < 1]
    assert partly
    assert all(np.isfinite(p.probabilities).all() for p in partly)
    np.testing.assert_allclose(gap[0].probabilities, whole[0].probabilities, atol=1e-6)


def test_a_track_shorter_than_a_window_gives_one_that_ends_with_it(reader):
    predictions = reader.predict_windows(moving_face(seconds=0.4))
    assert len(predictions) == 1
    assert predictions[0].end_s == pytest.approx(0.36)
    assert 0 < predictions[0].valid_share < 1
    assert predictions[0].label in LABELS


def test_a_clip_is_the_mean_of_its_windows_by_valid_share(reader):
    predictions = reader.predict_windows(hide(moving_face(seconds=4), 1.4, 3.0))
    shares = np.array([p.valid_share for p in predictions])
    values = np.nan_to_num([p.probabilities for p in predictions])
    np.testing.assert_allclose(clip_probabilities(predictions), shares @ values / shares.sum())
    faceless = reader.predict_windows(hide(moving_face(), 0, 9))
    assert np.isnan(clip_probabilities(faceless)).all()
    assert np.isnan(clip_probabilities([], LABELS)).all()


def test_a_model_with_pixels_uses_them_and_a_geometry_model_does_not(reader, tmp_path):
    track = moving_face(seconds=1.5)
    rng = np.random.default_rng(0)

    def crops(brightness: int) -> CropSequence:
        crop = rng.integers(0, brightness, (CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        return CropSequence.from_jpegs([encode_crop(crop)] * len(track))

    def say(model: ExpressionReader, pixels: CropSequence) -> np.ndarray:
        return np.array([p.probabilities for p in model.predict_windows(track, pixels)])

    fused = ExpressionReader(random_checkpoint(tmp_path / "m.safetensors", "geometry,patches"), "cpu")
    dark, bright = crops(40), crops(250)
    assert np.abs(say(fused, dark) - say(fused, bright)).max() > 1e-4
    np.testing.assert_array_equal(say(reader, dark), say(reader, bright))


def test_a_video_is_read_as_a_clip_of_a_dataset_is_scored(reader, rendered_face_clip, tmp_path):
    steps = []
    reading = reader.read(rendered_face_clip, progress=lambda done, expected: steps.append((done, expected)))
    assert len(reading) == len(reading.predictions) >= 1
    assert reading.track.valid.all()
    assert steps[-1][0] == len(reading.track)
    assert reading[0] is next(iter(reading))
    assert reading.label in LABELS

    clip = Clip("face", rendered_face_clip, "S1", "happiness")
    prepared = prepare_clips([clip], cache=tmp_path, workers=1)
    dataset = WindowDataset([clip], prepared, LABELS, reader.model.config, WINDOW)
    batch = collate([dataset[index] for index in range(len(dataset))])
    with torch.inference_mode():
        probabilities = reader.model(**batch.inputs).softmax(-1).numpy()
    share = batch.mask.float().mean(1).numpy()
    pooled = pool_windows(probabilities, share, batch.clip.numpy(), 1)[0]
    np.testing.assert_allclose(reading.clip_probabilities, pooled, atol=1e-5)


def test_what_cannot_be_read_is_said_in_one_sentence(reader, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 1000)
    for source in (broken, tmp_path / "missing.mp4"):
        with pytest.raises(SourceError, match=source.name):
            reader.read(source)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        ExpressionReader(tmp_path / "none.safetensors")


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(StgtError, match="unknown device 'tpu'"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(StgtError, match="not available"):
            choose_device("cuda")
