"""A method on a dataset: its settings, and the folds that are fitted for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stgt.comparison.config import CompareConfig
from stgt.comparison.datasets import Ground
from stgt.comparison.methods import Method
from stgt.config import ModelConfig, TrainConfig, to_dict
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable
from stgt.learning.distillation.config import DistillationConfig
from stgt.learning.distillation.fitting import DistillationFit, DistillationTask
from stgt.learning.distillation.run import check, distillation_folder
from stgt.learning.distillation.teachers import Teachers
from stgt.learning.fitting import FoldFit, FoldTask, read_fold
from stgt.learning.parallel import require_one_device
from stgt.learning.progress import Progress
from stgt.learning.run import run_folder
from stgt.learning.transfer import refuse_leaks
from stgt.train import describe, limit_subjects, read_request

#: Options of trainings that the comparison decides itself, as it does where each run lies.
DECIDED = ("dataset", "root", "roots", "fold", "name", "compare", "protocol", "classes", "config", "model.name")


@dataclass(frozen=True)
class MethodTask(FoldTask):
    """A fold of a method; several methods may be settings of one model."""

    method: str = ""
    """As it is told to who watches: the dataset's name and the method's."""

    def new_fit(self, progress: Progress) -> FoldFit:
        """See ``FoldTask``."""
        return FoldFit(self, NamedProgress(progress, self.method))


@dataclass(frozen=True, kw_only=True)
class TaughtTask(DistillationTask):
    """A fold of a method that another one teaches."""

    method: str
    """As in ``MethodTask``."""

    def new_fit(self, progress: Progress) -> DistillationFit:
        """See ``FoldTask``."""
        return DistillationFit(self, NamedProgress(progress, self.method))


class NamedProgress(Progress):
    """Passes on how a fold goes, under the name of its method."""

    def __init__(self, inner: Progress, name: str) -> None:
        self.inner = inner
        self.name = name

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """See ``Progress``."""
        del model
        self.inner.epoch(self.name, fold, row)

    def found(self, epochs: int) -> None:
        """See ``Progress``."""
        self.inner.found(epochs)


@dataclass
class Entrant:
    """A method on a dataset.

    Attributes:
        method: which.
        ground: where.
        config: the settings of its trainings.
        full: what they would be without the quick setting.
        folds: those that are fitted.
        folder: of its run; None until it is entered.
        failure: why it has no score; empty: it has, or will have one.
        teacher: the entrant that teaches it; None: it learns alone.
        tasks: the folds that are fitted; empty until it is entered.
    """

    method: Method
    ground: Ground
    config: TrainConfig
    full: TrainConfig
    folds: tuple[Fold, ...]
    folder: Path | None = None
    failure: str = ""
    teacher: "Entrant | None" = None
    tasks: tuple[MethodTask | TaughtTask, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The dataset's and the method's."""
        return f"{self.ground.name}/{self.method.name}"

    @property
    def model(self) -> ModelConfig:
        """Its model's settings."""
        return self.config.model

    @property
    def sentence(self) -> str:
        """The protocol: told with every score."""
        ground = self.ground
        sentence = describe(ground.card, ground.listing.clips, list(self.folds), self.config)
        return f"{sentence.rstrip('.')}{ground.extent}."

    @property
    def waiting(self) -> bool:
        """Whether its teacher has folds to learn first."""
        return self.teacher is not None and not self.teacher.finished

    @property
    def quickened(self) -> dict[str, tuple[Any, Any]]:
        """What the quick setting changes: setting -> its value otherwise, and its value."""
        return differences(to_dict(self.full), to_dict(self.config))

    def enter(self) -> None:
        """Make the run's folder, or find it again, and the tasks of its folds.

        A method whose teacher is not finished is entered again when it is; until then its tasks are those that it would
        have without one, so that it can be tried and timed.

        Raises:
            StgtError: it starts from weights that have seen test subjects, or the folds cannot be run so, or its
                teacher failed or does not fit it.
        """
        ground, config = self.ground, self.config
        refuse_leaks(config, {clip.subject for clip in ground.clips})
        each = require_one_device(config) if config.jobs > 1 else config
        shared = {
            "config": each,
            "model": config.model,
            "labels": ground.labels,
            "prepared": ground.prepared,
            "init": config.init,
            "method": self.name,
        }
        if self.teacher is None:
            self.folder = run_folder(config, ground.prepared)
            place = self.folder / config.model.folder_name
        elif self.waiting:
            if self.teacher.failure:
                raise StgtError(f"its teacher {self.teacher.method.name} has no score: {self.teacher.failure}")
            place = Path(config.output) / "waiting"
        else:
            lessons, teachers = self.lessons()
            self.folder = distillation_folder(lessons, config, teachers, ground.prepared)
            place = self.folder / config.model.folder_name
        self.tasks = tuple(
            MethodTask(**shared, **places(place, fold))
            if self.teacher is None or self.waiting
            else TaughtTask(**shared, **places(place, fold), teacher=teachers.of(fold.index), lessons=lessons)
            for fold in self.folds
        )

    def lessons(self) -> tuple[DistillationConfig, Teachers]:
        """What is taught, and by whom.

        Raises:
            StgtError: the teacher reads other windows.
        """
        lessons = DistillationConfig(teacher=str(self.teacher.folder), **self.method.lessons)
        teachers = Teachers.find(lessons.teacher)
        check(teachers, self.config, self.folds, self.ground.labels)
        return lessons, teachers

    @property
    def missing(self) -> list[MethodTask | TaughtTask]:
        """The folds that are not fitted yet."""
        return [task for task in self.tasks if not task.summary.exists()]

    @property
    def finished(self) -> bool:
        """Whether all folds are fitted."""
        return bool(self.tasks) and not self.missing

    def results(self) -> tuple[PredictionTable, float]:
        """What was said of every test clip, at the honest epochs, and the seconds that training took."""
        folds = [read_fold(task) for task in self.tasks]
        return PredictionTable.concat([fold.honest for fold in folds]), sum(fold.seconds for fold in folds)


