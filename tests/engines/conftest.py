import pytest
import torch

from stgt.config import ModelConfig, WindowConfig
from stgt.models.checkpoint import load_checkpoint, save_checkpoint
from stgt.models.registry import create_model

LABELS = ("neutral", "happiness", "surprise", "anger", "fear")
WINDOW = WindowConfig(frames=8)


def small_config(name="stgt", streams="geometry", **settings):
    settings = {"width": 16, "heads": 2, "blocks": 2, "patch_size": 4, "stream_frames": 2, **settings}
    return ModelConfig(name=name, streams=streams, backbone="test_efficientnet", **settings)


def random_model(config, window=WINDOW, classes=5):
    """Untrained, its normalisations and its classifier far from doing nothing."""
    torch.manual_seed(0)
    model = create_model(config, classes, window).eval()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.3, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
        model.head.weight *= 5
    return model


@pytest.fixture
def make_checkpoint(tmp_path):
    """Writes a random model of some settings and loads it."""

    def make(config, window=WINDOW, labels=LABELS):
        path = tmp_path / "model.safetensors"
        model = random_model(config, window, len(labels))
        save_checkpoint(path, model, labels=labels, model_config=config, window=window, dataset="none", temperature=1.3)
        return load_checkpoint(path)

    return make


@pytest.fixture
def config_factory():
    return small_config


@pytest.fixture
def pretrained():
    return load_checkpoint("pretrained")


@pytest.fixture
def engine_cache(tmp_path, monkeypatch):
    """An empty cache folder, and in it the one of the engines."""
    monkeypatch.setenv("STGT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"
