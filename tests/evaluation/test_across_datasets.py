"""Two datasets whose classes are called differently, in rendered pixels: across, as one, and in a matrix."""

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.evaluate import main as evaluate
from stgt.faces.drawing import VideoWriter
from stgt.faces.video import open_source
from stgt.matrix import main as matrix
from stgt.models.checkpoint import seen_subjects
from stgt.train import main as train

CARD = """
title = "The {name} set"
licence = "free"
how_to_get = "Ask."
tree = "{name}/P1_joy.mp4"
default_protocol = "halves"

[[layouts]]
clips = "*.mp4"
match = '^(?P<subject>P\\d)_(?P<label>[a-z]+)\\.mp4$'

[protocols.halves]
rule = "rank_mod"
folds = 2
summary = "subject-independent (rank of subject mod 2)"
"""
#: Dataset -> its labels for a face at rest and for a smile, and one that the other has not.
LABELS = {"left": ("neutral", "happiness", None), "right": ("expressionless", "joy", "wink")}
#: What is drawn is looked at in test_cross.py and test_report.py.
pytestmark = pytest.mark.usefixtures("figures_are_blank")
SMALL = shlex.split(
    "--model.width 16 --model.blocks 2 --batch_size 2 --window.frames 8 --epochs 1 --optimisation.learning_rate 0.005"
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory, rendered_face_clip) -> Path:
    """A folder with two cards and their clips: three people each, who differ in brightness."""
    root = tmp_path_factory.mktemp("sets")
    with open_source(rendered_face_clip) as source:
        frames = [rgb[::2, ::2] for _, rgb in source]
    for place, (name, (rest, smile, odd)) in enumerate(LABELS.items()):
        (root / f"{name}.toml").write_text(CARD.format(name=name))
        for subject in range(3):
            gain = 0.7 + 0.1 * (3 * place + subject)
            look = [np.clip(frame.astype(np.float32) * gain, 0, 255).astype(np.uint8) for frame in frames]
            shown = {rest: look[:4] * 2, smile: look[-8:], **({odd: look[-12:-4]} if odd and subject == 0 else {})}
            for label, clip in shown.items():
                size = (look[0].shape[1], look[0].shape[0])
                with VideoWriter(root / name / f"P{subject}_{label}.mp4", 16, size) as writer:
                    for rgb in clip:
                        writer.write(rgb)
    return root


@pytest.fixture(scope="module")
def places(sets) -> list[str]:
    return ["--cache", str(sets / "cache"), "--workers", "1"]


@pytest.fixture(scope="module")
def roots(sets) -> str:
    return f"left={sets / 'left'},right={sets / 'right'}"


@pytest.fixture(scope="module")
def checkpoint(sets, places, blank_figures) -> Path:
    """A model of the left set, without its first subject and its third."""
    left = ["--dataset", str(sets / "left.toml"), "--root", str(sets / "left")]
    with blank_figures():
        train([*left, *places, *SMALL, "--output", str(sets / "runs"), "--name", "left", "--fold", "0"])
    return sets / "runs" / "left" / "stgt" / "fold_0" / "model.safetensors"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_model_is_asked_about_classes_of_other_names(checkpoint, sets, places, tmp_path, capsys):
    right = ["--dataset", str(sets / "right.toml"), "--root", str(sets / "right"), "--checkpoint", str(checkpoint)]
    evaluate([*right, *places, "--output", str(tmp_path)])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    rows = table(tmp_path / "predictions.csv")
    assert sorted(row["label"] for row in rows) == ["happiness"] * 3 + ["neutral"] * 3
    assert metrics["labels"]["matched"] == {"expressionless": "neutral", "joy": "happiness"}
    assert metrics["labels"]["unmatched_dataset"] == {"wink": 1}
    said = "wink: 1 clip that the model cannot name is left out"
    page = (tmp_path / "report.html").read_text()
    for text in (capsys.readouterr().out, metrics["protocol"], page):
        assert said in text
        assert "joy counts as happiness" in text
    assert "Labels of the dataset and of the model" in page


def test_what_a_model_cannot_name_can_be_a_mistake(checkpoint, sets, places, tmp_path):
    right = ["--dataset", str(sets / "right.toml"), "--root", str(sets / "right"), "--checkpoint", str(checkpoint)]
    evaluate([*right, *places, "--output", str(tmp_path), "--unmatched", "mistake"])
    rows = table(tmp_path / "predictions.csv")
    (wink,) = [row for row in rows if row["label"] == "wink"]
    assert float(wink["p_wink"]) == 0
    assert wink["predicted"] != "wink"
    assert len(rows) == 7
    evaluate([*right, *places, "--output", str(tmp_path), "--label_map", "wink=happiness"])
    assert [row["label"] for row in table(tmp_path / "predictions.csv")].count("happiness") == 4


