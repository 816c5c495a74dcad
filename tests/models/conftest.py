import pytest
import torch

from stgt.config import ModelConfig, WindowConfig
from stgt.graphs.actions import ACTION_CHANNELS
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.graphs.layout import load_layout
from stgt.models import create_model, list_models

#: timm's smallest that still has batch normalisation.
TINY_BACKBONE = "test_efficientnet"

STREAM_SETTINGS = (
    "geometry",
    "geometry,actions",
    "geometry,patches",
    "geometry,frames",
    "geometry,actions,patches,frames",
)

WINDOW = WindowConfig(frames=16)


def make_config(name="stgt", streams="geometry", **settings):
    settings = {"layout": "landmarks68", "width": 16, "heads": 2, "patch_size": 6, **settings}
    return ModelConfig(name=name, streams=streams, backbone=TINY_BACKBONE, stream_frames=2, **settings)


def make_inputs(batch=3, frames=16, layout="landmarks68", seed=0):
    """Inputs of all streams; the end of the first window, and the start and the middle of the second are invalid."""
    generator = torch.Generator().manual_seed(seed)
    nodes = len(load_layout(layout))
    mask = torch.ones(batch, frames, dtype=torch.bool)
    mask[0, -6:] = False
    mask[1, 0] = mask[1, 3:10] = False
    return {
        "geometry": torch.randn(batch, frames, nodes, GEOMETRY_CHANNELS, generator=generator),
        "mask": mask,
        "actions": torch.randn(batch, frames, ACTION_CHANNELS, generator=generator),
        "patches": torch.randint(0, 256, (batch, frames, nodes, 6, 6, 3), dtype=torch.uint8, generator=generator),
        "frames": torch.randint(0, 256, (batch, 2, 3, 32, 32), dtype=torch.uint8, generator=generator),
        "frames_mask": torch.tensor([[True, False]] + [[True, True]] * (batch - 1)),
    }


def cases():
    return [(name, streams) for name in list_models() for streams in STREAM_SETTINGS]


@pytest.fixture(params=cases(), ids="-".join)
def config(request):
    """Every model with every setting of the streams."""
    return make_config(*request.param)


@pytest.fixture
def model(config):
    torch.manual_seed(0)
    return create_model(config, 5, WINDOW)


@pytest.fixture
def inputs():
    return make_inputs()


@pytest.fixture
def config_factory():
    return make_config


@pytest.fixture
def inputs_factory():
    return make_inputs


@pytest.fixture
def window():
    return WINDOW
