"""A short pretraining run: resumable, repeatable, and its weights can be read."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from stgt.config import OptimisationConfig
from stgt.errors import StgtError
from stgt.inference import ExpressionReader
from stgt.pretraining.config import PretrainConfig, StreamConfig
from stgt.pretraining.run import CLIPS, pretrain


@pytest.fixture(scope="module")
def run(tmp_path_factory, blank_figures):
    """The settings of a finished run of two epochs."""
    folder = tmp_path_factory.mktemp("pretraining")
    config = PretrainConfig(
        output=str(folder / "run"),
        validation_subjects=1,
        test_subjects=1,
        streams_per_epoch=24,
        workers=1,
        loader_workers=0,
        weights=str(folder / "weights" / "small.safetensors"),
        streams=StreamConfig(subjects=10),
    )
    config = replace(
        config,
        model=replace(config.model, width=16, blocks=2),
        optimisation=replace(config.optimisation, epochs=2, batch_size=8),
    )
    with pytest.MonkeyPatch.context() as patch:
        # Shorter and smaller clips: what is learned here is nothing, and most of the time would be theirs.
        patch.setattr("stgt.pretraining.run.CLIPS", CLIPS | {"frames": 10, "size": 128})
        with blank_figures():
            pretrain(config, "stgt pretrain")
        yield config


def test_a_run_leaves_weights_scores_and_groups(run, tmp_path):
    folder = tmp_path.parent / run.output
    description = json.loads((folder / "fit" / "model.json").read_text())
    assert description["temperature"] > 0
    assert description["model"]["pooling"] == "peak"
    reader = ExpressionReader(run.weights)
    assert len(reader.labels) == 8
    table = (folder / "groups.md").read_text()
    for word in ("ancestry", "gender", "age", "intensity", "speech", "talking"):
        assert word in table
    assert json.loads((folder / "metrics.json").read_text())["protocol"].startswith("Rendered faces with speech")


@pytest.mark.usefixtures("figures_are_blank")
def test_the_same_settings_give_the_same_weights(run, tmp_path):
    """Made again from the same rendered and tracked clips: they are tested for repeating elsewhere."""
    again = replace(run, output=str(tmp_path / "again"), weights=str(tmp_path / "again.safetensors"))
    for part in ("rendered", "cache"):
        shutil.copytree(f"{run.output}/{part}", f"{again.output}/{part}")
    pretrain(again, "stgt pretrain")
    first, second = load_file(run.weights), load_file(again.weights)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def test_streams_have_targets_of_their_own():
    with pytest.raises(StgtError, match="targets is draw, but generated streams say themselves what they show"):
        PretrainConfig(optimisation=OptimisationConfig(targets="draw"))


def test_other_settings_do_not_go_on_in_the_same_folder(run):
    with pytest.raises(StgtError, match="other settings"):
        pretrain(replace(run, seed=1), "stgt pretrain")
