"""Where FER-VT, ACNN-LBP and AFNet look."""

import pytest
import torch

from stgt.models.frames import create_frame_model
from stgt.models.frames.afnet import BRANCHES, MaskedChannelAttention, MultiBranchAttention
from stgt.models.frames.fer_vt import GRID, GridAttention


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 70])
def test_grid_weights_are_attention_received(size):
    torch.manual_seed(0)
    attention = GridAttention().eval()
    attention.query.weight.mul_(10)  # fresh ones hardly tell the cells apart
    images = torch.randn(2, 3, size, size)
    images[:, :, : size // 4, : size // 4] *= 4
    refined, weights = attention(images)
    assert refined.shape == images.shape
    assert weights.shape == (2, GRID, GRID)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.mean(dim=(1, 2)), torch.ones(2))
    assert weights.std() > 0.01


@torch.no_grad()
def test_acnn_attention_is_steered_by_texture_and_the_face_is_made_again():
    torch.manual_seed(0)
    model = create_frame_model("acnn-lbp", 7, image_size=100).eval()
    images = torch.randint(0, 256, (2, 3, 100, 100), dtype=torch.uint8)
    extras = model.forward_all(images).extras
    assert extras["attention"].shape == (2, 1, 12, 12)
    assert ((extras["attention"] > 0) & (extras["attention"] < 1)).all()
    assert extras["reconstruction"].shape == extras["reconstruction_target"].shape == (2, 1, 100, 100)
    assert ((extras["reconstruction"] > 0) & (extras["reconstruction"] < 1)).all()
    grey = (images / 255 * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    torch.testing.assert_close(extras["reconstruction_target"], grey, atol=1 / 255, rtol=0)
    # Without texture the attention is another one.
    hook = model.texture.register_forward_hook(lambda *inputs: torch.zeros_like(inputs[-1]))
    assert not torch.allclose(model.forward_all(images).extras["attention"], extras["attention"])
    hook.remove()


@torch.no_grad()
def test_the_strongest_branch_counts():
    torch.manual_seed(0)
    attention = MultiBranchAttention(16).eval()
    x = torch.randn(2, 16, 7, 7)
    attended, maps = attention(x)
    assert maps.shape == (2, BRANCHES, 7, 7)
    torch.testing.assert_close(attended, x * maps.max(dim=1, keepdim=True).values)


@torch.no_grad()
def test_channels_are_hidden_in_training_only():
    torch.manual_seed(0)
    attention = MaskedChannelAttention(256)
    x = torch.rand(8, 256, 4, 4) + 0.1
    hidden = (attention.train()(x) == 0).float().mean().item()
    assert hidden == pytest.approx(0.25, abs=0.05)
    assert (attention.eval()(x) > 0).all()
