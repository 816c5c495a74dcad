"""Weights of frame encoders: of a trunk, from a file or timm's hub."""

import socket
import time

import pytest
import timm
import torch
from safetensors.torch import save_file

from stgt.errors import StgtError
from stgt.models.frames import create_frame_model


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """timm's ResNet-18 with a classifier of its own, in a file."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    model = timm.create_model("resnet18", num_classes=10)
    save_file(model.state_dict(), path)
    return path, model


@pytest.mark.parametrize("name", ["dan", "vtff", "resnet18"])
def test_a_trunk_from_a_file(name, resnet):
    path, expected = resnet
    model = create_frame_model(name, 7, image_size=64, weights=path)
    assert model.origin == f"the trunk in the file {path}, all else from scratch"
    for trunk in model.trunks():
        assert torch.equal(trunk.conv1.weight, expected.conv1.weight)
        assert torch.equal(trunk.layer4[1].bn2.weight, expected.layer4[1].bn2.weight)


@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_a_trunk_from_an_encoder_that_is_nothing_else(prefix, tmp_path):
    path = tmp_path / "pictures.safetensors"
    trained = create_frame_model("resnet18", 8, image_size=64)
    state = {f"{prefix}{name}": value for name, value in trained.state_dict().items()}
    save_file({**state, "pool.relation.bias": torch.zeros(1)} if prefix else state, path)
    model = create_frame_model("vtff", 7, image_size=64, weights=path)
    assert model.origin == f"the trunk of the encoder in the file {path}, all else from scratch"
    for trunk in model.trunks():
        assert torch.equal(trunk.layer4[1].bn2.weight, trained.trunk.layer4[1].bn2.weight)
        assert torch.equal(trunk.conv1.weight, trained.trunk.conv1.weight)


def test_from_scratch_is_said():
    assert create_frame_model("afnet", 7).origin == "from scratch"


def test_a_trunk_of_another_architecture(resnet):
    with pytest.raises(StgtError, match=r"do not belong to resnet34, the trunk of fer-vt: .* is missing"):
        create_frame_model("fer-vt", 7, weights=resnet[0])


def test_a_whole_encoder_that_does_not_fit(tmp_path):
    path = tmp_path / "afnet.safetensors"
    state = create_frame_model("afnet", 7).state_dict()
    save_file(state, path)
    with pytest.raises(
        StgtError, match=r"head.weight has the shape \(7, 896\) instead of \(8, 896\); .*reset_classifier"
    ):
        create_frame_model("afnet", 8, weights=path)
    save_file({**state, "trunk.conv1.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(StgtError, match="trunk.conv1.weight has the shape .* another architecture or image_size"):
        create_frame_model("afnet", 7, weights=path)
    del state["trunk.conv1.weight"]
    save_file(state, path)
    with pytest.raises(StgtError, match="do not belong to the frame encoder afnet: trunk.conv1.weight is missing"):
        create_frame_model("afnet", 7, weights=path)


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no tensors here")
    with pytest.raises(StgtError, match="broken.safetensors are not a readable safetensors file"):
        create_frame_model("dan", 7, weights=path)


def test_timm_has_no_weights_for_own_layers():
    with pytest.raises(StgtError, match="no weights for the frame encoder acnn-lbp.*from scratch"):
        create_frame_model("acnn-lbp", 7, weights="timm")


def test_without_internet_one_sentence_and_soon(monkeypatch, tmp_path):
    from huggingface_hub import constants

    def unreachable(*args, **settings):
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("stgt.models.frames.weights.getproxies", dict)
    begin = time.perf_counter()
    with pytest.raises(StgtError, match="resnet18 could not be downloaded.*internet connection.*from scratch"):
        create_frame_model("dan", 7, image_size=64, weights="timm")
    assert time.perf_counter() - begin < 10
    assert not constants.HF_HUB_OFFLINE


def test_weights_of_the_hub_reach_every_trunk(monkeypatch, resnet):
    """The hub as timm gives it, without the internet."""
    _, pretrained = resnet
    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, **kwargs: pretrained if kwargs.get("pretrained") else create(name, **kwargs)
    )
    monkeypatch.setattr("stgt.models.frames.weights._reachable", lambda address: True)
    model = create_frame_model("vtff", 7, image_size=64, weights="timm")
    assert model.origin.startswith("the trunk from timm's resnet18.")
    assert all(torch.equal(trunk.conv1.weight, pretrained.conv1.weight) for trunk in model.trunks())
