"""Fitting one fold: Lightning's loop around our module, resumable at every epoch."""

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from stgt.config import ModelConfig, TrainConfig
from stgt.data.clips import WindowDataset, collate
from stgt.data.layouts import Clip
from stgt.data.prepare import Prepared
from stgt.data.protocols import Fold, inner_validation
from stgt.evaluation.predictions import PredictionTable
from stgt.files import read_json, write_json
from stgt.graphs.layout import load_layout
from stgt.learning.augmentation import Augmentation
from stgt.learning.choice import EpochChoice
from stgt.learning.module import ExpressionModule, balanced_weights
from stgt.learning.sampler import EpochSampler
from stgt.learning.state import SafetensorsState
from stgt.models.checkpoint import save_checkpoint
from stgt.models.registry import create_model


@dataclass(frozen=True)
class FoldTask:
    """One model on one fold."""

    config: TrainConfig
    model: ModelConfig
    fold: Fold
    labels: tuple[str, ...]
    prepared: Prepared
    folder: Path
    """Where the fold's files go."""
    tensorboard: Path


@dataclass(frozen=True)
class FoldResult:
    """What a fitted fold left behind."""

    honest: PredictionTable
    best_on_test: PredictionTable
    curves: list[dict[str, float]]
    honest_epoch: int
    best_test_epoch: int
    seconds: float
    checkpoint: Path


def fit_fold(task: FoldTask, on_epoch: Callable[[dict[str, float]], None]) -> FoldResult:
    """Fit a fold, or go on where an interrupted fit stopped, or read a finished one.

    The same task gives the same result, interrupted or not. ``on_epoch`` gets each new epoch's row of the curves.
    """
    finished = task.folder / "fold.json"
    if not finished.exists():
        _fit(task, on_epoch)
    return _read(task, read_json(finished))


def _read(task: FoldTask, summary: dict) -> FoldResult:
    return FoldResult(
        honest=PredictionTable.from_csv(task.folder / "predictions.csv"),
        best_on_test=PredictionTable.from_csv(task.folder / "predictions_best_on_test.csv"),
        checkpoint=task.folder / "model.safetensors",
        **summary,
    )


