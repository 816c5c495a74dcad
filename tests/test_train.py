"""Training by a protocol, from the command line, on rendered pixels."""

import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.evaluate import main as evaluate
from stgt.faces.drawing import VideoWriter
from stgt.faces.video import open_source
from stgt.train import limit_subjects, parse
from stgt.train import main as train

SUBJECTS = ("P1", "P2", "P3", "P4")
#: Settings that make a run small.
SMALL = shlex.split(
    "--model.width 16 --layout landmarks68 --batch_size 2 --window.frames 8 --optimisation.learning_rate 0.005"
)

#: Everything about rare classes and sampling that is not the default.
RECIPE = (
    "--optimisation.sampling balanced --optimisation.loss logit_adjusted "
    "--window.training uniform --window.testing uniform --window.views 2 --window.short loop"
)


@pytest.fixture(scope="session")
def own_clips(tmp_path_factory, rendered_face_clip) -> Path:
    """A folder of one's own: two classes, four subjects, who differ in brightness and in size."""
    root = tmp_path_factory.mktemp("own_clips")
    with open_source(rendered_face_clip) as source:
        frames = [rgb for _, rgb in source]
    for index, subject in enumerate(SUBJECTS):
        look = [np.clip(frame.astype(np.float32) * (0.7 + 0.12 * index), 0, 255).astype(np.uint8) for frame in frames]
        # The clip starts neutral and ends with a smile.
        for label, shown in (("neutral", look[:4] * 4), ("happiness", look[-16:])):
            with VideoWriter(root / label / f"{subject}_a.mp4", 16, (look[0].shape[1], look[0].shape[0])) as writer:
                for rgb in shown:
                    writer.write(rgb)
    return root


@pytest.fixture(scope="session")
def clip_cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("clip_cache")


@pytest.fixture
def options(own_clips, clip_cache, tmp_path) -> list[str]:
    """What every training of this file is told."""
    places = ["--root", str(own_clips), "--cache", str(clip_cache), "--output", str(tmp_path / "runs"), "--name", "run"]
    return ["--dataset", "folder", "--subject_pattern", r"(P\d)_", *places, *SMALL]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many as the processes of a test have: sums come out the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_whole_protocol_leaves_its_run_folder(options, tmp_path, capsys):
    train([*options, "--epochs", "2", "--compare", "stgcn"])
    run = tmp_path / "runs" / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["models"]) == {"stgt", "stgcn"}
    assert metrics["models"]["stgt"]["honest"]["pooled"]["clips"] == 8
    curves = [json.loads((run / "stgt" / f"fold_{fold}" / "fold.json").read_text())["curves"] for fold in range(4)]
    best = np.mean([max(row["test_war"] for row in fold) for fold in curves])
    assert metrics["models"]["stgt"]["best_on_test"]["pooled"]["war"] == pytest.approx(best)
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["subject"] for row in rows) == sorted(SUBJECTS * 2)
    assert all(abs(float(row["p_neutral"]) + float(row["p_happiness"]) - 1) < 1e-4 for row in rows)
    # The temperature is that of the checkpoint, and the metrics tell what it gives.
    for fold, temperature in enumerate(metrics["models"]["stgt"]["temperatures"]):
        meta = json.loads((run / "stgt" / f"fold_{fold}" / "model.json").read_text())
        assert meta["temperature"] == temperature != 1.0
    assert 0 <= metrics["models"]["stgt"]["honest"]["calibration"]["ece"] <= 1
    # Every subject is tested in exactly one fold, by a model that was trained without that subject.
    for row in rows:
        meta = json.loads((run / "stgt" / f"fold_{row['fold']}" / "model.json").read_text())
        assert row["subject"] not in meta["extra"]["training_subjects"]
    page = (run / "report.html").read_text()
    printed = capsys.readouterr().out
    for text in (page, printed):
        assert "8 clips" in text
        assert "best-on-test" in text
        assert "ECE" in text
    assert 'src="http' not in page


