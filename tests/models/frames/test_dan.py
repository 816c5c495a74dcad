import math

import pytest
import torch

from stgt.models.frames import create_frame_model
from stgt.models.frames.dan import HEADS, ChannelAttention, SpatialAttention


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_frame_model("dan", 7, image_size=64).eval()


@torch.no_grad()
def test_spatial_attention_weighs_places_and_not_channels():
    torch.manual_seed(0)
    attention = SpatialAttention(16).eval()
    x = torch.randn(2, 16, 7, 7)
    weights = attention.weights(x)
    assert weights.shape == (2, 1, 7, 7)
    assert (weights >= 0).all()
    assert weights.std() > 0
    torch.testing.assert_close(attention(x), x * weights)
    narrow = attention.reduce(x)
    branches = attention.square(narrow) + attention.horizontal(narrow) + attention.vertical(narrow)
    torch.testing.assert_close(weights, branches.clamp(min=0).sum(dim=1, keepdim=True))


@torch.no_grad()
def test_spatial_attention_sees_a_three_by_three_neighbourhood():
    """Of the union of the three kernels: a change of one place reaches its neighbours and nobody else."""
    torch.manual_seed(0)
    attention = SpatialAttention(16).eval()
    x = torch.randn(1, 16, 7, 7)
    changed = x.clone()
    changed[:, :, 3, 3] += 1
    touched = attention.weights(changed) != attention.weights(x)
    assert touched[0, 0, 2:5, 2:5].any()
    touched[0, 0, 2:5, 2:5] = False
    assert not touched.any()


@torch.no_grad()
def test_channel_attention_by_hand():
    attention = ChannelAttention(4, hidden=2).eval()
    attention.gate[0].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, -1.0, 0, 0]]))
    attention.gate[3].weight.copy_(torch.tensor([[1.0, 0], [0, 1.0], [2.0, 0], [0, 0]]))
    attention.gate[3].bias.zero_()
    x = torch.tensor([2.0, 3.0, 1.0, 4.0])[None, :, None, None].expand(1, 4, 3, 3)
    hidden = 2 / math.sqrt(1 + attention.gate[1].eps)  # the second hidden unit is negative, thus 0
    gate = torch.sigmoid(torch.tensor([hidden, 0.0, 2 * hidden, 0.0]))
    torch.testing.assert_close(attention(x), torch.tensor([[2.0, 3.0, 1.0, 4.0]]) * gate)


@torch.no_grad()
def test_heads_are_shares_of_each_channel_and_their_sum_the_feature(model):
    images = torch.rand(2, 3, 64, 64)
    output = model.forward_all(images)
    heads = output.extras["heads"]
    assert heads.shape == (2, HEADS, 512)
    torch.testing.assert_close(heads.exp().sum(dim=1), torch.ones(2, 512))
    torch.testing.assert_close(output.features, heads.sum(dim=1))
    # Equal heads give log 1/4 each: the sum is largest there.
    assert (output.features <= HEADS * math.log(1 / HEADS) + 1e-4).all()
    torch.testing.assert_close(output.extras["trunk"], model.trunk(model.normalise(images)).mean(dim=(2, 3)))