def test_a_class_that_is_not_in_the_data_may_be_left_unasked(sets, checkpoint, places, tmp_path):
    """The pretrained model knows eight classes, and the left set has two."""
    left = ["--dataset", str(sets / "left.toml"), "--root", str(sets / "left")]
    probabilities = {}
    for answers in ("all", "shared"):
        evaluate([*left, *places, "--output", str(tmp_path / answers), "--answers", answers])
        probabilities[answers] = table(tmp_path / answers / "predictions.csv")
    for kept, asked in zip(probabilities["all"], probabilities["shared"], strict=True):
        assert "p_surprise" in kept
        assert "p_surprise" not in asked
        shares = [float(kept[f"p_{label}"]) for label in ("neutral", "happiness")]
        assert float(asked["p_happiness"]) == pytest.approx(shares[1] / sum(shares), abs=1e-6)


def test_a_model_without_a_common_class_is_refused(sets, checkpoint, places, tmp_path):
    (tmp_path / "odd.toml").write_text(CARD.format(name="odd"))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "P1_wave.mp4").write_bytes(b"x")
    odd = ["--dataset", str(tmp_path / "odd.toml"), "--root", str(tmp_path / "odd"), "--checkpoint", str(checkpoint)]
    with pytest.raises(StgtError, match="no class in common: the model knows .*, and odd has wave"):
        evaluate([*odd, *places, "--output", str(tmp_path / "out")])


def test_two_datasets_are_trained_on_as_one(sets, roots, places, tmp_path, capsys):
    both = ["--dataset", f"{sets / 'left.toml'},{sets / 'right.toml'}", "--roots", roots]
    drawn = ["--dataset_weights", "left=1,right=2", "--validation", "0"]
    train([*both, *places, *SMALL, *drawn, "--output", str(tmp_path), "--name", "both"])
    run = tmp_path / "both"
    metrics = json.loads((run / "metrics.json").read_text())
    rows = table(run / "predictions.csv")
    assert len(rows) == 6 + 7
    assert all(row["clip_id"].startswith(f"{row['dataset']}/") for row in rows)
    assert all(row["subject"].startswith(f"{row['dataset']}:") for row in rows)
    parts = metrics["models"]["stgt"]["honest"]["datasets"]
    for name, number in (("left", 6), ("right", 7)):
        own = [row for row in rows if row["dataset"] == name]
        assert parts[name]["clips"] == len(own) == number
        assert parts[name]["war"] == pytest.approx(np.mean([row["label"] == row["predicted"] for row in own]))
    for row in rows:
        meta = json.loads((run / "stgt" / f"fold_{row['fold']}" / "model.json").read_text())
        assert row["subject"] not in meta["extra"]["training_subjects"]
        assert row["subject"].removeprefix("left:") not in seen_subjects(meta, "left")
        trained = {name.partition(":")[2] for name in meta["extra"]["training_subjects"] if name.startswith("left:")}
        assert seen_subjects(meta, "left") == trained, "evaluation on one of the datasets knows whom it has seen"
    printed, page = capsys.readouterr().out, (run / "report.html").read_text()
    assert "dataset by dataset" in printed
    assert "Dataset by dataset" in page
    assert "wink is only in right" in metrics["protocol"]
    assert "datasets drawn as left=1,right=2" in page
    # Of the left set only those are tested whom the model of the first fold has not seen.
    model = ["--checkpoint", str(run / "stgt" / "fold_0" / "model.safetensors")]
    left = ["--dataset", str(sets / "left.toml"), "--root", str(sets / "left")]
    evaluate([*left, *model, *places, "--output", str(tmp_path / "out")])
    unseen = {row["subject"] for row in table(tmp_path / "out" / "predictions.csv")}
    assert unseen == {row["subject"].removeprefix("left:") for row in rows if row["fold"] == "0"} - {
        row["subject"] for row in rows if row["dataset"] == "right"
    }


def test_each_dataset_is_tested_by_a_model_of_the_other(sets, roots, places, tmp_path):
    both = ["--dataset", f"{sets / 'left.toml'},{sets / 'right.toml'}", "--roots", roots, "--name", "out"]
    left_out = ["--protocol", "leave_one_dataset_out", "--dataset_weights", "left=1,right=2"]
    train([*both, *places, *SMALL, *left_out, "--output", str(tmp_path)])
    rows = table(tmp_path / "out" / "predictions.csv")
    assert [(row["fold"], row["dataset"]) for row in rows] == [("0", "left")] * 6 + [("1", "right")] * 6
    assert {row["label"] for row in rows} == {"neutral", "happiness"}
    for fold, trained in enumerate(("right", "left")):
        meta = json.loads((tmp_path / "out" / "stgt" / f"fold_{fold}" / "model.json").read_text())
        assert {subject.partition(":")[0] for subject in meta["extra"]["training_subjects"]} == {trained}
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "left out, as no other dataset has it: wink (1 clip)" in metrics["protocol"]


