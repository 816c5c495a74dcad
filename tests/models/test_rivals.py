"""The temporal models that STGT is compared with: they learn, and keep to their papers."""

import pytest
import torch
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.models import create_model
from stgt.models.blocks import stride_mask
from stgt.models.landmark_lstm import valid_first
from stgt.models.stgcnpp import MultiBranchTemporalConvolution, STGCNPlusPlusBlock

RIVALS = ("landmark-lstm", "stgcn++", "landmark-transformer")


@pytest.mark.parametrize(("name", "steps"), [("landmark-lstm", 30), ("stgcn++", 15), ("landmark-transformer", 60)])
def test_learns_a_tiny_batch_by_heart(name, steps, config_factory, inputs_factory, window):
    torch.manual_seed(0)
    model = create_model(config_factory(name, dropout=0.0), 4, window).train()
    inputs = inputs_factory(batch=8)
    target = torch.arange(8) % 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs["geometry"], inputs["mask"]), target)
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@pytest.mark.parametrize("name", RIVALS)
def test_the_order_of_frames_counts(name, config_factory, inputs, window):
    torch.manual_seed(0)
    model = create_model(config_factory(name), 5, window).eval()
    geometry, mask = inputs["geometry"], torch.ones_like(inputs["mask"])
    assert not torch.allclose(model(geometry, mask), model(geometry.flip(1), mask), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*_flat_weights")  # torch's LSTM lists its weights twice
@pytest.mark.parametrize("name", ["landmark-lstm", "landmark-transformer"])
def test_exports_as_one_graph(name, config_factory, inputs, window):
    model = create_model(config_factory(name), 5, window).eval()
    arguments = inputs["geometry"], inputs["mask"]
    exported = torch.export.export(model, arguments).module()
    assert torch.allclose(exported(*arguments), model(*arguments), atol=1e-5)


@pytest.mark.parametrize("name", RIVALS)
def test_any_length_of_window(name, config_factory, inputs):
    for frames in (2, 5, 7):
        model = create_model(config_factory(name), 5, WindowConfig(frames=frames)).eval()
        logits, attention = model.forward_with_attention(inputs["geometry"][:, :frames], inputs["mask"][:, :frames])
        assert logits.shape == (3, 5)
        assert attention.frames.shape == (3, frames)


def test_lstm_goes_from_one_valid_frame_to_the_next(config_factory, inputs, window):
    """A gap in the track gives what the window gives without it."""
    torch.manual_seed(0)
    model = create_model(config_factory("landmark-lstm"), 5, window).eval()
    geometry, mask = inputs["geometry"][1:2], inputs["mask"][1:2]
    close = geometry[:, mask[0]]
    assert torch.allclose(model(geometry, mask), model(close, torch.ones(close.shape[:2], dtype=torch.bool)), atol=1e-5)


def test_valid_frames_come_first_in_their_order():
    mask = torch.tensor([[False, True, False, True, True], [True, True, True, True, True]])
    assert valid_first(mask).tolist() == [[1, 3, 4, 0, 2], [0, 1, 2, 3, 4]]


def test_branches_see_as_far_as_their_dilation():
    """From one step, a change reaches 4 steps to either side: that of the widest branch."""
    torch.manual_seed(0)
    layer = MultiBranchTemporalConvolution(12, stride=1, dropout=0.0).eval()
    mask = torch.ones(1, 16, dtype=torch.bool)
    x = torch.rand(1, 12, 16, 2)
    changed = x.clone()
    changed[:, :, 8] += 1
    reached = (layer(x, mask) - layer(changed, mask)).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert reached.nonzero()[:, 0].tolist() == list(range(4, 13))


@pytest.mark.parametrize("stride", [1, 2])
def test_blocks_take_nothing_from_invalid_frames(stride):
    """Also after training, when a frame of zeros does not stay one behind batch normalisation."""
    torch.manual_seed(0)
    block = STGCNPlusPlusBlock(12, 12, torch.rand(3, 4, 4), stride, 0.0, residual=True).eval()
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
    mask = torch.tensor([[True, True, True, False, False, True, False, True, True]])
    x = torch.randn(1, 12, 9, 4)
    changed = torch.where(mask[:, None, :, None], x, torch.randn_like(x))
    steps = stride_mask(mask, stride)[0]
    assert torch.allclose(block(x, mask)[:, :, steps], block(changed, mask)[:, :, steps], atol=1e-6)
    assert torch.allclose(block(x[:, :, :3], mask[:, :3])[:, :, 0], block(x, mask)[:, :, 0], atol=1e-5)


def test_size_is_that_of_the_paper():
    """1.39 million parameters on 25 nodes of 3 channels and 60 classes; ours counted layer by layer at that size."""
    torch.manual_seed(0)
    nodes, channels = 25, (3, *[64] * 4, *[128] * 3, *[256] * 3)
    partition = torch.rand(3, nodes, nodes)
    layers = [
        STGCNPlusPlusBlock(channels[i], channels[i + 1], partition, 2 if i in (4, 7) else 1, 0.0, residual=i > 0)
        for i in range(10)
    ]
    count = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    count += 2 * nodes * 3 + 256 * 60 + 60  # input norm and classifier
    assert count == pytest.approx(1.39e6, rel=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "landmark-lstm", "width": 7, "heads": 4}, r"model.width is 7.*model.heads, 4"),
        ({"name": "landmark-transformer", "width": 30, "heads": 4}, r"model.width is 30.*model.heads, 4"),
        ({"name": "landmark-transformer", "blocks": 1}, r"model.blocks is 1"),
        ({"name": "stgcn++", "width": 5}, r"model.width is 5.*6 temporal branches"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(StgtError, match=message):
        create_model(ModelConfig(**settings), 5)
