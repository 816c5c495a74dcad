"""What encoders with heads of their own say, held against their papers."""

import pytest
import torch
from torch.nn import functional as F

from stgt.models.frames import create_frame_model
from stgt.models.frames.enet_b2_multitask import ACTION_UNITS
from stgt.models.frames.registry import _MODELS

PUBLISHED_MILLIONS = {
    "ad-corre": 26.07,
    "dacl": 103.04,
    "dlp-cnn": 74.94,
    "enet-b2-multitask": 7.71,
    "lresnet50e-ir": 43.58,
    "psr": None,
    "resnet18-fi-sa": 11.2,
    "vgg13-ferplus": 8.76,
}


def make(name, **settings):
    torch.manual_seed(0)
    return create_frame_model(name, 7, image_size=64, **settings)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_dacl_weighs_dimensions_and_classifies_without_the_weights(images):
    model = make("dacl").eval()
    output = model.forward_all(images)
    attention = output.extras["attention"]
    assert attention.shape == output.features.shape == (2, 512)
    assert attention.min() > 0
    assert attention.max() < 1
    assert torch.allclose(output.features, model.forward_features(images).mean(dim=(2, 3)))
    torch.nn.init.zeros_(model.attention[-1].weight)
    torch.nn.init.zeros_(model.attention[-1].bias)
    changed = model.forward_all(images)
    assert torch.allclose(changed.extras["attention"], torch.tensor(0.5))
    assert torch.equal(changed.logits, output.logits)


def test_ad_corre_embeddings_have_length_one_and_are_the_feature(images):
    output = make("ad-corre").train().forward_all(images)
    embeddings = output.extras["embeddings"]
    assert embeddings.shape == (2, 10, 256)
    assert torch.allclose(embeddings.norm(dim=2), torch.ones(2, 10), atol=1e-5)
    assert torch.equal(embeddings.flatten(1), output.features)


@torch.no_grad()
def test_multitask_heads(images):
    output = make("enet-b2-multitask").eval().forward_all(images)
    assert output.features.shape == (2, 1408)
    assert output.extras["valence_arousal"].shape == (2, 2)
    assert output.extras["valence_arousal"].abs().max() < 1
    assert output.extras["action_units"].shape == (2, len(ACTION_UNITS)) == (2, 12)


@torch.no_grad()
def test_lresnet_keeps_a_map_of_seven_for_faces_of_112():
    model = create_frame_model("lresnet50e-ir", 7, image_size=112).eval()
    assert model.forward_features(torch.rand(1, 3, 112, 112)).shape == (1, 512, 7, 7)


@pytest.mark.parametrize(
    ("name", "side", "larger"),
    [("dlp-cnn", 100, 224), ("vgg13-ferplus", 64, 112), ("lresnet50e-ir", 112, 260), ("dacl", 224, 260)],
)
def test_networks_do_not_grow_with_images_larger_than_the_papers(name, side, larger):
    with torch.device("meta"):
        small, large = (create_frame_model(name, 7, image_size=size).state_dict() for size in (side, larger))
    assert all(small[key].shape == large[key].shape for key in small)


@pytest.mark.parametrize(
    ("name", "default"),
    [("vgg13-ferplus", 0.5), ("ad-corre", 0.5), ("lresnet50e-ir", 0.4), ("psr", 0.5), ("dacl", 0.0)],
)
def test_dropout_is_the_papers_unless_it_is_set(name, default):
    for setting, expected in ((None, default), (0.1, 0.1)):
        with torch.device("meta"):
            model = create_frame_model(name, 7, image_size=64, dropout=setting)
        probabilities = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
        assert max(probabilities) == expected


def test_published_sizes():
    """In millions, as papers, their code or descriptions of the network have them; a figure that changes is noticed."""
    published = {name: _MODELS[name].published_parameters for name in PUBLISHED_MILLIONS}
    assert {name: count and round(count / 1e6, 2) for name, count in published.items()} == PUBLISHED_MILLIONS


def test_features_of_dlp_cnn_are_what_its_loss_is_of(images):
    """The mean distance to the neighbours in the class has a gradient for every layer but the classifier."""
    model = make("dlp-cnn").train()
    features = model.forward_all(images).features
    assert features.shape == (2, 2000)
    F.mse_loss(features[0], features[1]).backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == ["head.weight", "head.bias"]
