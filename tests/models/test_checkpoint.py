"""A checkpoint comes back as it was, and a bad one says in a sentence what is wrong with it."""

import json
import shutil

import pytest
import torch

from stgt.errors import CheckpointError
from stgt.models import checkpoint, create_model
from stgt.models.checkpoint import (
    load_checkpoint,
    pretrained_path,
    require_labels,
    save_checkpoint,
    set_temperature,
)

LABELS = ("neutral", "happiness", "surprise")


@pytest.fixture
def saved(tmp_path, config_factory, window):
    torch.manual_seed(0)
    config = config_factory(streams="geometry,patches,frames")
    model = create_model(config, len(LABELS), window)
    with torch.no_grad():  # statistics of the backbone's batch normalisation belong to it, too
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.1, 0.1)
    path = tmp_path / "run" / "model.safetensors"
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=window, dataset="made", extra={"fold": 3})
    return path, model.eval()


def edit(path, **changes):
    description = path.with_suffix(".json")
    meta = json.loads(description.read_text())
    meta.update(changes)
    description.write_text(json.dumps({key: value for key, value in meta.items() if value is not None}))


def test_round_trip(saved, inputs, window, config_factory):
    path, model = saved
    loaded = load_checkpoint(path)
    assert torch.equal(loaded.model(**inputs), model(**inputs))
    assert not loaded.model.training
    assert loaded.labels == LABELS
    assert loaded.window == window
    assert loaded.model_config == config_factory(streams="geometry,patches,frames")
    assert loaded.layout.name == "landmarks68"
    assert loaded.meta["dataset"] == "made"
    assert loaded.meta["extra"] == {"fold": 3}
    assert loaded.temperature == 1.0
    assert torch.equal(load_checkpoint(path.with_suffix(".json")).model(**inputs), model(**inputs))
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.json", "model.safetensors"]


def test_a_missing_file_is_named(saved, tmp_path):
    path, _ = saved
    with pytest.raises(CheckpointError, match=r"no checkpoint .*absent.safetensors"):
        load_checkpoint(tmp_path / "absent.safetensors")
    path.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match=r"lacks model.json beside it"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99, "stgt_version": "9.1"}, r"format version 99.*reads 2.*stgt 9\.1"),
        ({"format_version": None}, r"does not describe a checkpoint"),
        ({"labels": None}, r"lacks 'labels'"),
        ({"labels": ["a", "b"]}, r"do not fit"),
        ({"layout": {"name": "landmarks68", "fingerprint": "0"}}, r"trained on other nodes.*landmarks68"),
        ({"window": {"frames": 8, "colour": 1}}, r"setting 'colour'"),
        ({"window": {"frames": 1}}, r"at least 2 frames"),
        ({"temperature": None}, r"lacks 'temperature'"),
        ({"temperature": 0}, r"temperature 0, which is no positive number"),
        ({"temperature": "warm"}, r"temperature 'warm'"),
        ({"model": {"name": "elsewhere"}}, r"unknown model 'elsewhere'"),
        ({"weights_sha256": "0"}, r"truncated or not the file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_description_that_does_not_fit(saved, changes, message):
    path, _ = saved
    edit(path, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_broken_files(saved):
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        load_checkpoint(path)
    path.write_bytes(content)
    path.with_suffix(".json").write_text('{"format_version": 1,')
    with pytest.raises(CheckpointError, match="not readable JSON"):
        load_checkpoint(path)


def test_a_temperature_fitted_later_is_kept_with_the_weights(saved, inputs):
    path, model = saved
    set_temperature(path, 1.75)
    loaded = load_checkpoint(path)
    assert loaded.temperature == 1.75
    assert loaded.meta["extra"] == {"fold": 3}
    assert torch.equal(loaded.model(**inputs), model(**inputs)), "logits stay as they are"


@pytest.fixture
def shipped(saved, tmp_path, monkeypatch):
    """A package of weights of our own, in the place of the one that is installed."""
    path, model = saved
    package = tmp_path / "weights"
    package.mkdir()
    monkeypatch.setattr(checkpoint.resources, "files", lambda name: package if name == "stgt.weights" else None)
    return package, path, model


def test_pretrained_stands_for_the_weights_of_the_package(shipped, inputs):
    package, path, model = shipped
    with pytest.raises(
        CheckpointError, match=r"lacks the weights that should come with it .*faces.safetensors.*install"
    ):
        pretrained_path()
    for suffix in (".safetensors", ".json"):
        shutil.copy(path.with_suffix(suffix), package / f"faces{suffix}")
    assert pretrained_path() == package / "faces.safetensors"
    assert torch.equal(load_checkpoint("pretrained").model(**inputs), model(**inputs))
    content = (package / "faces.safetensors").read_bytes()
    for damaged in (content[:-100], content[:-1] + bytes([content[-1] ^ 1])):
        (package / "faces.safetensors").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"truncated or not the file.*install stgt again"):
            load_checkpoint("pretrained")


def test_labels_that_the_model_cannot_name(saved):
    loaded = load_checkpoint(saved[0])
    require_labels(loaded, ["surprise", "neutral"], "some set")
    with pytest.raises(
        CheckpointError, match=r"made, knows neutral, happiness, surprise, but ck\+ has .*contempt"
    ) as error:
        require_labels(loaded, ["neutral", "contempt"], "ck+")
    assert "\n" not in str(error.value)


def test_an_interrupted_save_leaves_the_old_checkpoint(saved, monkeypatch, config_factory, window, inputs):
    path, model = saved

    def fail(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    config = config_factory()
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(
            path, create_model(config, 3, window), labels=LABELS, model_config=config, window=window, dataset="made"
        )
    assert torch.equal(load_checkpoint(path).model(**inputs), model(**inputs))
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.json", "model.safetensors"]
