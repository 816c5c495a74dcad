"""A track of a face that moves and turns, and a model that reads geometry alone."""

import numpy as np
import pytest
import torch

from stgt.config import ModelConfig, WindowConfig
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face
from stgt.inference import ExpressionReader
from stgt.models.checkpoint import save_checkpoint
from stgt.models.registry import create_model

LABELS = ("neutral", "happiness", "surprise")
WINDOW = WindowConfig(frames=8, frame_rate=10.0, hop_s=0.3)


def turned(points: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """(T, V, 3) faces about their origin, each by its angle."""
    rotation = np.zeros((len(yaw), 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(yaw)
    rotation[:, 0, 2], rotation[:, 2, 0], rotation[:, 1, 1] = np.sin(yaw), -np.sin(yaw), 1
    return points @ rotation.swapaxes(1, 2)


def moving_face(seconds: float = 2.0, rate: float = 25.0, turn_deg: float = 15.0) -> LandmarkTrack:
    """A mouth that opens under a head that turns, 120 pixels between the eyes; the last three frames have no face."""
    times = np.arange(round(seconds * rate)) / rate
    face = np.repeat(load_reference_face().points[None].astype(np.float64), len(times), axis=0)
    face[:, [14, 17, 152, 84, 314], 1] += 0.1 + 0.1 * np.sin(4 * times)[:, None]
    face[:, [61, 291], 0] *= 1 + 0.2 * np.sin(3 * times)[:, None]
    points = 120 * turned(face, np.deg2rad(turn_deg) * np.sin(2 * times)) + (310.25, 255.5, 7)
    valid = np.arange(len(times)) < len(times) - 3
    return LandmarkTrack(
        points=points * valid[:, None, None],
        times=times,
        valid=valid,
        blendshapes=0.05 * np.ones((len(times), 52)) * valid[:, None],
        transforms=np.zeros((len(times), 4, 4)),
        image_size=(640, 480),
        source="made.mp4",
    )


def checkpoint(path, streams="geometry", layout="landmarks68"):
    """An untrained model, its classifier made steep so that different windows get different answers."""
    torch.manual_seed(0)
    config = ModelConfig(layout=layout, streams=streams, width=16, blocks=2)
    model = create_model(config, len(LABELS), WINDOW)
    with torch.no_grad():
        model.head.weight *= 5
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=WINDOW, dataset="none")
    return path


@pytest.fixture
def track() -> LandmarkTrack:
    return moving_face()


@pytest.fixture
def make_track():
    return moving_face


@pytest.fixture(scope="module")
def make_reader(tmp_path_factory):
    def make(**settings) -> ExpressionReader:
        return ExpressionReader(checkpoint(tmp_path_factory.mktemp("model") / "model.safetensors", **settings), "cpu")

    return make