@pytest.mark.usefixtures("figures_are_blank", "one_thread")
def test_a_killed_training_ends_as_an_undisturbed_one(options, tmp_path):
    # Centres that the loss learns, and such that it moves, go on as well.
    loss = ["--optimisation.loss", "cross_entropy+affinity:0.1+centre:0.01"]
    arguments = [*options, *loss, "--epochs", "6", "--fold", "0", "--output"]
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    state = disturbed / "run" / "stgt" / "fold_0" / "resume.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-m", "stgt.train", *arguments, str(disturbed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not state.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.wait()
    train([*arguments, str(disturbed)])
    train([*arguments, str(undisturbed)])
    results = [folder / "run" / "stgt" / "fold_0" for folder in (undisturbed, disturbed)]
    for name in ("predictions.csv", "predictions_best_on_test.csv", "model.safetensors", "model.json"):
        first, second = ((folder / name).read_bytes() for folder in results)
        assert first == second, f"{name} differs"
    first, second = (json.loads((folder / "fold.json").read_text())["curves"] for folder in results)
    assert first == second
    assert not state.exists()


@pytest.mark.usefixtures("figures_are_blank")
def test_an_interruption_is_one_and_the_next_one_is_heard(options, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stgt.learning.progress.ProgressBar.epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train([*options, "--epochs", "3", "--fold", "0"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("figures_are_blank", "one_thread")
def test_folds_side_by_side_that_are_interrupted_end_as_one_after_the_other(options, tmp_path):
    options = [*options, "--epochs", "2", *shlex.split(RECIPE)]
    command = [sys.executable, "-m", "stgt.train", *options, "--output", str(tmp_path / "beside"), "--jobs", "2"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal gives it
    )
    run = tmp_path / "beside" / "run" / "stgt"
    while not list(run.glob("fold_*/fold.json")) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; what was finished is kept" in said
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and alive_in_group(process.pid):
        time.sleep(0.05)
    assert not alive_in_group(process.pid), "a fold goes on without anybody who waits for it"
    finished = sorted(run.glob("fold_*/fold.json"))
    assert 1 <= len(finished) <= 4
    times = {path: path.stat().st_mtime_ns for path in finished}

    train([*options, "--output", str(tmp_path / "beside")])
    train([*options, "--output", str(tmp_path / "alone")])
    assert times == {path: path.stat().st_mtime_ns for path in finished}, "what was finished was fitted again"
    for fold in range(4):
        folders = [tmp_path / name / "run" / "stgt" / f"fold_{fold}" for name in ("beside", "alone")]
        for name in ("predictions.csv", "predictions_best_on_test.csv", "model.safetensors", "model.json"):
            first, second = ((folder / name).read_bytes() for folder in folders)
            assert first == second, f"{name} of fold {fold} differs"
    page = (tmp_path / "beside" / "run" / "report.html").read_text()
    assert "logit-adjusted loss" in page
    assert "every class drawn as often as any other" in page
    assert "2 views averaged" in page
    meta = json.loads((run / "fold_0" / "model.json").read_text())
    window = {key: meta["window"][key] for key in ("training", "testing", "views", "short")}
    assert window == {"training": "uniform", "testing": "uniform", "views": 2, "short": "loop"}


def alive_in_group(group: int) -> bool:
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("figures_are_blank")
def test_a_training_starts_from_the_weights_of_another(options, tmp_path, capsys):
    train([*options, "--epochs", "1", "--fold", "0", "--validation", "0"])
    start = tmp_path / "runs" / "run" / "stgt" / "fold_0" / "model.safetensors"
    meta = json.loads(start.with_suffix(".json").read_text())
    assert meta["temperature"] == 1.0, "without held-out subjects there is nothing to fit it on"
    tune = [*options, "--name", "tuned", "--epochs", "1", "--fold", "0", "--init", str(start)]
    with pytest.raises(StgtError, match=r"trained on 3 of the subjects of folder .* leak"):
        train(tune)
    with pytest.raises(StgtError, match=r"model\.width is 8, but the model of --init .* has 16"):
        train([*tune, "--model.width", "8"])

    start.with_suffix(".json").write_text(json.dumps({**meta, "dataset": "elsewhere"}))
    capsys.readouterr()
    # Steps too small to move a weight: what comes out is what was put in.
    still = ["--optimisation.learning_rate", "1e-20", "--optimisation.weight_decay", "0"]
    train([*tune, *still, "--train_subjects", "2", "--compare", "stgcn"])
    page = (tmp_path / "runs" / "tuned" / "report.html").read_text()
    for text in (capsys.readouterr().out, page):
        assert f"initialised from {start}" in text
        assert "trained on 2 subjects per fold, drawn by seed 0" in text
    tuned, other = (tmp_path / "runs" / "tuned" / name / "fold_0" / "model.json" for name in ("stgt", "stgcn"))
    extra = json.loads(tuned.read_text())["extra"]
    assert extra["initialised_from"]["weights_sha256"] == meta["weights_sha256"]
    assert len(extra["training_subjects"]) == 2
    assert "initialised_from" not in json.loads(other.read_text())["extra"]
    before, after = (load_file(path.with_suffix(".safetensors")) for path in (start, tuned))
    assert torch.equal(before["head.weight"], after["head.weight"])


def test_fewer_training_subjects_are_nested_and_leave_the_test_alone():
    clips = tuple(Clip(f"{subject}{take}", Path("x"), f"S{subject}", "a") for subject in range(9) for take in range(2))
    folds = [Fold(0, clips[4:], clips[:4]), Fold(2, clips[:-4], clips[-4:])]
    kept = [limit_subjects(folds, count, seed=3) for count in (1, 2, 5)]
    for fold, (one, two, five) in zip(folds, zip(*kept, strict=True), strict=True):
        subjects = [{clip.subject for clip in limited.train} for limited in (one, two, five)]
        assert [len(found) for found in subjects] == [1, 2, 5]
        assert subjects[0] < subjects[1] < subjects[2]
        assert all(limited.test == fold.test and limited.index == fold.index for limited in (one, two, five))
        assert len(two.train) == 4
    assert limit_subjects(folds, None, seed=3) == folds
    draws = {clip.subject for seed in range(8) for clip in limit_subjects(folds, 1, seed)[0].train}
    assert len(draws) > 1
    for count in (0, 8):
        with pytest.raises(StgtError, match=rf"train_subjects is {count}, but fold 0 has 7"):
            limit_subjects(folds, count, seed=3)


@pytest.mark.usefixtures("figures_are_blank")
def test_other_settings_do_not_go_into_the_same_run_folder(options):
    train([*options, "--epochs", "1", "--fold", "0"])
    with pytest.raises(StgtError, match=r"model\.width: 16, now 8.*choose another --name"):
        train([*options, "--epochs", "1", "--fold", "0", "--model.width", "8"])


@pytest.mark.usefixtures("figures_are_blank")
def test_a_trained_model_is_scored_on_unseen_subjects_only(options, own_clips, clip_cache, tmp_path, capsys):
    train([*options, "--epochs", "1", "--fold", "1"])
    checkpoint = str(tmp_path / "runs" / "run" / "stgt" / "fold_1" / "model.safetensors")
    places = ["--root", str(own_clips), "--cache", str(clip_cache), "--output", str(tmp_path / "evaluation")]
    evaluate(["--checkpoint", checkpoint, "--dataset", "folder", "--subject_pattern", r"(P\d)_", *places])
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert metrics["models"]["stgt"]["honest"]["pooled"]["subjects"] == 1
    assert "only the 1 subjects that the model was not trained on" in capsys.readouterr().out
    first, again = (
        [float(row["p_neutral"]) for row in csv.DictReader((tmp_path / folder / "predictions.csv").open())]
        for folder in ("evaluation", "runs/run")
    )
    assert first == pytest.approx(again, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dataset", "ck+", "--modle.width", "3"], "did you mean --model.width"),
        (["--dataset", "ck+", "--epoch", "3"], "did you mean --epochs|did you mean --optimisation.epochs"),
        (["--dataset", "ckplus"], "ck\\+"),
        (["--dataset", "ck+", "--streams", "patches"], "must contain geometry"),
        (["--dataset", "ck+", "--streams", "geometry,sound"], "unknown stream 'sound'"),
        (["--dataset", "ck+", "--model.width", "wide"], "model.width"),
        ([], "dataset"),
    ],
)
def test_bad_options_are_one_sentence(arguments, sentence):
    with pytest.raises(StgtError, match=sentence):
        parse(arguments)


def test_a_misspelled_recipe_key_is_named(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("dataset: ck+\nwindow: {framez: 24}\n")
    with pytest.raises(StgtError, match="'window.framez'; did you mean --window.frames"):
        parse(["--config", str(recipe)])


def test_the_command_line_beats_the_recipe_and_the_recipe_the_card(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("dataset: ck+\nseed: 5\nwindow: {hop_s: 0.25}\n")
    card = parse(["--dataset", "ck+"])
    config = parse(["--config", str(recipe), "--seed", "7"])
    assert card.window.frame_rate == 25.0
    assert config.window.frame_rate == 25.0
    assert config.window.hop_s == 0.25
    assert config.seed == 7


def test_a_dataset_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(StgtError) as caught:
        train(["--dataset", "ck+", "--root", str(tmp_path / "nowhere")])
    assert "cohn-kanade-images" in str(caught.value)
