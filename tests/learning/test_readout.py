"""A checkpoint carries how it is tested: a dataset is scored, and a video read, by the same windows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stgt.config import ModelConfig, WindowConfig
from stgt.data.catalog.layouts import Clip
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face
from stgt.inference import ExpressionReader, clip_probabilities
from stgt.learning.results import read_clips
from stgt.models.checkpoint import load_checkpoint, save_checkpoint
from stgt.models.registry import create_model

LABELS = ("neutral", "happiness", "surprise")


class Drawn(dict):
    """Prepared clips that were drawn: clip id -> track."""

    def track(self, clip: Clip) -> LandmarkTrack:
        return self[clip.clip_id]

    def span(self, clip_id: str) -> tuple[float, float, int]:
        times = self[clip_id].times
        return float(times[0]), float(times[-1]), len(times)


def moving_face(frames: int, rate: float = 25.0) -> LandmarkTrack:
    times = np.arange(frames) / rate
    waves = np.sin(times[:, None, None] * 3 + np.random.default_rng(0).normal(size=(1, 478, 3)) * 2)
    return LandmarkTrack(
        points=(150 * (load_reference_face().points + 0.04 * waves) + (320, 240, 0)).astype(np.float32),
        times=times,
        valid=np.arange(frames) % 7 != 3,
        blendshapes=np.zeros((frames, 52), np.float32),
        transforms=np.zeros((frames, 4, 4), np.float32),
        image_size=(640, 480),
        source="made",
    )


@pytest.mark.parametrize(
    ("settings", "windows"),
    [
        ({}, {"long": 8, "short": 1}),
        ({"testing": "centre"}, {"long": 1, "short": 1}),
        ({"testing": "centre", "views": 3}, {"long": 3, "short": 1}),
        ({"testing": "uniform", "views": 2}, {"long": 2, "short": 2}),
        ({"short": "hold"}, {"long": 8, "short": 1}),
        ({"short": "loop"}, {"long": 8, "short": 1}),
    ],
)
def test_videos_are_read_by_the_windows_that_clips_are_scored_by(tmp_path, settings, windows):
    window = WindowConfig(frames=8, hop_s=0.3, **settings)
    torch.manual_seed(0)
    config = ModelConfig(width=16, blocks=2, heads=2)
    model = create_model(config, len(LABELS), window)
    with torch.no_grad():
        model.head.weight *= 5
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=window, dataset="none")

    loaded = load_checkpoint(path)
    assert loaded.window == window
    prepared = Drawn(long=moving_face(70), short=moving_face(10))
    clips = [Clip(name, Path(name), name, "neutral") for name in prepared]
    scored = read_clips(loaded, clips, prepared).probabilities
    reader = ExpressionReader(path, "cpu", engine="torch")
    for clip, row in zip(clips, scored, strict=True):
        track = prepared.track(clip)
        predictions = reader.predict_windows(track)
        assert len(predictions) == windows[clip.clip_id]
        np.testing.assert_allclose(clip_probabilities(predictions), row, atol=1e-5)
        if settings.get("testing") == "uniform":
            assert predictions[0].start_s < predictions[1].start_s < 0.4
            assert predictions[1].end_s > 0.85 * track.duration_s
