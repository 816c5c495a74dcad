"""What holds for every frame encoder of the registry, and for one of timm's."""

import pytest
import torch
from safetensors.torch import save_file

from stgt.errors import StgtError
from stgt.models.frames import FrameModel, create_frame_model, list_frame_models, register_frame_model
from stgt.models.frames.registry import _MODELS

NAMES = [*list_frame_models(), "mobilenetv3_small_050"]
CLASSES = 5


def faces(count=4, size=64, seed=0):
    """Coarse random pictures with some noise, so that textures and edges are there at all sizes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    noisy = smooth + 0.1 * torch.rand(count, 3, size, size, generator=generator)
    return (noisy.clamp(0, 1) * 255).to(torch.uint8)


@pytest.fixture(scope="module", params=NAMES)
def trained(request):
    """An encoder after one pass over a batch of three in training, whose statistics it keeps."""
    torch.manual_seed(0)
    model = create_frame_model(request.param, CLASSES, image_size=64, dropout=0.0).train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    output = model.forward_all(faces(3))
    generator = torch.Generator().manual_seed(1)
    # Random weights: a plain sum is constant after a softmax or batch normalisation.
    parts = [part for part in (output.logits, output.features, *output.extras.values()) if part.requires_grad]
    sum((part * torch.randn(part.shape, generator=generator)).sum() for part in parts).backward()
    return model, output


@pytest.fixture
def model(trained):
    return trained[0].eval()


@pytest.fixture(scope="module")
def alone(trained):
    """One face, and what the encoder says of it in evaluation: forward_all, forward_features and forward."""
    image = faces(1, seed=2)
    model = trained[0].eval()
    with torch.no_grad():
        return image, model.forward_all(image), model.forward_features(image), model(image)


def test_every_method_is_there():
    papers = "dan ran vtff fer-vt acnn-lbp afnet dlp-cnn vgg13-ferplus enet-b2-multitask resnet18-fi-sa dacl ad-corre"
    assert list_frame_models() == sorted([*papers.split(), "psr", "lresnet50e-ir"])


def test_output_in_training(trained):
    model, output = trained
    assert output.logits.shape == (3, CLASSES)
    assert output.features.shape == (3, model.num_features)
    assert all(len(extra) == 3 for extra in output.extras.values())
    assert all(torch.isfinite(part).all() for part in (output.logits, output.features, *output.extras.values()))


def test_gradient_reaches_every_parameter(trained):
    for name, parameter in trained[0].named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_an_image_gives_the_same_alone_and_in_a_batch(model, alone):
    """Whatever its neighbours are; and theirs are finite: another face, which is grey, a black and a white image."""
    image, output, _, _ = alone
    grey = faces(1, seed=3)[:, :1].expand(-1, 3, -1, -1)
    together = model.forward_all(torch.cat((grey, torch.zeros_like(grey), image, torch.full_like(grey, 255))))
    torch.testing.assert_close(together.logits[2:3], output.logits, atol=3e-3, rtol=3e-3)
    for name, extra in together.extras.items():
        torch.testing.assert_close(extra[2:3], output.extras[name], atol=3e-3, rtol=3e-3)
    assert together.logits.shape == (4, CLASSES)
    assert torch.isfinite(together.logits).all()
    assert not torch.allclose(together.logits[2], together.logits[0])


@torch.no_grad()
def test_the_three_ways_through_agree(model, alone):
    _, output, maps, logits = alone
    assert torch.equal(logits, output.logits)
    assert torch.equal(model.forward_head(maps), output.logits)
    assert torch.equal(model.forward_head(maps, pre_logits=True), output.features)


@torch.no_grad()
def test_bytes_and_shares_are_the_same_image(model, alone):
    image, output, _, _ = alone
    torch.testing.assert_close(model(image / 255), output.logits, atol=3e-3, rtol=3e-3)


@torch.no_grad()
def test_images_of_another_side_are_resized(model):
    """The same face at twice the side is the same face."""
    images = faces(1, seed=5)
    larger = torch.nn.functional.interpolate(images / 255, scale_factor=2, mode="nearest")
    torch.testing.assert_close(model.resize(larger), images / 255, atol=0.1, rtol=0)
    assert model(faces(1, size=112)).shape == (1, CLASSES)


def test_save_and_load(model, alone, tmp_path, monkeypatch):
    path = tmp_path / "encoder.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    # What is overwritten need not be drawn at random before.
    for drawn in ("kaiming_uniform_", "kaiming_normal_", "trunc_normal_", "normal_", "uniform_", "xavier_normal_"):
        monkeypatch.setattr(torch.nn.init, drawn, lambda tensor, *args, **settings: tensor)
    again = create_frame_model(model.name, CLASSES, image_size=64, weights=path).eval()
    assert str(path) in again.origin
    image, output, _, _ = alone
    with torch.no_grad():
        assert torch.equal(again(image), output.logits)


@torch.no_grad()
def test_reset_classifier(model, alone):
    _, output, maps, _ = alone
    head = model.head
    try:
        model.reset_classifier(3)
        assert model.num_classes == 3
        assert model.forward_head(maps).shape == (1, 3)
        assert torch.equal(model.forward_head(maps, pre_logits=True), output.features)
        with pytest.raises(StgtError, match="at least 2 classes"):
            model.reset_classifier(1)
    finally:
        model.num_classes, model.head = CLASSES, head


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_made_for_112_and_224_pixels(name):
    """Layers fit each other at both sides, on torch's device without memory; the tests above run one with numbers."""
    with torch.device("meta"):
        for size in (112, 224):
            model = create_frame_model(name, 7, image_size=size).eval()
            output = model.forward_all(torch.zeros(2, 3, size, size, dtype=torch.uint8))
            assert output.logits.shape == (2, 7)
            assert output.features.shape == (2, model.num_features)


