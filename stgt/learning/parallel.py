"""Folds that are fitted side by side, each in a process of its own; they give what one after the other would.

That is so to the last bit where a fold has as many threads either way, as with OMP_NUM_THREADS=1; another number of
threads adds numbers up in another order.

Processes are started afresh (not forked: torch does not survive that once it has used threads) and fit one fold after
the other. They write what they would write alone, so that whatever stops the run, the same command goes on from there.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from stgt.config import TrainConfig
from stgt.errors import StgtError
from stgt.files import write_text
from stgt.learning.fitting import FoldTask, fit_fold
from stgt.learning.progress import Progress
from stgt.processes import interrupts_ignored

#: Where a fold's traceback goes if it fails by a defect of the program.
TRACEBACK = "failure.txt"
#: Seconds that a process may take to end after its last fold.
ENDING_S = 5.0


class FoldsFailedError(StgtError):
    """Some of the folds failed; all others are finished.

    Args:
        tasks: those that were to be fitted.
        reasons: number of a failed one -> why.
    """

    def __init__(self, tasks: Sequence[FoldTask], reasons: dict[int, str]) -> None:
        super().__init__(failure_sentence(tasks, reasons))
        self.reasons = reasons


def fit_side_by_side(tasks: Sequence[FoldTask], jobs: int, progress: Progress) -> None:
    """Fit folds in up to ``jobs`` processes, which share the threads of this one.

    An interruption ends all of them at once. A fold that fails does not stop the others.

    Args:
        tasks: folds that are not finished.
        jobs: at least 1.
        progress: hears of all folds.

    Raises:
        FoldsFailedError: some fold failed; the sentence says which, and why. All others are finished then.
    """
    waiting = deque(enumerate(tasks))
    count = min(jobs, len(tasks))
    threads = max(1, torch.get_num_threads() // count)
    failures: dict[int, str] = {}
    busy: dict[Connection, tuple[Worker, int]] = {}
    workers: list[Worker] = []

    def give_next(worker: Worker) -> None:
        if waiting:
            number, task = waiting.popleft()
            worker.give(task)
            busy[worker.connection] = worker, number

    try:
        for _ in range(count):
            workers.append(Worker(threads))
        # A large task waits in its pipe until the process has come up; all of them come up at once.
        for worker in workers:
            give_next(worker)
        while busy:
            for connection in wait(list(busy)):
                worker, number = busy[connection]
                message, *content = worker.hear()
                if message in ("epoch", "found", "finished"):
                    getattr(progress, message)(*content)
                    continue
                if message != "done":
                    failures[number] = content[0]
                del busy[connection]
                if message == "dead" and waiting:
                    worker = Worker(threads)
                    workers.append(worker)
                give_next(worker)
        for worker in workers:
            worker.end()
    finally:
        for worker in workers:
            worker.kill()
    if failures:
        raise FoldsFailedError(tasks, failures)


class Worker:
    """A process that fits folds, and this side of the pipe to it.

    Args:
        threads: of each library in it.
    """

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=fit_tasks, args=(theirs, threads))
        with interrupts_ignored():
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def give(self, task: FoldTask) -> None:
        """Have it fit a fold."""
        try:
            self.connection.send(task)
        except BrokenPipeError:
            return  # it has died; the next that is heard of it says so

    def hear(self) -> tuple:
        """Its next message: ``dead`` with a sentence once it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return "dead", f"its process ended unexpectedly ({describe_end(self.process.exitcode)})"

    def end(self) -> None:
        """Let it end by itself."""
        self.connection.close()
        self.process.join(ENDING_S)

    def kill(self) -> None:
        """End it now, wherever it is: its files are whole at any moment."""
        self.process.kill()
        self.process.join()


def fit_tasks(connection: Connection, threads: int) -> None:
    """What a process does: fits the folds that come through the pipe and says how it goes, until the pipe is closed."""
    from threadpoolctl import threadpool_limits

    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    reporter = Reporter(connection)
    try:
        while True:
            connection.send(fit_task(connection.recv(), reporter))
    except (EOFError, BrokenPipeError):
        return


def fit_task(task: FoldTask, reporter: Progress) -> tuple[str, ...]:
    """Fit a fold: ``("done",)``, or ``("failed", sentence)``."""
    try:
        fit_fold(task, reporter)
    except StgtError as error:
        return "failed", str(error)
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:
        path = task.folder / TRACEBACK
        write_text(path, traceback.format_exc())
        return "failed", f"{type(error).__name__}: {error} (the traceback is in {path})"
    (task.folder / TRACEBACK).unlink(missing_ok=True)
    return ("done",)


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that came about."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class Reporter(Progress):
    """Passes progress on through a pipe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """An epoch is done."""
        self.connection.send(("epoch", model, fold, row))

    def found(self, epochs: int) -> None:
        """Epochs were done before an interruption."""
        self.connection.send(("found", epochs))

    def finished(self, model: str, fold: int) -> None:
        """A fold is done."""
        self.connection.send(("finished", model, fold))


def require_one_device(config: TrainConfig) -> TrainConfig:
    """The settings of one of several folds side by side: on one device.

    Raises:
        StgtError: the run is spread over devices or machines already.
    """
    if config.nodes > 1 or config.devices not in ("auto", "1") or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise StgtError(
            f"--jobs {config.jobs} fits folds side by side on one device each, and this run is spread over several; "
            "leave out --jobs, or --devices, --nodes and torchrun"
        )
    return replace(config, devices="1")


def failure_sentence(tasks: Sequence[FoldTask], failures: dict[int, str]) -> str:
    """Which folds failed, and why."""
    reasons = "; ".join(
        f"fold {tasks[number].fold.index} of {tasks[number].model.name} failed: {failures[number]}"
        for number in sorted(failures)
    )
    return f"{reasons}; the other folds are kept, and the same command goes on with what is missing"


def describe_end(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        hint = "; the memory may not be enough for so many --jobs" if -code == signal.SIGKILL else ""
        return f"{signal.Signals(-code).name}{hint}"
    return f"exit code {code}"