def test_a_matrix_of_two_sets_and_a_model(sets, roots, places, tmp_path, capsys, monkeypatch):
    both = ["--dataset", f"{sets / 'left.toml'},{sets / 'right.toml'}", "--roots", roots, "--output", str(tmp_path)]
    command = [*both, *places, "--checkpoints", "shipped=pretrained", *SMALL]
    matrix(command)
    document = json.loads((tmp_path / "matrix.json").read_text())
    cells = {(cell["trained"], cell["tested"]): cell for cell in document["cells"]}
    assert set(cells) == {(row, column) for row in ("left", "right", "shipped") for column in ("left", "right")}
    assert [key for key, cell in cells.items() if cell["within"]] == [("left", "left"), ("right", "right")]
    assert set(cells["left", "right"]["classes"]) == {"neutral", "happiness"}
    assert cells["left", "right"]["models"] == 2
    assert cells["right", "right"]["clips"] == 7
    assert cells["right", "left"]["clips"] == 6
    assert "wink: 1 clip that the model cannot name is left out" in cells["left", "right"]["sentence"]
    # The figure of two models is the mean of theirs.
    said = [table(tmp_path / "cells" / f"left--right-{model}.csv") for model in range(2)]
    mean = np.mean([[row["label"] == row["predicted"] for row in rows] for rows in said])
    assert cells["left", "right"]["war"] == pytest.approx(mean)
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert len(table(tmp_path / "matrix.csv")) == 6
    assert "| left | **" in (tmp_path / "matrix.md").read_text()

    # Again: nothing is trained or read anew.
    import stgt.learning.fitting
    import stgt.learning.results

    before = (tmp_path / "matrix.json").read_text()
    monkeypatch.setattr(stgt.learning.fitting.FoldFit, "fit", None)
    monkeypatch.setattr("stgt.across.cells.read_model", None)
    matrix(command)
    assert (tmp_path / "matrix.json").read_text() == before
    # Another question makes other cells.
    with pytest.raises(TypeError):
        matrix([*command, "--answers", "all"])
    capsys.readouterr()


def test_a_pair_that_cannot_be_scored_stops_nothing(sets, places, checkpoint, tmp_path, capsys):
    """A set that is a copy of the left one under other names cannot test the models that were trained on it."""
    (tmp_path / "copy.toml").write_text(CARD.format(name="copy"))
    (tmp_path / "copy").mkdir()
    for path in (sets / "left").glob("*.mp4"):
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    both = ["--dataset", f"{sets / 'left.toml'},{tmp_path / 'copy.toml'}", "--output", str(tmp_path / "out")]
    where = ["--roots", f"left={sets / 'left'},copy={tmp_path / 'copy'}"]
    matrix([*both, *where, *places, *SMALL, "--checkpoints", f"copy={checkpoint}"])
    document = json.loads((tmp_path / "out" / "matrix.json").read_text())
    cells = {(cell["trained"], cell["tested"]): cell for cell in document["cells"]}
    assert cells["left", "copy"]["uar"] is None
    assert "6 clips of copy are copies of clips of left: the score would be a leak" in cells["left", "copy"]["sentence"]
    assert cells["left", "left"]["uar"] is not None
    assert cells["copy", "left"]["subjects"] == 2, "those that the checkpoint has not seen"
    assert "only the 2 subjects that the model was not trained on" in cells["copy", "left"]["sentence"]
    assert "left -> copy: not scored" in capsys.readouterr().out
    assert document["uar"][0][1] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dataset", "{left},nowhere"], "no dataset 'nowhere'"),
        (["--dataset", "{left}", "--roots", "left={clips}"], "two datasets at least"),
        (["--dataset", "{left},{right}"], "The left set is not there.*--roots left=PATH"),
        (["--dataset", "{left},{left}"], "left is named twice"),
        (["--dataset", "{left},{right}", "--answers", "some"], "--answers is 'some'"),
        (["--dataset", "{left},{right}", "--protocols", "up=x"], "--protocols names up"),
    ],
)
def test_a_matrix_that_cannot_be_is_one_sentence(arguments, sentence, sets):
    given = [part.format(left=sets / "left.toml", right=sets / "right.toml", clips=sets / "left") for part in arguments]
    with pytest.raises(StgtError, match=f"(?s){sentence}"):
        matrix(given)


def test_options_of_trainings_are_checked_before_anything_is_done(sets, roots, places):
    both = ["--dataset", f"{sets / 'left.toml'},{sets / 'right.toml'}", "--roots", roots, *places]
    with pytest.raises(StgtError, match="did you mean --epochs|did you mean --optimisation.epochs"):
        matrix([*both, "--epoch", "3"])
    with pytest.raises(StgtError, match="--fold is not for a matrix"):
        matrix([*both, "--fold", "0"])
