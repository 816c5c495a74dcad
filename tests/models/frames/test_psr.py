"""PSR: three resolutions of one face, and what they say together."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from stgt.models.frames import create_frame_model
from stgt.models.frames.psr import SpatialTransformer, SuperResolution


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_frame_model("psr", 7, image_size=64).eval()


@torch.no_grad()
def test_probabilities_are_the_mean_of_the_branches(model):
    images = torch.rand(2, 3, 64, 64)
    output = model.forward_all(images)
    branches = output.extras["branch_logits"]
    assert branches.shape == (2, 3, 7)
    assert torch.allclose(output.logits.exp(), branches.softmax(dim=2).mean(dim=1), atol=1e-6)
    assert torch.allclose(output.logits.exp().sum(dim=1), torch.ones(2), atol=1e-5)


@torch.no_grad()
def test_the_pyramid_is_half_side_enlarged_and_whole(model):
    seen = []
    hooks = [
        layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
        for layers in model.low_level
    ]
    model(torch.rand(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    assert seen == [32, 64, 64]


@torch.no_grad()
def test_super_resolution_is_the_baseline_edsr():
    network = SuperResolution()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_369_859
    assert network(torch.rand(1, 3, 16, 16)).shape == (1, 3, 32, 32)


@torch.no_grad()
def test_the_spatial_transformer_begins_almost_at_the_identity_and_can_move():
    torch.manual_seed(0)
    layer = SpatialTransformer()
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    assert (layer(ramp) - ramp).abs().max() < 0.05
    layer.locate[-1].bias.data[2] = 0.5  # a quarter of the image to the right
    moved = layer(ramp)
    assert (moved[..., :40] - ramp[..., 16:56]).abs().max() < 0.05


def test_weights_of_vgg16_reach_all_branches(tmp_path):
    with torch.device("meta"):
        names = timm.create_model("vgg16_bn", num_classes=10).features.state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        f"features.{name}": torch.rand(value.shape, generator=generator)
        if value.is_floating_point()
        else torch.zeros(value.shape, dtype=value.dtype)
        for name, value in names.items()
    }
    path = tmp_path / "vgg16.safetensors"
    save_file(state, path)
    model = create_frame_model("psr", 7, image_size=64, weights=path)
    assert model.origin == f"the trunk in the file {path}, all else from scratch"
    for branch in model.low_level:
        assert torch.equal(branch.features[0].weight, state["features.0.weight"])
    last = max(int(name.split(".")[1]) for name in state)
    assert torch.equal(getattr(model.high_level.features, str(last)).weight, state[f"features.{last}.weight"])
