"""Methods side by side, from the command line, on rendered pixels."""

import csv
import json
import shlex
import threading
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stgt.compare import main as compare
from stgt.errors import StgtError
from stgt.faces.drawing import VideoWriter
from stgt.faces.video import open_source
from stgt.learning import parallel

CARD = """
title = "Small set"
licence = "free"
how_to_get = "Ask."
tree = "P1_happiness.mp4"
default_protocol = "halves"

[[layouts]]
clips = "*.mp4"
match = '^(?P<subject>P\\d)_(?P<label>[a-z]+)\\.mp4$'

[protocols.halves]
rule = "rank_mod"
folds = 2
summary = "subject-independent (rank of subject mod 2)"
"""
SMALL = shlex.split("--model.width 8 --batch_size 2 --window.frames 8 --epochs 2 --optimisation.learning_rate 0.005")
RECIPES = {
    "lstm": "title: two layers\nmodel: {name: landmark-lstm}\nquick: {optimisation: {epochs: 1}}\n",
    "plain": "model: {name: landmark-transformer}\n",
    "pixels": "model: {name: dan, frame_weights: nowhere.safetensors}\n",
    "taught": "teacher: plain\nlessons: {temperature: 2}\nmodel: {name: landmark-lstm}\n",
    "odd": "model: {name: landmark-lstm}\noptimisation: {precision: odd}\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory, rendered_face_clip) -> Path:
    """A card, clips of four people, who differ in brightness, and recipes."""
    root = tmp_path_factory.mktemp("compare")
    with open_source(rendered_face_clip) as source:
        frames = [rgb[::2, ::2] for _, rgb in source]
    (root / "small.toml").write_text(CARD)
    for subject in range(4):
        gain = 0.7 + 0.1 * subject
        look = [np.clip(frame.astype(np.float32) * gain, 0, 255).astype(np.uint8) for frame in frames]
        for label, shown in (("neutral", look[:4] * 2), ("happiness", look[-8:])):
            with VideoWriter(root / "clips" / f"P{subject}_{label}.mp4", 16, look[0].shape[1::-1]) as writer:
                for rgb in shown:
                    writer.write(rgb)
    for name, text in RECIPES.items():
        (root / f"{name}.yaml").write_text(text)
    return root


@pytest.fixture
def options(home, tmp_path, monkeypatch) -> list[str]:
    """What every comparison of this file is told; costs are measured in few rounds."""
    monkeypatch.setattr("stgt.comparison.probes.ROUNDS", (2, 2))
    places = ["--datasets", f"mine={home / 'small.toml'}", "--roots", f"mine={home / 'clips'}"]
    return [*places, "--cache", str(home / "cache"), "--workers", "1", "--output", str(tmp_path / "out"), *SMALL]


def models(home: Path, *names: str) -> list[str]:
    return ["--models", ",".join(str(home / f"{name}.yaml") for name in names)]


def finished(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("fold.json")}


def test_methods_are_scored_on_the_same_clips_and_one_that_fails_is_named(
    home, options, tmp_path, capsys, blank_figures
):
    assert compare([*models(home, "lstm", "pixels", "plain"), *options]) == 1
    out = tmp_path / "out"
    with (out / "compare.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"lstm", "plain", "pixels"}
    assert "nowhere.safetensors" in rows["pixels"]["failure"]
    document = json.loads((out / "compare.json").read_text())["datasets"]["mine"]
    for name in ("lstm", "plain"):
        scores = document["methods"][name]["scores"]
        assert (scores["pooled"]["clips"], scores["pooled"]["subjects"], len(scores["folds"])) == (8, 4, 2)
        assert document["methods"][name]["cost"]["flops"] > 0
        assert rows[name]["protocol"].startswith("Small set halves, subject-independent")
        assert 0 < float(rows[name]["ms"]) < 1000
        assert rows[name]["recall_happiness"] != ""
    assert (out / "compare.png").stat().st_size > 10_000
    said = capsys.readouterr().out
    assert "| **lstm (two layers)** |" in said or "| lstm (two layers) |" in said
    assert "without a score: pixels on mine: " in said.splitlines()[-1]
    assert "about " in said

    before = finished(out)
    assert len(before) == 4
    (gone,) = [path for path in before if "lstm" in str(path) and "fold_1" in str(path)]
    gone.unlink()
    with blank_figures():
        assert compare([*models(home, "lstm", "pixels", "plain"), *options]) == 1
    after = finished(out)
    assert {path for path in before if before[path] == after[path]} == set(before) - {gone}
    again = json.loads((out / "compare.json").read_text())["datasets"]["mine"]["methods"]
    assert again["lstm"]["scores"] == document["methods"]["lstm"]["scores"]
    assert again["plain"] == document["methods"]["plain"], "costs are measured once"


@pytest.mark.usefixtures("figures_are_blank")
def test_an_interrupted_comparison_has_its_beginning_and_goes_on(home, options, tmp_path, monkeypatch, capsys):
    from stgt.comparison.running import ComparisonBar

    epoch = ComparisonBar.epoch

    def interrupt(bar: ComparisonBar, model: str, fold: int, row: dict) -> None:
        if (model, fold) == ("mine/plain", 0) and row["epoch"] == 1:
            raise KeyboardInterrupt
        epoch(bar, model, fold, row)

    with monkeypatch.context() as patch:
        patch.setattr(ComparisonBar, "epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            compare([*models(home, "lstm", "plain"), *options])
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "Not fitted yet: plain." in text
    assert "lstm (two layers)" in text
    before = finished(tmp_path / "out")
    capsys.readouterr()
    assert compare([*models(home, "lstm", "plain"), *options]) == 0
    said = capsys.readouterr().out
    assert "mine/lstm: finished before" in said
    assert "mine/plain: 2 folds of 2 epochs" in said
    after = finished(tmp_path / "out")
    assert len(after) == 4
    assert all(after[path] == time for path, time in before.items())
    assert "Not fitted yet" not in (tmp_path / "out" / "compare.md").read_text()


@pytest.mark.usefixtures("figures_are_blank")
def test_a_method_is_taught_by_another_of_the_same_folds(home, options, tmp_path):
    arguments = [*options, "--folds", "1", "--epochs", "1"]
    assert compare([*models(home, "taught", "plain", "lstm"), *arguments]) == 0
    methods = json.loads((tmp_path / "out" / "compare.json").read_text())["datasets"]["mine"]["methods"]
    assert methods["taught"]["title"] == "taught by plain"
    checkpoints = {path.parts[-5]: path for path in (tmp_path / "out").rglob("fold_0/model.json")}
    source = json.loads(checkpoints["taught"].read_text())["extra"]["distilled_from"]
    assert source["weights_sha256"] == json.loads(checkpoints["plain"].read_text())["weights_sha256"]
    before = finished(tmp_path / "out")
    assert compare([*models(home, "taught", "plain", "lstm"), *arguments]) == 0
    assert finished(tmp_path / "out") == before
    with pytest.raises(StgtError, match="taught is taught by plain, which must be one of --models"):
        compare([*models(home, "taught", "lstm"), *arguments])


class ThreadWorker(parallel.Worker):
    """Fits what comes through its pipe as a process does, but in a thread, which needs no import of torch.

    Real processes are in test_train.py. They take turns, as threads share the generators of random numbers.
    """

    started = 0
    turns = threading.Lock()

    def __init__(self, threads: int) -> None:
        type(self).started += 1
        self.connection, theirs = Pipe()
        self.process = SimpleNamespace(join=lambda *_: self.thread.join(), kill=lambda: None, exitcode=0)
        self.thread = threading.Thread(target=parallel.fit_tasks, args=(theirs, threads), daemon=True)
        self.thread.start()


@pytest.mark.usefixtures("figures_are_blank")
def test_folds_of_several_methods_side_by_side(home, options, tmp_path, monkeypatch):
    fit_task = parallel.fit_task

    def in_turns(task, reporter):
        with ThreadWorker.turns:
            return fit_task(task, reporter)

    monkeypatch.setattr(ThreadWorker, "started", 0)
    monkeypatch.setattr(parallel, "fit_task", in_turns)
    monkeypatch.setattr(parallel, "Worker", ThreadWorker)
    arguments = [*models(home, "lstm", "odd"), *options, "--folds", "1", "--epochs", "1", "--jobs", "2"]
    assert compare(arguments) == 1
    assert ThreadWorker.started == 2
    document = json.loads((tmp_path / "out" / "compare.json").read_text())["datasets"]["mine"]
    assert list(document["methods"]) == ["lstm"]
    assert document["failures"]["odd"].startswith("fold 0: ")
    assert "odd" in document["failures"]["odd"]
    assert "fold 0 of 2 only (4 test clips)" in document["methods"]["lstm"]["protocol"]


@pytest.mark.usefixtures("figures_are_blank")
def test_the_quick_setting_is_told_and_an_estimate_trains_nothing(home, options, tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(f"models: {home / 'lstm.yaml'},stgt\nquick: true\nestimate: true\n")
    epochs = options.index("--epochs")
    kept = [*options[:epochs], *options[epochs + 2 :]]
    assert compare(["--config", str(tmp_path / "study.yaml"), *kept]) == 0
    said = capsys.readouterr().out
    assert "mine/lstm: 1 fold of 1 epochs" in said
    assert "mine/stgt: 1 fold of 25 epochs" in said
    assert not (tmp_path / "out" / "compare.md").exists()
    assert not finished(tmp_path / "out")
    assert compare([*models(home, "lstm", "plain"), *kept, "--quick", "--validation", "0"]) == 0
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "- **lstm**: optimisation.epochs 1 instead of 40" in text
    assert "- **plain**: optimisation.epochs 12 instead of 40" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "stgt"], "two methods at least"),
        (["--models", "stgt,stgcn", "--datasets", "x=nowhere"], "there is no dataset 'nowhere'"),
        (["--models", "stgt,stgcn", "--datasets", "a=synthetic,a=ck+"], "a is named twice"),
        (["--models", "stgt,stgcn", "--roots", "far=x"], "--roots names far, which is not in --datasets"),
        (["--models", "stgt,stgcn", "--roots", "synthetic=nowhere"], "with --roots synthetic=PATH"),
        (["--models", "stgt,stgcn", "--fold", "1"], "--fold is not for a comparison"),
        (["--models", "stgt,stgcn", "--folds", "0"], "--folds is 0"),
        (["--config", "nowhere.yaml"], "--config nowhere.yaml cannot be read"),
    ],
)
def test_bad_options_are_one_sentence(arguments, sentence):
    with pytest.raises(StgtError, match=sentence):
        compare(arguments)


def test_a_misspelled_option_is_one_of_trainings(home, options):
    with pytest.raises(StgtError, match=r"the method lstm .*'--modle.width'; did you mean --model.width"):
        compare([*models(home, "lstm", "plain"), *options, "--modle.width", "3"])
