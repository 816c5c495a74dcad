import pytest
import torch

from stgt.models.frames import create_frame_model
from stgt.models.frames.ran import CROPS, RegionAttention, crop_regions


def test_crops_are_where_the_paper_has_them():
    """A picture whose red is the column and green the row, so that each crop says where it was cut."""
    size = 80
    ramp = torch.arange(size, dtype=torch.float32) + 0.5
    image = torch.stack((ramp.expand(size, size), ramp[:, None].expand(size, size), torch.zeros(size, size)))[None]
    regions = crop_regions(image)
    assert len(regions) == len(CROPS) == 5
    spans = [(0, 60, 0, 60), (20, 80, 0, 60), (10, 70, 20, 80), (4, 76, 4, 76), (6, 74, 6, 74)]
    for region, (left, right, top, bottom) in zip(regions, spans, strict=True):
        assert region.shape == image.shape
        half = (right - left) / size / 2  # the first sample lies this far inside
        red, green = region[0, 0], region[0, 1]
        assert red[0, 0].item() == pytest.approx(left + half, abs=0.5)
        assert red[0, -1].item() == pytest.approx(right - half, abs=0.5)
        assert green[0, 0].item() == pytest.approx(top + half, abs=0.5)
        assert green[-1, 0].item() == pytest.approx(bottom - half, abs=0.5)


@torch.no_grad()
def test_region_attention_by_hand():
    attention = RegionAttention(1)
    attention.self_attention.weight.fill_(1.0)
    attention.self_attention.bias.zero_()
    attention.relation.weight.copy_(torch.tensor([[0.5, -1.0]]))
    attention.relation.bias.zero_()
    regions = torch.tensor([[[0.0], [2.0]]])
    a = torch.sigmoid(torch.tensor([0.0, 2.0]))
    mean = (a * torch.tensor([0.0, 2.0])).sum() / a.sum()
    b = torch.sigmoid(torch.tensor([-mean, 1 - mean]))
    weights = a * b
    expected = torch.stack(((weights * torch.tensor([0.0, 2.0])).sum() / weights.sum(), mean))
    pooled, alone, related = attention(regions)
    torch.testing.assert_close(pooled[0], expected)
    torch.testing.assert_close(alone[0], a)
    torch.testing.assert_close(related[0], b)


@torch.no_grad()
def test_attention_weights_of_a_face():
    torch.manual_seed(0)
    model = create_frame_model("ran", 7, image_size=64).eval()
    images = torch.rand(2, 3, 64, 64)
    maps = model.forward_features(images)
    extras = model.forward_all(images).extras
    for name in ("attention", "relation"):
        assert extras[name].shape == (2, 6)
        assert ((extras[name] > 0) & (extras[name] < 1)).all()
    torch.testing.assert_close(maps[:, 0], model.trunk(model.normalise(images)), atol=1e-4, rtol=1e-4)
    # The order of the crops is no matter to the result, which counts them by their weights alone.
    shuffled = maps[:, [0, 3, 1, 5, 4, 2]]
    torch.testing.assert_close(model.forward_head(shuffled), model.forward_head(maps), atol=1e-4, rtol=1e-4)
