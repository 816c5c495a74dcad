"""An untrained model, and sources that are made in memory."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from stgt.config import ModelConfig, WindowConfig
from stgt.faces.landmarker import FaceLandmarker
from stgt.faces.video import FrameSource, open_source
from stgt.inference import ExpressionReader
from stgt.models.checkpoint import save_checkpoint
from stgt.models.registry import create_model

LABELS = ("happiness", "neutral", "surprise")
WINDOW = WindowConfig(frames=8, frame_rate=10.0)


class MadeSource(FrameSource):
    """Frames from a list; ``wait_s`` before each, as a camera would; ``error`` is raised after the last."""

    def __init__(self, frames, wait_s=0.0, error=None):
        self.name = "made"
        self.frames = frames
        self.image_size = frames[0][1].shape[1::-1]
        self.frame_rate = 16.0
        self.frame_count = None
        self.wait_s = wait_s
        self.error = error
        self.closed = False

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        for frame in self.frames:
            time.sleep(self.wait_s)
            yield frame
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="session")
def made_source():
    return MadeSource


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Path of an untrained checkpoint by its streams; a steep classifier tells windows apart."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for streams in ("geometry", "geometry,actions", "geometry,patches", "geometry,frames"):
        torch.manual_seed(0)
        config = ModelConfig(
            layout="landmarks68", streams=streams, width=16, blocks=2, backbone="mobilenetv3_small_050"
        )
        model = create_model(config, len(LABELS), WINDOW)
        with torch.no_grad():
            model.head.weight *= 20
        paths[streams] = folder / f"{streams.replace(',', '_')}.safetensors"
        save_checkpoint(paths[streams], model, labels=LABELS, model_config=config, window=WINDOW, dataset="none")
    return paths


@pytest.fixture(scope="session")
def checkpoint(checkpoints):
    return checkpoints["geometry"]


@pytest.fixture(scope="session")
def reader(checkpoint) -> ExpressionReader:
    return ExpressionReader(checkpoint, device="cpu")


@pytest.fixture(scope="session")
def action_reader(checkpoints) -> ExpressionReader:
    return ExpressionReader(checkpoints["geometry,actions"], device="cpu")


@pytest.fixture(scope="session")
def pixel_reader(checkpoints) -> ExpressionReader:
    return ExpressionReader(checkpoints["geometry,patches"], device="cpu")


@pytest.fixture(scope="session")
def frames_reader(checkpoints) -> ExpressionReader:
    return ExpressionReader(checkpoints["geometry,frames"], device="cpu")


@pytest.fixture(scope="session")
def landmarker():
    """Made once: opening it takes longer than what most tests do with it."""
    with FaceLandmarker() as landmarker:
        yield landmarker


@pytest.fixture(scope="session")
def face_frames(rendered_face_clip):
    """``(timestamp_s, rgb)`` of a face, 16 frames a second for 1.5 s."""
    with open_source(rendered_face_clip) as source:
        return list(source)


@pytest.fixture(scope="session")
def empty_frames(face_frames):
    """As many frames after those, on the same clock, without anyone in them."""
    step_s = face_frames[1][0] - face_frames[0][0]
    start_s = face_frames[-1][0] + step_s
    grey = np.full_like(face_frames[0][1], 90)
    return [(start_s + index * step_s, grey) for index in range(len(face_frames))]