def _fit(task: FoldTask, on_epoch: Callable[[dict[str, float]], None]) -> None:
    config, fold = task.config, task.fold
    started = time.monotonic()
    seed = int(np.random.SeedSequence([config.seed, fold.index]).generate_state(1)[0])
    fit_clips, validation_clips = inner_validation(fold.train, config.validation, config.seed)
    # A clip that could not be prepared was named by the preparation; the rest of the fold goes on without it.
    fit_clips, validation_clips, test_clips = (
        [clip for clip in clips if clip.clip_id in task.prepared] for clips in (fit_clips, validation_clips, fold.test)
    )
    loaders = _Loaders(task, seed)
    evaluated = [clips for clips in (validation_clips, test_clips) if clips]
    lightning.seed_everything(seed, verbose=False)
    module = ExpressionModule(
        create_model(task.model, len(task.labels), config.window),
        config.optimisation,
        _weights(task, fit_clips),
        tuple(len(clips) for clips in evaluated),
        seed,
    )

    def table(clips: list[Clip]) -> Callable[[np.ndarray], PredictionTable]:
        return lambda probabilities: clip_table(task.labels, clips, fold.index, probabilities)

    def keep_honest(predictions: PredictionTable, epoch: int) -> None:
        if not module.trainer.is_global_zero:
            return
        extra = {
            "fold": fold.index,
            "epoch": epoch,
            "protocol": config.protocol,
            "seed": config.seed,
            "training_subjects": sorted({clip.subject for clip in fold.train}),
        }
        save_checkpoint(
            task.folder / "model.safetensors",
            module.model,
            labels=task.labels,
            model_config=task.model,
            window=config.window,
            dataset=config.dataset,
            extra=extra,
        )
        predictions.to_csv(task.folder / "predictions.csv")

    def keep_best_test(predictions: PredictionTable, epoch: int) -> None:
        del epoch
        if module.trainer.is_global_zero:
            predictions.to_csv(task.folder / "predictions_best_on_test.csv")

    logger = TensorBoardLogger(task.tensorboard, name=task.model.name, version=f"fold_{fold.index}")

    def log(row: dict[str, float]) -> None:
        logger.log_metrics({key: value for key, value in row.items() if key != "epoch"}, step=int(row["epoch"]))
        on_epoch(row)

    choice = EpochChoice(
        table(validation_clips) if validation_clips else None, table(test_clips), keep_honest, keep_best_test, log
    )
    state = task.folder / "resume.safetensors"
    with quiet_lightning():
        trainer = _trainer(config, choice, logger, state)
        trainer.fit(
            module,
            loaders.training(fit_clips),
            [loaders.evaluation(clips) for clips in evaluated],
            ckpt_path=state if state.exists() else None,
        )
    if not trainer.is_global_zero:
        trainer.strategy.barrier()
        return
    summary = {
        "curves": choice.curves,
        "honest_epoch": int(choice.honest["epoch"]),
        "best_test_epoch": int(choice.best_test["epoch"]),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(task.folder / "fold.json", summary)
    state.unlink(missing_ok=True)
    trainer.strategy.barrier()


class _Loaders:
    """Data loaders of a fold."""

    def __init__(self, task: FoldTask, seed: int) -> None:
        self.task = task
        self.seed = seed

    def _dataset(self, clips: list[Clip], augmentation: Augmentation | None) -> WindowDataset:
        task = self.task
        return WindowDataset(
            clips, task.prepared, task.labels, task.model, task.config.window, augmentation=augmentation, seed=self.seed
        )

    def training(self, clips: list[Clip]) -> DataLoader:
        augmentation = Augmentation(self.task.config.augmentation, load_layout(self.task.model.layout))
        dataset = self._dataset(clips, augmentation)
        return DataLoader(
            dataset,
            batch_size=min(self.task.config.optimisation.batch_size, len(dataset)),
            sampler=EpochSampler(len(dataset), self.seed),
            collate_fn=collate,
            num_workers=self.task.config.loader_workers,
            drop_last=True,  # a last batch of one or two windows would move the norms and the weights too far
        )

    def evaluation(self, clips: list[Clip]) -> DataLoader:
        return DataLoader(
            self._dataset(clips, None),
            batch_size=2 * self.task.config.optimisation.batch_size,
            collate_fn=collate,
            num_workers=self.task.config.loader_workers,
        )


def _weights(task: FoldTask, clips: list[Clip]):  # noqa: ANN202 - torch.Tensor | None
    if not task.config.optimisation.class_weights:
        return None
    targets = np.array([task.labels.index(clip.label) for clip in clips])
    return balanced_weights(targets, len(task.labels))


def _trainer(config: TrainConfig, choice: EpochChoice, logger: TensorBoardLogger, state: Path) -> lightning.Trainer:
    keep_state = ModelCheckpoint(
        dirpath=state.parent,
        filename=state.stem,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    keep_state.FILE_EXTENSION = state.suffix
    return lightning.Trainer(
        max_epochs=config.optimisation.epochs,
        accelerator=config.accelerator,
        devices=config.devices if config.devices == "auto" else int(config.devices),
        num_nodes=config.nodes,
        precision=config.optimisation.precision,
        gradient_clip_val=config.optimisation.gradient_clip or None,
        callbacks=[choice, keep_state],
        plugins=[SafetensorsState()],
        logger=logger,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic="warn",
        log_every_n_steps=10_000,
    )


def clip_table(labels: tuple[str, ...], clips: list[Clip], fold: int, probabilities: np.ndarray) -> PredictionTable:
    """The table of ``clips``, all tested in ``fold``, with their probabilities (N,K)."""
    return PredictionTable(
        labels=labels,
        clip_ids=tuple(clip.clip_id for clip in clips),
        subjects=tuple(clip.subject for clip in clips),
        folds=np.full(len(clips), fold),
        truth=tuple(clip.label for clip in clips),
        probabilities=probabilities,
    )


class quiet_lightning(warnings.catch_warnings):  # noqa: N801 - used as a statement, like the class that it extends
    """Without Lightning's hints on hardware and loaders: a run of many folds would repeat them all."""

    def __enter__(self) -> None:
        """Silence."""
        super().__enter__()
        self.logger = logging.getLogger("lightning.pytorch")
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", module="torch.utils.data")

    def __exit__(self, *exception: object) -> None:
        """Speak again."""
        self.logger.setLevel(self.level)
        super().__exit__(*exception)
