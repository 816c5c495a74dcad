"""Models of face crops alone, read live and from their exported file."""

import numpy as np
import pytest
import torch
from stgt.realtime.session import LiveSession

from stgt.config import ModelConfig, WindowConfig
from stgt.engines.conversion import convert
from stgt.engines.engine import TorchEngine
from stgt.engines.parity import random_windows
from stgt.faces.extract import extract
from stgt.inference import ExpressionReader
from stgt.models.checkpoint import load_checkpoint, save_checkpoint
from stgt.models.registry import create_model

LABELS = ("anger", "happiness", "neutral")
WINDOW = WindowConfig(frames=8, frame_rate=10.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """An untrained checkpoint with a steep classifier, which tells windows apart."""
    torch.manual_seed(0)
    config = ModelConfig("frames:test_efficientnet", stream_frames=3, frame_size=64, frame_pool="attention")
    model = create_model(config, len(LABELS), WINDOW)
    with torch.no_grad():
        model.head.weight *= 300
    path = tmp_path_factory.mktemp("frames") / "model.safetensors"
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=WINDOW, dataset="none")
    return path


def test_a_live_session_says_what_a_recording_says(path, landmarker, rendered_face_clip):
    reader = ExpressionReader(path, device="cpu", engine="torch")
    read = []
    encode = reader.model.encode_frames
    reader.model.encode_frames = lambda crops: (read.append(len(crops)), encode(crops))[1]
    track, crops = extract(rendered_face_clip, landmarker=landmarker)
    with LiveSession(reader, rendered_face_clip, every_s=0.2, smoothing_s=0.0, landmarker=landmarker) as session:
        faces = [frame.faces[0] for frame in session]
    assert sum(read) <= len(track) + 1, "each frame is read at most once, and an empty one to know how much comes"
    del reader.model.encode_frames
    new = [face.prediction for face in faces if face.is_new]
    recorded = reader.predict_windows(track, crops, [prediction.start_s for prediction in new])
    assert len(new) > 4
    live = np.array([prediction.probabilities for prediction in new])
    later = np.array([prediction.probabilities for prediction in recorded])
    np.testing.assert_allclose(live, later, atol=1e-5)
    assert np.ptp(live, axis=0).max() > 0.01, "windows that all look alike would show nothing"


def test_the_exported_file_says_the_same(path, tmp_path):
    loaded = load_checkpoint(path)
    made = convert(loaded, tmp_path)
    torch_engine = TorchEngine(loaded.model)
    for size in (1, 4):
        batch = random_windows(loaded.model_config, WINDOW, size, seed=size)
        logits, nodes = made.engine.logits_with_attention(batch)
        expected, looked = torch_engine.logits_with_attention(batch)
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(nodes, looked, atol=1e-5, rtol=0)
