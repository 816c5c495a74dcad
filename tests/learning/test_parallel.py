"""Folds side by side: who gets which fold, and what is said of one that fails. Real processes are in test_train.py."""

import signal
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import pytest

from stgt.config import ModelConfig, TrainConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.learning import parallel
from stgt.learning.fitting import FoldTask
from stgt.learning.parallel import Reporter, Worker, describe_end, fit_side_by_side, fit_task, require_one_device
from stgt.learning.progress import Progress


def task(folder: Path, fold: int, prepared=None) -> FoldTask:
    clips = tuple(Clip(f"{subject}{fold}", Path("x"), subject, "fear") for subject in "abc")
    return FoldTask(
        config=TrainConfig(dataset="x"),
        model=ModelConfig(),
        fold=Fold(fold, clips[1:], clips[:1]),
        labels=("fear",),
        prepared={} if prepared is None else prepared,
        folder=folder / f"fold_{fold}",
        tensorboard=folder,
    )


class Heard(Progress):
    """What was said of a run."""

    def __init__(self) -> None:
        self.epochs: list[tuple[str, int]] = []
        self.folds: list[int] = []

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        self.epochs.append((model, fold))

    def finished(self, model: str, fold: int) -> None:
        self.folds.append(fold)


class ActedWorker(Worker):
    """A worker in a thread, which needs no import of torch; ``script`` says what becomes of a fold."""

    script: dict[int, str]
    started: list["ActedWorker"]

    def __init__(self, threads: int) -> None:
        self.started.append(self)
        self.alive = True
        self.connection, self.theirs = Pipe()
        self.process = type("Ended", (), {"exitcode": -signal.SIGKILL, "join": lambda self: None})()
        threading.Thread(target=self.act, daemon=True).start()

    def act(self) -> None:
        reporter = Reporter(self.theirs)
        while True:
            try:
                given = self.theirs.recv()
            except EOFError:
                return
            reporter.epoch("stgt", given.fold.index, {"epoch": 0})
            fate = self.script.get(given.fold.index, "done")
            if fate == "dies":
                self.theirs.close()
                return
            if fate == "hangs":
                time.sleep(60)
            if fate == "done":
                reporter.finished("stgt", given.fold.index)
            self.theirs.send((fate,) if fate == "done" else ("failed", fate))

    def end(self) -> None:
        self.connection.close()

    def kill(self) -> None:
        self.alive = False


@pytest.fixture
def acted(monkeypatch):
    """Replaces processes by actors; returns their class."""
    ActedWorker.script, ActedWorker.started = {}, []
    monkeypatch.setattr(parallel, "Worker", ActedWorker)
    return ActedWorker


def test_every_fold_is_fitted_once_by_as_many_as_were_asked_for(acted, tmp_path):
    heard = Heard()
    fit_side_by_side([task(tmp_path, fold) for fold in range(7)], 3, heard)
    assert len(acted.started) == 3
    assert sorted(heard.folds) == list(range(7))
    assert sorted(heard.epochs) == [("stgt", fold) for fold in range(7)]
    assert not any(worker.alive for worker in acted.started)


def test_there_are_no_more_processes_than_folds(acted, tmp_path):
    fit_side_by_side([task(tmp_path, fold) for fold in range(2)], 8, Heard())
    assert len(acted.started) == 2


def test_a_fold_that_fails_is_told_in_one_sentence_and_stops_no_other(acted, tmp_path):
    acted.script = {1: "no readable clip", 4: "dies"}
    heard = Heard()
    with pytest.raises(StgtError) as caught:
        fit_side_by_side([task(tmp_path, fold) for fold in range(7)], 2, heard)
    assert sorted(heard.folds) == [0, 2, 3, 5, 6]
    assert len(acted.started) == 3, "one in the place of the one that died"
    assert str(caught.value) == (
        "fold 1 of stgt failed: no readable clip; fold 4 of stgt failed: its process ended unexpectedly (SIGKILL; the "
        "memory may not be enough for so many --jobs); the other folds are kept, and the same command goes on with "
        "what is missing"
    )


def test_the_last_process_may_die(acted, tmp_path):
    acted.script = {1: "dies"}
    with pytest.raises(StgtError, match="fold 1 of stgt failed: its process ended"):
        fit_side_by_side([task(tmp_path, fold) for fold in range(2)], 2, Heard())


def test_an_interruption_ends_all_at_once(acted, tmp_path):
    acted.script = {0: "hangs", 1: "hangs"}

    class Interrupting(Heard):
        def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit_side_by_side([task(tmp_path, fold) for fold in range(3)], 2, Interrupting())
    assert time.monotonic() - start < 5
    assert not any(worker.alive for worker in acted.started)


def test_bad_input_is_a_sentence_and_a_defect_leaves_its_traceback(tmp_path):
    reporter = Reporter(Pipe()[1])
    assert fit_task(task(tmp_path, 0), reporter) == (
        "failed",
        "fold 0 has no readable clip to train on; see the files named above",
    )

    class Broken(dict):
        def __contains__(self, clip_id: object) -> bool:
            raise ZeroDivisionError("a defect")

    broken = task(tmp_path, 1, Broken())
    state, sentence = fit_task(broken, reporter)
    traceback = broken.folder / "failure.txt"
    assert (state, sentence) == ("failed", f"ZeroDivisionError: a defect (the traceback is in {traceback})")
    assert "__contains__" in traceback.read_text()


def test_the_end_of_a_process_in_words():
    assert describe_end(3) == "exit code 3"
    assert describe_end(-signal.SIGSEGV) == "SIGSEGV"


@pytest.mark.parametrize("setting", [{"nodes": 2}, {"devices": "4"}])
def test_folds_side_by_side_are_on_one_device_each(setting, monkeypatch):
    with pytest.raises(StgtError, match="--jobs 2 fits folds side by side on one device each"):
        require_one_device(TrainConfig(dataset="x", jobs=2, **setting))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(StgtError, match="spread over several"):
        require_one_device(TrainConfig(dataset="x", jobs=2))
    monkeypatch.delenv("WORLD_SIZE")
    assert require_one_device(TrainConfig(dataset="x", jobs=2)).devices == "1"