@pytest.mark.parametrize("name", list_frame_models())
def test_parameters_are_as_many_as_published(name):
    """To 2 %, at the paper's number of classes and side; every encoder says which paper it is."""
    kind = _MODELS[name]
    assert kind.paper
    if kind.published_parameters is None:
        return
    with torch.device("meta"):
        model = create_frame_model(name, kind.published_classes, image_size=kind.published_image_size)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == pytest.approx(kind.published_parameters, rel=0.02)


def test_the_table_of_published_parameters():
    """Millions at the paper's number of classes; the others' papers and codes say none."""
    published = {
        name: (round(kind.published_parameters / 1e6, 2), kind.published_classes)
        for name, kind in _MODELS.items()
        if kind.published_parameters is not None
    }
    assert published == {
        "ad-corre": (26.07, 7),
        "dacl": (103.04, 7),
        "dan": (19.72, 8),
        "dlp-cnn": (74.94, 7),
        "enet-b2-multitask": (7.71, 8),
        "lresnet50e-ir": (43.58, 7),
        "ran": (11.19, 8),
        "resnet18-fi-sa": (11.2, 7),
        "vgg13-ferplus": (8.76, 8),
        "vtff": (51.8, 7),
    }


@torch.no_grad()
@pytest.mark.parametrize(("name", "side"), [("resnet18.a1_in1k", 64), ("test_vit", 96)])
def test_any_model_of_timm(name, side):
    """A name with the tag of its weights; a transformer, which has to be made for the side."""
    model = create_frame_model(name, 3, image_size=side).eval()
    assert model.image_size == side
    assert model(faces(1, size=64)).shape == (1, 3)


@torch.no_grad()
def test_a_model_of_timm_that_cannot_be_made_for_a_side_reads_its_own():
    with torch.device("meta"):
        model = create_frame_model("efficientformer_l1", 3, image_size=112).eval()
        assert model.image_size == 224
        assert model(torch.zeros(1, 3, 112, 112, dtype=torch.uint8)).shape == (1, 3)


@pytest.mark.parametrize("name", ["dann", "resnet81", "VTFF", "no such thing at all"])
def test_an_unknown_name_shows_the_nearest(name):
    near = {"dann": "dan", "resnet81": "resnet18", "VTFF": "vtff"}.get(name, "acnn-lbp")
    with pytest.raises(StgtError, match=f"unknown frame encoder '{name}'.*{near}"):
        create_frame_model(name, 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, "at least 2 classes, not 1"),
        ({"image_size": 32}, "image_size is 32.*64 to 260"),
        ({"image_size": 512}, "image_size is 512.*64 to 260"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"weights": "nowhere.safetensors"}, "nowhere.safetensors are not a file.*'timm'"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(StgtError, match=message):
        create_frame_model("afnet", **{"num_classes": 7, **settings})


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 64, 64), r"\(2, 1, 64, 64\).*\(N, 3, S, S\).*three equal channels"),
        (torch.zeros(2, 64, 64, 3), r"\(2, 64, 64, 3\).*channels before"),
        (torch.zeros(3, 64, 64), r"\(3, 64, 64\)"),
        (torch.zeros(2, 3, 64, 64, dtype=torch.int64), "int64.*uint8, or floats"),
    ],
    ids=["grey", "channels last", "one", "int64"],
)
def test_images_that_cannot_be(images, message):
    model = create_frame_model("afnet", 7, image_size=64)
    with pytest.raises(StgtError, match=message):
        model(images)


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="registered already"):
        register_frame_model("dan")(FrameModel)
