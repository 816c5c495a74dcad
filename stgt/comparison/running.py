"""Fitting all folds of all methods; a method that fails does not stop the others."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from stgt.benchmarks.models import threads
from stgt.comparison.entrants import Entrant, MethodTask
from stgt.comparison.probes import epoch_seconds
from stgt.errors import StgtError
from stgt.files import write_text
from stgt.learning.parallel import TRACEBACK, FoldsFailedError, fit_side_by_side, fit_task
from stgt.learning.progress import Progress


def enter_all(entrants: Sequence[Entrant], jobs: int) -> dict[str, float]:
    """Make the runs of all entrants, and try one step of each: what fails here fails at once, not after hours.

    Args:
        entrants: all of them.
        jobs: folds that will be fitted side by side, and share the threads.

    Returns:
        Name of an entrant -> estimated seconds of an epoch of a fold; only of those that have folds to fit.
    """
    seconds: dict[str, float] = {}
    for entrant in sorted(entrants, key=lambda entrant: entrant.teacher is not None):  # teachers first
        with failing(entrant):
            entrant.enter()
            if entrant.missing:
                with threads(max(1, torch.get_num_threads() // jobs)):
                    seconds[entrant.name] = epoch_seconds(entrant)
    return seconds


@contextmanager
def failing(entrant: Entrant) -> Iterator[None]:
    """Whatever goes wrong inside the block is this entrant's failure, and stops no other."""
    try:
        yield
    except StgtError as error:
        entrant.failure = str(error)
    except Exception as error:
        path = (entrant.folder or Path(entrant.config.output)) / TRACEBACK
        write_text(path, traceback.format_exc())
        entrant.failure = f"{type(error).__name__}: {error} (the traceback is in {path})"


def fit_all(entrants: Sequence[Entrant], jobs: int, seconds: Mapping[str, float]) -> None:
    """Fit what is missing; whoever fails has its ``failure`` set then.

    Args:
        entrants: those that did not fail yet are fitted, in order.
        jobs: folds side by side.
        seconds: as ``enter_all`` gave them.
    """
    fit_ready([entrant for entrant in entrants if entrant.teacher is None], jobs, seconds)
    taught = [entrant for entrant in entrants if entrant.teacher is not None and not entrant.failure]
    for entrant in taught:
        with failing(entrant):
            entrant.enter()
    fit_ready(taught, jobs, seconds)


def fit_ready(entrants: Sequence[Entrant], jobs: int, seconds: Mapping[str, float]) -> None:
    """Fit what is missing of entrants that wait for nobody."""
    owners = [(entrant, task) for entrant in entrants if not entrant.failure for task in entrant.missing]
    if not owners:
        return
    with ComparisonBar([task for _, task in owners], seconds) as bar:
        if jobs > 1 and len(owners) > 1:
            # The longest first, so that at the end no fold is left over that keeps one core busy and the others idle.
            owners.sort(key=lambda pair: -task_seconds(pair[1], seconds))
            reasons = fit_beside([task for _, task in owners], jobs, bar)
        else:
            reasons = {}
            for number, (entrant, task) in enumerate(owners):
                if not entrant.failure:
                    outcome, *reason = fit_task(task, bar)
                    if outcome == "failed":
                        reasons[number] = entrant.failure = reason[0]  # its other folds are not asked for any more
    for number, reason in reasons.items():
        entrant, task = owners[number]
        entrant.failure = f"fold {task.fold.index}: {reason}"


def fit_beside(tasks: Sequence[MethodTask], jobs: int, bar: Progress) -> dict[int, str]:
    """Fit folds side by side; number of a failed task -> why."""
    try:
        fit_side_by_side(tasks, jobs, bar)
    except FoldsFailedError as failed:
        return failed.reasons
    return {}


def task_seconds(task: MethodTask, seconds: Mapping[str, float]) -> float:
    """Estimated seconds of a whole fold."""
    return task.config.optimisation.epochs * seconds[task.method]


def estimated_seconds(entrants: Sequence[Entrant], jobs: int, seconds: Mapping[str, float]) -> float:
    """Until all that is missing is fitted, about: the longest fold, or an even share of all."""
    each = [task_seconds(task, seconds) for entrant in entrants if not entrant.failure for task in entrant.missing]
    return max([sum(each) / jobs, *each]) if each else 0.0


class ComparisonBar(Progress):
    """One bar over all folds of all methods, in which an epoch counts for as long as it was estimated to take.

    Args:
        tasks: the folds that are to be fitted.
        seconds: method -> estimated seconds of an epoch.
    """

    def __init__(self, tasks: Sequence[MethodTask], seconds: Mapping[str, float]) -> None:
        from tqdm import tqdm

        self.seconds = seconds
        self.epochs = {task.method: task.config.optimisation.epochs for task in tasks}
        total = sum(task_seconds(task, seconds) for task in tasks)
        self.mean = total / sum(task.config.optimisation.epochs for task in tasks)
        self.folds, self.done = len(tasks), 0
        layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self.bar = tqdm(total=total, desc="comparing", bar_format=layout, dynamic_ncols=True, smoothing=0)
        self.running: dict[tuple[str, int], int] = {}

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """See ``Progress``."""
        epoch = int(row["epoch"]) + 1
        self.running[model, fold] = epoch
        self.bar.set_description_str(f"{self.done} of {self.folds} folds; {self.describe()}", refresh=False)
        if epoch >= self.epochs[model]:
            self.running.pop((model, fold))
            self.done += 1
        self.bar.update(self.seconds[model])

    def found(self, epochs: int) -> None:
        """See ``Progress``: an interrupted fold goes on."""
        self.bar.initial += epochs * self.mean
        self.bar.n += epochs * self.mean
        self.bar.refresh()

    def describe(self) -> str:
        """The folds that are being fitted, with their epochs."""
        return ", ".join(
            f"{name} fold {fold} {epoch}/{self.epochs[name]}" for (name, fold), epoch in self.running.items()
        )

    def __enter__(self) -> "ComparisonBar":
        """Start."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the bar as it stands."""
        self.bar.close()
