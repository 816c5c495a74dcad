"""Fine-tuning starts from the right weights, and from none that have seen the subjects."""

import json

import pytest
import torch

from stgt.config import ModelConfig, TrainConfig, WindowConfig
from stgt.errors import StgtError
from stgt.learning.transfer import (
    initial_settings,
    origin,
    refuse_leak,
    require_same_settings,
    transfer_weights,
)
from stgt.models.checkpoint import load_checkpoint, save_checkpoint, seen_subjects
from stgt.models.registry import create_model

LABELS = ("neutral", "happiness", "fear")
CONFIG, WINDOW = ModelConfig(width=16, heads=2, blocks=2, dropout=0.3), WindowConfig(frames=8)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    extra = {"training_subjects": ["S1", "S2"]}
    model = create_model(CONFIG, len(LABELS), WINDOW)
    save_checkpoint(path, model, labels=LABELS, model_config=CONFIG, window=WINDOW, dataset="made", extra=extra)
    return path


def test_features_are_copied_and_rows_of_the_classifier_by_name(saved):
    source = load_checkpoint(saved)
    torch.manual_seed(1)
    labels = ("fear", "contempt", "neutral", "boredom")
    model = create_model(CONFIG, len(labels), WINDOW)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    transfer_weights(model, labels, source)
    for name, value in model.state_dict().items():
        known = source.model.state_dict()[name]
        if not name.startswith("head."):
            assert torch.equal(value, known), name
            continue
        assert torch.equal(value[0], known[2])
        assert torch.equal(value[2], known[0])
        assert torch.equal(value[1], fresh[name][1])
        assert torch.equal(value[3], fresh[name][3])
    assert not torch.equal(fresh["head.weight"][0], model.head.weight[0])


def test_settings_come_from_the_checkpoint_and_may_not_contradict_it(saved):
    settings = initial_settings(str(saved))
    assert settings["model.width"] == 16
    assert settings["window.frames"] == 8
    assert settings["optimisation.learning_rate"] < TrainConfig("ck+").optimisation.learning_rate

    def check(model=CONFIG, window=WINDOW):
        require_same_settings(TrainConfig("ck+", init=str(saved), model=model, window=window))

    check()
    check(ModelConfig(width=16, heads=2, blocks=2, dropout=0.5), WindowConfig(frames=8, hop_s=1.0))
    check(CONFIG, WindowConfig(frames=8, training="uniform", testing="centre", views=2, short="loop"))
    with pytest.raises(StgtError, match=r"model\.width is 64, but the model of --init .* has 16"):
        check(ModelConfig(heads=2, blocks=2))
    with pytest.raises(StgtError, match=r"window\.frames is 16, but .* has 8"):
        check(window=WindowConfig())


def test_weights_that_know_the_subjects_are_refused_through_any_number_of_steps(saved, tmp_path):
    refuse_leak(str(saved), "made", {"S3"})
    refuse_leak(str(saved), "other", {"S1"})
    with pytest.raises(StgtError, match=r"trained on 1 of the subjects of made .*S2 for one.*leak"):
        refuse_leak(str(saved), "made", {"S2", "S3"})
    first = load_checkpoint(saved)
    second = tmp_path / "second.safetensors"
    extra = {"training_subjects": ["T1"], "initialised_from": origin(first.meta, "start")}
    save_checkpoint(
        second, first.model, labels=LABELS, model_config=CONFIG, window=WINDOW, dataset="other", extra=extra
    )
    meta = json.loads(second.with_suffix(".json").read_text())
    assert seen_subjects(meta, "made") == {"S1", "S2"}
    assert seen_subjects(meta, "other") == {"T1"}
    with pytest.raises(StgtError, match="leak"):
        refuse_leak(str(second), "made", {"S1"})
