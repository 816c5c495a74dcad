"""``torchrun``: a training by two processes comes to what one comes to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stgt import train
from stgt.evaluation.predictions import PredictionTable
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face

#: Everything random within a model off: it falls differently in two processes.
SETTINGS = {
    "dataset": "folder",
    "subject_pattern": r"/(s\d)_",
    "accelerator": "cpu",
    "protocol": "4-fold",
    "fold": "0",
    "epochs": "2",
    "batch_size": "6",
    "layout": "landmarks68",
    "model.width": "8",
    "model.dropout": "0",
    "model.modality_dropout": "0",
    "model.identity_dropout": "0",
}


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> Path:
    """Six subjects whose corners of the mouth go up, down or nowhere, as files of tracks."""
    root, generator = tmp_path_factory.mktemp("tracks"), np.random.default_rng(0)
    for subject in range(6):
        for label, way in (("happiness", -1), ("sadness", 1), ("neutral", 0)):
            points = load_reference_face().points * 60 + (150, 150, 0) + generator.normal(0, 0.3, (20, 478, 3))
            points[:, (61, 291), 1] += way * np.linspace(0, 8, 20)[:, None]
            track = LandmarkTrack(
                points=points.astype(np.float32),
                times=np.arange(20) / 10,
                valid=np.ones(20, bool),
                blendshapes=generator.random((20, 52), np.float32) / 10,
                transforms=np.zeros((20, 4, 4), np.float32),
                image_size=(300, 300),
                source="drawn",
            )
            (root / label).mkdir(exist_ok=True)
            track.save(root / label / f"s{subject}_0.safetensors")
    return root


def arguments(tracks: Path, folder: Path, processes: int) -> list[str]:
    places = {"root": tracks, "cache": folder / "cache", "output": folder, "name": "run", "devices": processes}
    return [part for name, value in (SETTINGS | places).items() for part in (f"--{name}", str(value))]


@pytest.mark.usefixtures("figures_are_blank")
def test_two_processes_come_to_what_one_comes_to(tracks, tmp_path):
    """Both from an empty cache: the two processes prepare the same clips at once, too."""
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "stgt.train"]
    started = subprocess.Popen(
        [*two, *arguments(tracks, tmp_path / "two", 2)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    train.main(arguments(tracks, tmp_path / "one", 1))
    said = started.communicate(timeout=200)[0]
    assert started.returncode == 0, said
    assert said.count("report: ") == said.count("honest ") == 1, "only one of them speaks"
    folds = [tmp_path / name / "run" / "stgt" / "fold_0" for name in ("one", "two")]

    of_one, of_two = (json.loads((fold / "fold.json").read_text()) for fold in folds)
    assert of_one["honest_epoch"] == of_two["honest_epoch"]
    for expected, row in zip(of_one["curves"], of_two["curves"], strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], abs=1e-5)
        assert row["validation_loss"] == pytest.approx(expected["validation_loss"], abs=1e-3)
    expected, found = (PredictionTable.from_csv(fold / "predictions.csv") for fold in folds)
    assert found.clip_ids == expected.clip_ids
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=2e-3)
