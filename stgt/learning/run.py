"""A whole run: every model on every fold of a protocol, in a run folder that an interrupted run goes on in."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from stgt.config import ModelConfig, TrainConfig, names, to_dict
from stgt.data.preparation.prepared import Prepared
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable
from stgt.files import read_json, write_json, write_text
from stgt.learning.fitting import FoldResult, FoldTask, fit_fold, read_fold
from stgt.learning.losses import TrainingLoss
from stgt.learning.parallel import fit_side_by_side, require_one_device
from stgt.learning.progress import Progress
from stgt.models.checkpoint import FORMAT_VERSION, read_description
from stgt.models.registry import create_model

#: Settings that say where and on what a run happens, not what comes out of it.
PLACES = (
    "root",
    "cache",
    "output",
    "name",
    "workers",
    "loader_workers",
    "jobs",
    "devices",
    "accelerator",
    "nodes",
    "fold",
)


@dataclass(frozen=True)
class ModelRun:
    """One model over all folds that were run."""

    config: ModelConfig
    folds: tuple[FoldResult, ...]

    @property
    def honest(self) -> PredictionTable:
        """Every test clip once, by the model of its fold at the honest epoch."""
        return PredictionTable.concat([fold.honest for fold in self.folds])

    @property
    def best_on_test(self) -> PredictionTable:
        """The same at the epoch that was best on the fold's test clips."""
        return PredictionTable.concat([fold.best_on_test for fold in self.folds])


def model_configs(config: TrainConfig) -> tuple[ModelConfig, ...]:
    """The run's model first, then those it is compared with, on the same nodes and streams.

    A baseline reads geometry whatever the streams are; ``create_model`` says so where it matters.
    """
    others = [name for name in names(config.compare) if name != config.model.name]
    width = config.compare_width or config.model.width
    return (config.model, *(replace(config.model, name=name, width=width) for name in others))


def run_folder(config: TrainConfig, prepared: Prepared) -> Path:
    """The run folder of these settings, made and marked with them; an older run of the same settings is gone on with.

    Args:
        config: the settings.
        prepared: the clips; other clips, or other content of the same clips, make another run.

    Raises:
        StgtError: the folder holds a run of other settings or clips.
    """
    settings = {key: value for key, value in to_dict(config).items() if key not in PLACES}
    content = "\n".join(f"{clip_id} {prepared.content(clip_id)}" for clip_id in sorted(prepared))
    # The same weights are the same wherever they lie; a fold that another version finished has other files in it.
    settings["init"] = read_description(config.init)["weights_sha256"] if config.init else None
    settings["checkpoint_format"] = FORMAT_VERSION
    settings["clips"] = hashlib.sha256(content.encode()).hexdigest()[:16]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    folder = Path(config.output) / (config.name or f"{config.dataset}-{config.model.folder_name}-{digest}")
    marker = folder / "settings.json"
    if marker.exists():
        changed = difference(read_json(marker), settings)
        if changed:
            changed = "other clips" if changed.startswith("clips:") else f"other settings ({changed})"
            raise StgtError(f"{folder} holds a run with {changed}; choose another --name, or delete the folder")
    else:
        write_json(marker, settings)
    write_text(folder / "config.yaml", yaml.safe_dump(to_dict(config), sort_keys=False))
    return folder


def difference(old: dict[str, Any], new: dict[str, Any], above: str = "") -> str:
    """The first setting in which two runs differ, as ``model.width: 64, now 32``; empty if there is none."""
    for key in {**old, **new}:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            inner = difference(before, after, f"{above}{key}.")
            if inner:
                return inner
        elif before != after:
            return f"{above}{key}: {before}, now {after}"
    return ""


def run_models(
    config: TrainConfig,
    folds: Sequence[Fold],
    labels: tuple[str, ...],
    prepared: Prepared,
    folder: Path,
    progress: Progress,
) -> list[ModelRun]:
    """Fit every model on every fold; what an earlier run of the same settings finished is read from ``folder``."""
    models = model_configs(config)
    each = require_one_device(config) if config.jobs > 1 else config
    tasks = [
        FoldTask(
            config=each,
            model=model,
            fold=fold,
            labels=labels,
            prepared=prepared,
            folder=folder / model.folder_name / f"fold_{fold.index}",
            tensorboard=folder / "tensorboard",
            init=config.init if model is config.model else None,
        )
        for model in models
        for fold in folds
    ]
    require_losses([task for task in tasks if not task.summary.exists()])
    results = iter(fit_folds(tasks, config.jobs, progress))
    return [ModelRun(model, tuple(next(results) for _ in folds)) for model in models]


def require_losses(tasks: Sequence[FoldTask]) -> None:
    """Raise StgtError if the loss is not for one of the models, before the first of them is fitted for hours."""
    for model in dict.fromkeys(task.model for task in tasks):
        task = next(task for task in tasks if task.model == model)
        if TrainingLoss.asks_for_extras(task.config.optimisation):
            fresh = replace(model, frame_weights=None)
            TrainingLoss.for_model(create_model(fresh, len(task.labels), task.config.window), task.config.optimisation)


def fit_folds(tasks: Sequence[FoldTask], jobs: int, progress: Progress) -> list[FoldResult]:
    """Fit what is missing of the folds, one after the other or ``jobs`` of them side by side."""
    missing = [task for task in tasks if not task.summary.exists()]
    if jobs < 2 or len(missing) < 2:
        return [fit_fold(task, progress) for task in tasks]
    progress.found(sum(task.config.optimisation.epochs for task in tasks if task.summary.exists()))
    fit_side_by_side(missing, jobs, progress)
    return [read_fold(task) for task in tasks]
