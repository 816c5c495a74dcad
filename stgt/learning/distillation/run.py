"""A whole distillation: teacher, students alone and students taught, on all folds and seeds, in one run folder."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from stgt.config import TrainConfig, to_dict
from stgt.data.preparation.prepared import Prepared
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable
from stgt.files import read_json, write_json, write_text
from stgt.learning.distillation.config import DistillationConfig
from stgt.learning.distillation.fitting import DistillationTask
from stgt.learning.distillation.teachers import Teachers
from stgt.learning.fitting import FoldTask, clip_table
from stgt.learning.parallel import require_one_device
from stgt.learning.progress import Progress
from stgt.learning.results import read_clips
from stgt.learning.run import PLACES, ModelRun, difference, fit_folds
from stgt.models.checkpoint import FORMAT_VERSION, load_checkpoint, read_description

#: The two kinds of students: folders of a seed's folder.
ALONE, TAUGHT = "alone", "distilled"


@dataclass(frozen=True)
class Students:
    """The students of one seed, both on all folds that were run."""

    seed: int
    alone: ModelRun
    taught: ModelRun


@dataclass(frozen=True)
class Distilled:
    """What a distillation left behind."""

    folder: Path
    teacher: PredictionTable
    """What the teacher of each fold says of its test clips, with the student's labels."""
    teachers: Teachers
    students: tuple[Students, ...]
    folds: tuple[Fold, ...]


def run_students(
    lessons: DistillationConfig,
    config: TrainConfig,
    folds: Sequence[Fold],
    labels: tuple[str, ...],
    prepared: Prepared,
    progress: Progress | None = None,
) -> Distilled:
    """Train students alone and taught by the teacher of their fold, and read out the teacher, or go on with it.

    The same settings give the same result, interrupted or not.

    Args:
        lessons: what is taught.
        config: of the students' training; ``seed`` is the first.
        folds: of the teacher's protocol.
        labels: of the students.
        prepared: the clips.
        progress: hears of all epochs.

    Raises:
        StgtError: the teacher has seen a test subject, knows other labels or reads other windows, or the run folder
            holds another run.
    """
    progress = progress or Progress()
    teachers = Teachers.find(lessons.teacher)
    check(teachers, config, folds, labels)
    folder = distillation_folder(lessons, config, teachers, prepared)
    tasks = [
        task
        for seed in range(config.seed, config.seed + lessons.seeds)
        for kind in (ALONE, TAUGHT)
        for task in student_tasks(kind, seed, lessons, config, folds, labels, prepared, folder, teachers)
    ]
    results = iter(fit_folds(tasks, config.jobs, progress))

    def model_run() -> ModelRun:
        return ModelRun(config.model, tuple(next(results) for _ in folds))

    students = tuple(
        Students(seed, model_run(), model_run()) for seed in range(config.seed, config.seed + lessons.seeds)
    )
    teacher = PredictionTable.concat(
        [read_teacher(teachers.of(fold.index), fold, labels, prepared, folder) for fold in folds]
    )
    return Distilled(folder, teacher, teachers, students, tuple(folds))


def check(teachers: Teachers, config: TrainConfig, folds: Sequence[Fold], labels: Sequence[str]) -> None:
    """Raise StgtError if these teachers must not, or cannot, teach this student."""
    teachers.require_labels(folds, labels)
    teachers.require_fitting(config.model, config.window)
    teachers.require_unseen(folds, config.dataset)


def student_tasks(
    kind: str,
    seed: int,
    lessons: DistillationConfig,
    config: TrainConfig,
    folds: Sequence[Fold],
    labels: tuple[str, ...],
    prepared: Prepared,
    folder: Path,
    teachers: Teachers,
) -> list[FoldTask]:
    """The fits of one kind of student, a fold each."""
    each = replace(require_one_device(config) if config.jobs > 1 else config, seed=seed)
    place = folder / f"seed_{seed}"
    tasks = []
    for fold in folds:
        shared = {
            "config": each,
            "model": config.model,
            "fold": fold,
            "labels": labels,
            "prepared": prepared,
            "folder": place / kind / f"fold_{fold.index}",
            "tensorboard": place / "tensorboard" / kind,
            "init": config.init,
        }
        if kind == TAUGHT:
            tasks.append(DistillationTask(**shared, teacher=teachers.of(fold.index), lessons=lessons))
        else:
            tasks.append(FoldTask(**shared))
    return tasks


def read_teacher(
    checkpoint: str, fold: Fold, labels: tuple[str, ...], prepared: Prepared, folder: Path
) -> PredictionTable:
    """What a teacher says of the test clips of a fold; read anew unless the same teacher was read before."""
    path = folder / "teacher" / f"fold_{fold.index}.csv"
    if path.is_file():
        return PredictionTable.from_csv(path)
    loaded = load_checkpoint(checkpoint)
    clips = [clip for clip in fold.test if clip.clip_id in prepared]
    probabilities = read_clips(loaded, clips, prepared).probabilities
    order = [loaded.labels.index(label) for label in labels]
    table = clip_table(labels, clips, fold.index, probabilities[:, order])
    table.to_csv(path)
    return table


def distillation_folder(
    lessons: DistillationConfig,
    config: TrainConfig,
    teachers: Teachers,
    prepared: Prepared,
) -> Path:
    """The run folder of these settings, made and marked with them; an older run of the same is gone on with.

    Raises:
        StgtError: it holds a run of other settings, clips or teachers.
    """
    taught: dict[str, Any] = {key: value for key, value in to_dict(lessons).items() if key not in ("seeds", "student")}
    taught["teacher"] = teachers.fingerprint()
    content = "\n".join(f"{clip_id} {prepared.content(clip_id)}" for clip_id in sorted(prepared))
    settings = {key: value for key, value in to_dict(config).items() if key not in PLACES}
    settings |= {
        "distillation": taught,
        "init": read_description(config.init)["weights_sha256"] if config.init else None,
        "checkpoint_format": FORMAT_VERSION,
        "clips": hashlib.sha256(content.encode()).hexdigest()[:16],
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    theirs = teachers.settings[0].folder_name
    name = config.name or f"{config.dataset}-{config.model.folder_name}-from-{theirs}-{digest}"
    folder = Path(config.output) / name
    marker = folder / "settings.json"
    if marker.exists():
        changed = difference(read_json(marker), settings)
        if changed:
            raise StgtError(
                f"{folder} holds a run with other settings ({changed}); choose another --name, or delete the folder"
            )
    else:
        write_json(marker, settings)
    recorded = {**to_dict(config), "distillation": to_dict(lessons)}
    write_text(folder / "config.yaml", yaml.safe_dump(recorded, sort_keys=False))
    return folder
