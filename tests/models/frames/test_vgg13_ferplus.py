"""How the FER+ network prepares its images."""

import pytest
import torch

from stgt.models.frames import create_frame_model
from stgt.models.frames.vgg13_ferplus import equalise


def test_equalise_by_hand():
    """Four grey values once each: their shares of the histogram, from -1 to 1; order and distances do not count."""
    grey = torch.tensor([[[0.0, 0.2], [0.3, 0.9]]])
    assert torch.allclose(equalise(grey), torch.tensor([[[-0.5, 0.0], [0.5, 1.0]]]))
    assert torch.allclose(equalise(grey**2), equalise(grey))


@pytest.fixture(scope="module")
def model():
    return create_frame_model("vgg13-ferplus", 8, image_size=64).eval()


def test_grey_levels_have_mean_zero_and_variance_one(model):
    prepared = model.normalise(torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert prepared.shape == (3, 1, 64, 64)
    assert torch.allclose(prepared.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(prepared.square().mean(dim=(1, 2, 3)), torch.ones(3), atol=1e-4)


def test_light_from_one_side_is_taken_away(model):
    """No trend is left from left to right, or from top to bottom."""
    x = torch.linspace(-1, 1, 64)
    face = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prepared = model.normalise(0.5 * face + 0.25 * (x + 1))
    assert abs((prepared * x).mean()) < 1e-5
    assert abs((prepared * x[:, None]).mean()) < 1e-5


def test_colour_that_is_no_light_does_not_count(model):
    """Two images of the same luma."""
    grey = torch.full((1, 3, 64, 64), 0.5)
    grey[..., :32] = 0.25
    red = grey.clone()
    red[:, 0, :, 32:] += 0.2
    red[:, 2, :, 32:] -= 0.2 * 0.299 / 0.114
    assert torch.allclose(model(grey), model(red.clamp(0, 1)), atol=1e-3)