def places(place: Path, fold: Fold) -> dict[str, Any]:
    """Where a fold's files go."""
    return {"fold": fold, "folder": place / f"fold_{fold.index}", "tensorboard": place.parent / "tensorboard"}


def make_entrants(
    methods: Sequence[Method], ground: Ground, config: CompareConfig, training: Sequence[str]
) -> list[Entrant]:
    """All methods on a dataset; those that are taught know their teacher."""
    entrants = {method.name: make_entrant(method, ground, config, training) for method in methods}
    for entrant in entrants.values():
        entrant.teacher = entrants.get(entrant.method.teacher)
    return list(entrants.values())


def make_entrant(method: Method, ground: Ground, config: CompareConfig, training: Sequence[str]) -> Entrant:
    """A method on a dataset, with the settings of its recipe and, in place of these, the options for all trainings.

    Raises:
        StgtError: a setting that is not there, or cannot be.
    """
    own = ["--dataset", ground.asked, "--output", str(config.folder / "runs" / ground.name / file_name(method.name))]
    own += ["--protocol", ground.protocol] if ground.protocol else []
    own += ["--cache", config.cache] if config.cache else []
    own += ["--jobs", str(config.jobs)]
    try:
        full = read_request([*method.arguments(quick=False), *training, *own]).config
        quick = read_request([*method.arguments(quick=True), *training, *own]).config if config.quick else full
    except StgtError as error:
        where = f"the method {method.name}" + (f" ({method.recipe})" if method.recipe else "")
        raise StgtError(f"{where}: {error}") from error
    # A card of the user's own is given as a path: what is kept of it is its name.
    full, quick = (replace(each, dataset=ground.card.name) for each in (full, quick))
    folds = limit_subjects(list(ground.folds), quick.train_subjects, quick.seed)
    return Entrant(method, ground, quick, full, tuple(folds))


def check_training(training: Sequence[str]) -> None:
    """Raise StgtError if an option for all trainings is the comparison's to decide."""
    for argument in training:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name in DECIDED:
            raise StgtError(f"--{name} is not for a comparison: it runs the same folds of --datasets for all --models")


def differences(before: dict[str, Any], after: dict[str, Any], above: str = "") -> dict[str, tuple[Any, Any]]:
    """The settings that differ: dotted name -> both values."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in before:
        if isinstance(before[key], dict):
            found |= differences(before[key], after[key], f"{above}{key}.")
        elif before[key] != after[key]:
            found[above + key] = before[key], after[key]
    return found


def file_name(name: str) -> str:
    """``name`` as the name of a folder."""
    return "".join(letter if letter.isalnum() or letter in "+-_@." else "_" for letter in name)
