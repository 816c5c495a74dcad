import pytest
import torch

from stgt.models.frames import create_frame_model
from stgt.models.frames.vtff import AttentionalSelectiveFusion


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_frame_model("vtff", 7, image_size=64).eval()


@torch.no_grad()
def test_fusion_takes_its_share_of_each():
    torch.manual_seed(0)
    fusion = AttentionalSelectiveFusion(16).eval()
    texture, colour = torch.randn(2, 16, 5, 5), torch.randn(2, 16, 5, 5)
    weights = fusion.weights(texture, colour)
    assert weights.shape == texture.shape
    assert ((weights > 0) & (weights < 1)).all()
    assert weights.std(dim=1).max() > 0  # by channel, from the global part
    assert weights.std(dim=(2, 3)).max() > 0  # by place, from the local part
    torch.testing.assert_close(fusion(texture, colour), colour + weights * (texture - colour))
    torch.testing.assert_close(fusion(colour, colour), colour)


@torch.no_grad()
def test_texture_does_not_see_light_but_colour_does(model):
    seen = []
    hook = model.texture_trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randint(0, 100, (1, 3, 64, 64), dtype=torch.uint8)
    images = images[:, :1].expand(-1, 3, -1, -1)
    model(images)
    model(images + 100)
    hook.remove()
    assert torch.equal(*seen)
    pixels = model.denormalise(seen[0])
    torch.testing.assert_close(pixels[:, 0], pixels[:, 1])


@torch.no_grad()
def test_places_matter(model):
    """Words have positions: the same words in another order say something else."""
    maps = model.forward_features(torch.rand(1, 3, 64, 64))
    assert maps.shape == (1, 512, 2, 2)
    assert not torch.allclose(model.forward_head(maps.flip(3)), model.forward_head(maps))
