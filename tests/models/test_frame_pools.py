"""How the features of frames become those of a window."""

import pytest
import torch
from torch.nn import functional as F

from stgt.config import FRAME_POOLS, ModelConfig
from stgt.models.frame_pools import FrameAttentionPool, MaxPool, StatisticsPool, create_frame_pool

WIDTH, FRAMES = 12, 5


@pytest.fixture(params=FRAME_POOLS)
def pool(request):
    torch.manual_seed(0)
    config = ModelConfig(frame_pool=request.param, stream_frames=FRAMES, dropout=0.0)
    return create_frame_pool(config, WIDTH).eval()


@pytest.fixture
def features():
    return torch.randn(3, FRAMES, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def mask():
    seen = torch.ones(3, FRAMES, dtype=torch.bool)
    seen[1, 1:3] = False
    seen[2, 1:] = False
    return seen


def test_result_and_weights(pool, features, mask):
    pooled, weights = pool(features * mask[..., None], mask)
    assert pooled.shape == (3, pool.num_features)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert not weights[~mask].any()
    assert (weights >= 0).all()


def test_masked_frames_have_no_influence_and_no_gradient(pool, features, mask):
    other = torch.where(mask[..., None], features, 9.0).requires_grad_()
    pooled = pool(other, mask)[0]
    torch.testing.assert_close(pooled, pool(features * mask[..., None], mask)[0])
    pooled.square().sum().backward()
    assert not other.grad[~mask].any()
    assert other.grad[mask].any(dim=1).all() or isinstance(pool, MaxPool)


def test_a_window_without_faces_gives_finite_numbers(pool, features):
    features.requires_grad_()
    pooled, weights = pool(features * 0, torch.zeros(3, FRAMES, dtype=torch.bool))
    assert torch.isfinite(pooled).all()
    assert not weights.any()
    pooled.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_only_the_transformer_knows_the_order(pool, features, mask):
    mask = torch.ones_like(mask)
    forward, backward = pool(features, mask)[0], pool(features.flip(1), mask)[0]
    knows = not torch.allclose(forward, backward, atol=1e-4)
    assert knows == (pool.__class__.__name__ == "TransformerPool")


def test_a_single_frame_stays_as_it_is(pool, features):
    """Where it can: the transformer has layers in between, and the others say it once more."""
    single = features[:, :1]
    pooled, weights = pool(single, torch.ones(3, 1, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.ones(3, 1))
    if pool.__class__.__name__ != "TransformerPool":
        torch.testing.assert_close(pooled[:, :WIDTH], single[:, 0])


def test_gradient_reaches_all_that_is_learned(pool, features, mask):
    features.requires_grad_()
    pool(features * mask[..., None], mask)[0].square().sum().backward()
    assert features.grad.abs().sum() > 0
    for name, parameter in pool.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_statistics_by_hand():
    features = torch.tensor([[[1.0, 5.0], [3.0, 5.0], [100.0, 100.0]]])
    pooled, weights = StatisticsPool(2)(features, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(pooled, torch.tensor([[2.0, 5.0, 3.0, 5.0, 1.0, 0.0]]))
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0.0]]))


def test_weights_of_the_maximum_are_shares_of_features():
    features = torch.tensor([[[1.0, 5.0, 2.0, 2.0], [3.0, 4.0, 1.0, 1.0]]])
    weights = MaxPool(4)(features, torch.ones(1, 2, dtype=torch.bool))[1]
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))


def test_frame_attention_is_the_formula_of_its_paper(features):
    """a = sigmoid(q f), m = sum a f / sum a, b = sigmoid(p [f : m]); sum a b [f : m] / sum a b."""
    torch.manual_seed(2)
    pool = FrameAttentionPool(WIDTH)
    pooled, weights = pool(features, torch.ones(3, FRAMES, dtype=torch.bool))
    normal = F.layer_norm(features, (WIDTH,))
    alone = torch.sigmoid(pool.self_attention(normal))
    mean = (alone * features).sum(dim=1) / alone.sum(dim=1)
    beside = F.layer_norm(mean, (WIDTH,))[:, None].expand_as(normal)
    both = alone * torch.sigmoid(pool.relation(torch.cat((normal, beside), dim=2)))
    pairs = torch.cat((features, mean[:, None].expand_as(features)), dim=2)
    torch.testing.assert_close(pooled, (both * pairs).sum(dim=1) / both.sum(dim=1))
    torch.testing.assert_close(weights, (both / both.sum(dim=1, keepdim=True))[..., 0])


def test_frame_attention_stands_features_of_any_size(features):
    """Sigmoids of large numbers are zeros, and a share of zeros is none."""
    pool = FrameAttentionPool(WIDTH)
    weights = pool(-1e4 * features.abs(), torch.ones(3, FRAMES, dtype=torch.bool))[1]
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
