"""ResNet-18 with shared affinity: angles without a margin, and no batch in evaluation."""

import pytest
import torch
from torch.nn import functional as F

from stgt.models.frames import create_frame_model
from stgt.models.frames.resnet18_fi_sa import CosineClassifier, SharedAffinity


def test_logits_are_scaled_cosines_without_margin():
    head = CosineClassifier(3, 2, scale=30)
    head.weight.data = torch.tensor([[2.0, 0, 0], [0, 5, 0]])
    logits = head(torch.tensor([[3.0, 4, 0], [0, 0, 1]]))
    assert torch.allclose(logits, torch.tensor([[18.0, 24], [0, 0]]))


def test_the_margin_can_be_added_to_what_training_is_given():
    """From the extras alone: the loss with margin is larger than that without, and its gradient reaches the trunk."""
    torch.manual_seed(0)
    model = create_frame_model("resnet18-fi-sa", 7, image_size=64).train()
    output = model.forward_all(torch.rand(4, 3, 64, 64))
    cosine = output.extras["cosine"]
    assert cosine.abs().max() <= 1 + 1e-6
    assert torch.allclose(output.logits, model.SCALE * cosine)
    target = torch.tensor([0, 1, 2, 3])
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    harder = (angle + model.MARGIN * F.one_hot(target, 7)).cos() * model.SCALE
    loss = F.cross_entropy(harder, target)
    assert loss > F.cross_entropy(output.logits, target)
    loss.backward()
    assert model.trunk.conv1.weight.grad.abs().sum() > 0


def test_affinity_is_the_mean_of_the_batch_and_later_the_running_one():
    torch.manual_seed(0)
    layer = SharedAffinity(512).train()
    x = torch.randn(3, 512, 7, 7)
    y = layer(x)
    assert y.shape == (3, 121)
    # Batch normalised over batch and side, so x's mean over channels, and that over the batch, can be taken back out.
    own = y - layer.alpha * (y.mean(dim=0) / (1 + layer.alpha))
    assert torch.allclose(own.mean(dim=0), y.mean(dim=0) / 2, atol=1e-5)
    assert torch.allclose(layer.running_affinity, 0.1 * (y.mean(dim=0) / 2).detach().view(11, 11), atol=1e-6)
    layer.eval()
    kept = layer.running_affinity.clone()
    assert torch.allclose(layer(x)[:1], layer(x[:1]), atol=1e-6)
    assert torch.equal(layer.running_affinity, kept)


def test_borders_weigh_less():
    """What the first pixels of the map give reaches one position of the convolution, the middle sixteen of them."""
    layer = SharedAffinity(512).eval()
    torch.nn.init.ones_(layer.convolution.weight)
    reached = []
    for place in (0, 3):
        x = torch.zeros(1, 512, 7, 7)
        x[..., place, place] = 1
        reached.append(int(((layer(x) - layer(torch.zeros_like(x))).abs() > 1e-6).sum()))
    assert reached[0] < reached[1] / 3


@pytest.mark.parametrize("size", [64, 112, 200])
def test_the_integrated_map_has_one_side(size):
    model = create_frame_model("resnet18-fi-sa", 7, image_size=size).eval()
    with torch.no_grad():
        assert model.forward_features(torch.rand(1, 3, size, size)).shape == (1, 512, 7, 7)
