"""The table of few subjects: what is run for it, and what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable
from stgt.models.checkpoint import save_checkpoint
from stgt.models.registry import create_model
from stgt.train import parse


@pytest.fixture
def study():
    """The script as a module."""
    path = Path(__file__).parents[2] / "experiments" / "few_subjects.py"
    spec = importlib.util.spec_from_file_location("few_subjects", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkpoint(tmp_path) -> str:
    config, window = ModelConfig(width=16, heads=2, blocks=2), WindowConfig(frames=8)
    path = tmp_path / "start.safetensors"
    save_checkpoint(
        path, create_model(config, 2, window), labels=("a", "b"), model_config=config, window=window, dataset="x"
    )
    return str(path)


def predictions(right: int) -> PredictionTable:
    """So many of eight clips of four subjects are right."""
    sure = np.where(np.arange(8) < right, 0.9, 0.1)
    return PredictionTable(
        labels=("a", "b"),
        clip_ids=tuple("ABCDEFGH"),
        subjects=tuple("11223344"),
        folds=np.zeros(8),
        truth=("a",) * 8,
        probabilities=np.column_stack([sure, 1 - sure]),
    )


def test_both_arms_differ_in_the_start_only_and_the_table_tells_the_gain(study, checkpoint, tmp_path, monkeypatch):
    configs = []

    def train(arguments):
        config = parse(arguments)
        configs.append(config)
        predictions(8 if config.init else 4).to_csv(Path(config.output) / config.name / "predictions.csv")

    monkeypatch.setattr(study, "train", train)
    output = tmp_path / "out"
    study.main(["--init", checkpoint, "--subjects", "1,5", "--output", str(output), "--seed", "4", "--fold", "0"])
    assert [(config.train_subjects, config.init is None) for config in configs] == [
        *((1, True), (1, False)),
        *((5, True), (5, False)),
    ]
    for scratch, tuned in zip(configs[::2], configs[1::2], strict=True):
        assert (scratch.model, scratch.window) == (tuned.model, tuned.window)
        assert scratch.model.width == 16
        assert (
            (scratch.seed, scratch.validation, scratch.fold) == (tuned.seed, tuned.validation, tuned.fold) == (4, 0, 0)
        )
        assert scratch.optimisation.epochs > tuned.optimisation.epochs
    lines = (output / "few_subjects.md").read_text().splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| 1 | 50.0 [")
    assert "| 100.0 [100.0, 100.0] | +50.0 [" in lines[3]


def test_numbers_of_subjects_that_are_none(study):
    with pytest.raises(StgtError, match="--subjects few: give whole numbers"):
        study.main(["--subjects", "few"])
