"""Fitting one fold: Lightning's loop around our module, resumable at every epoch."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from stgt.config import ModelConfig, TrainConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepared import Prepared
from stgt.data.protocols import Fold
from stgt.data.validation import inner_validation
from stgt.errors import StgtError
from stgt.evaluation.calibration import search_temperature
from stgt.evaluation.distributions import share_cross_entropy, shares_by_clip
from stgt.evaluation.pooling import peak_class
from stgt.evaluation.predictions import PredictionTable
from stgt.files import read_json, write_json
from stgt.learning.choice import EpochChoice
from stgt.learning.distributed import share_statistics
from stgt.learning.imbalance import class_frequencies
from stgt.learning.loaders import clip_weights, evaluation_loader, training_loader
from stgt.learning.losses import TrainingLoss
from stgt.learning.module import ExpressionModule
from stgt.learning.progress import Progress
from stgt.learning.readout import read_out
from stgt.learning.targets import SHARED, with_majority
from stgt.learning.trainer import make_trainer, quiet_lightning
from stgt.learning.transfer import encoder_source, origin, transfer_weights
from stgt.models.checkpoint import load_checkpoint, read_description, save_checkpoint, set_temperature
from stgt.models.registry import ExpressionModel, create_model
from stgt.terms import parse_targets


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
    init: str | None = None
    """Checkpoint, or ``pretrained``, whose weights the model starts from; none: random ones."""

    @property
    def summary(self) -> Path:
        """The file that marks the fold as finished."""
        return self.folder / "fold.json"

    def new_fit(self, progress: Progress) -> "FoldFit":
        """The fitting of this task; tasks of other kinds are fitted otherwise."""
        return FoldFit(self, progress)


@dataclass(frozen=True)
class FoldResult:
    """What a fitted fold left behind."""

    honest: PredictionTable
    best_on_test: PredictionTable
    curves: list[dict[str, float]]
    honest_epoch: int
    best_test_epoch: int
    temperature: float
    seconds: float
    checkpoint: Path


def fit_fold(
    task: FoldTask, progress: Progress, make: "Callable[[FoldTask, Progress], FoldFit] | None" = None
) -> FoldResult:
    """Fit a fold, or go on where an interrupted fit stopped, or read a finished one.

    The same task gives the same result, interrupted or not. ``make`` makes the fit; none: the task itself does.
    """
    if task.summary.exists():
        progress.found(task.config.optimisation.epochs)
    else:
        (make(task, progress) if make else task.new_fit(progress)).fit()
        progress.finished(task.model.name, task.fold.index)
    return read_fold(task)


def read_fold(task: FoldTask) -> FoldResult:
    """The result of a finished fold."""
    return FoldResult(
        honest=PredictionTable.from_csv(task.folder / "predictions.csv"),
        best_on_test=PredictionTable.from_csv(task.folder / "predictions_best_on_test.csv"),
        checkpoint=task.folder / "model.safetensors",
        **read_json(task.summary),
    )


class FoldFit:
    """The fitting of one fold: puts the parts together and keeps what each epoch is worth keeping.

    Raises:
        StgtError: no clip is left to fit on or to test on, because their videos could not be prepared.
    """

    def __init__(self, task: FoldTask, progress: Progress) -> None:
        self.task = task
        self.progress = progress
        self.seed = int(np.random.SeedSequence([task.config.seed, task.fold.index]).generate_state(1)[0])
        self.fit_clips, self.validation_clips, self.test_clips = self.split()
        self.state = task.folder / "resume.safetensors"

    def split(self) -> tuple[list[Clip], list[Clip], list[Clip]]:
        """The clips to fit on, to choose the epoch on, and to test on."""
        config, fold = self.task.config, self.task.fold
        # A clip that could not be prepared was named by the preparation; the fold goes on without it.
        fit, validation, test = (
            [clip for clip in clips if clip.clip_id in self.task.prepared]
            for clips in (*inner_validation(fold.train, config.validation, config.seed), fold.test)
        )
        fit = with_majority(parse_targets(config.optimisation.targets), fit, self.task.labels)
        for part, clips in (("train", fit), ("test", test)):
            if not clips:
                raise StgtError(f"fold {fold.index} has no readable clip to {part} on; see the files named above")
        return fit, validation, test

    def fit(self) -> None:
        """Run the epochs that are missing and write ``fold.json``, which marks the fold as finished."""
        task, config = self.task, self.task.config
        started = time.monotonic()
        lightning.seed_everything(self.seed, verbose=False)
        evaluated = [clips for clips in (self.validation_clips, self.test_clips) if clips]
        self.module = self.new_module(tuple(len(clips) for clips in evaluated))
        self.logger = TensorBoardLogger(
            task.tensorboard, name=task.model.folder_name, version=f"fold_{task.fold.index}"
        )
        choice = EpochChoice(
            self.tables(self.validation_clips) if self.validation_clips else None,
            self.tables(self.test_clips),
            listener=self,
        )
        loaders = [self.evaluation_loader(clips) for clips in evaluated]
        with quiet_lightning():
            trainer = make_trainer(config, choice, self.logger, self.state)
            resume_from = self.state if self.state.exists() else None
            if trainer.world_size > 1:
                share_statistics(self.module.model)
            try:
                trainer.fit(self.module, self.training_loader(trainer.world_size), loaders, ckpt_path=resume_from)
            except SystemExit as error:
                # Lightning makes an exit of Ctrl-C and is deaf to the next one; what follows is for the command to say.
                if isinstance(error.__context__, KeyboardInterrupt):
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    raise KeyboardInterrupt from error
                raise
        if trainer.is_global_zero:
            temperature = self.calibrate(trainer.strategy.root_device)
            summary = {
                "curves": choice.curves,
                "honest_epoch": int(choice.honest["epoch"]),
                "best_test_epoch": int(choice.best_test["epoch"]),
                "temperature": temperature,
                "seconds": round(choice.seconds + time.monotonic() - started, 1),
            }
            write_json(task.summary, summary)
            self.state.unlink(missing_ok=True)
        trainer.strategy.barrier()

    def new_module(self, clip_counts: tuple[int, ...]) -> ExpressionModule:
        """What is fitted; ``clip_counts`` as for ``ExpressionModule``."""
        task, optimisation = self.task, self.task.config.optimisation
        model = self.new_model()
        return ExpressionModule(
            model,
            optimisation,
            TrainingLoss.for_model(model, optimisation, self.class_frequencies()),
            clip_counts,
            self.seed,
            peak_class(task.model.pooling, task.labels),
        )

    def new_model(self) -> ExpressionModel:
        """The model that fitting begins with."""
        task = self.task
        model = create_model(task.model, len(task.labels), task.config.window)
        if task.init is not None:
            transfer_weights(model, task.labels, load_checkpoint(task.init))
        return model

    def calibrate(self, device: torch.device) -> float:
        """Fit the temperature of the honest epoch's weights on the validation clips, and score the test clips with it.

        It is stored with the weights. Without a validation part it is 1 and the scores stay as they are; the test clips
        take no part in it. The predictions of the epoch that was best on them stay at temperature 1.
        """
        if not self.validation_clips:
            return 1.0
        checkpoint = self.task.folder / "model.safetensors"
        model = load_checkpoint(checkpoint, device).model

        def predictions(clips: list[Clip]) -> Callable[[float], PredictionTable]:
            peak = peak_class(self.task.model.pooling, self.task.labels)
            windows = read_out(model, self.evaluation_loader(clips), len(clips), device, peak)
            return lambda temperature: self.tables(clips)(windows.clip_probabilities(temperature))

        temperature = search_temperature(predictions(self.validation_clips), self.calibration_loss())
        set_temperature(checkpoint, temperature)
        predictions(self.test_clips)(temperature).to_csv(self.task.folder / "predictions.csv")
        return temperature

    def calibration_loss(self) -> Callable[[PredictionTable], float] | None:
        """What the temperature makes least: a model that learned shares of classes is to give shares, not labels."""
        if parse_targets(self.task.config.optimisation.targets).name not in SHARED:
            return None
        return partial(share_cross_entropy, shares=shares_by_clip(self.validation_clips))

    def evaluation_loader(self, clips: list[Clip]) -> DataLoader:
        """All windows of ``clips``, as they are."""
        task, config = self.task, self.task.config
        return evaluation_loader(clips, task.prepared, task.labels, task.model, config.window, config.loader_workers)

    def training_loader(self, processes: int) -> DataLoader:
        """What this one of so many processes fits on: one random, augmented window per clip and epoch."""
        return training_loader(self.task, self.fit_clips, self.seed, processes)

    def class_frequencies(self) -> NDArray[np.float64] | None:
        """(K,) how many clips of each class an epoch draws: what the loss corrects; None: nothing."""
        targets, weights = clip_weights(self.task, self.fit_clips)
        return class_frequencies(targets, len(self.task.labels), weights)

    def tables(self, clips: list[Clip]) -> Callable[[np.ndarray], PredictionTable]:
        """Makes prediction tables of ``clips``."""
        return lambda probabilities: clip_table(self.task.labels, clips, self.task.fold.index, probabilities)

    def on_honest(self, predictions: PredictionTable, epoch: int) -> None:
        """Keep the weights and the test predictions of the honest epoch."""
        if not self.module.trainer.is_global_zero:
            return
        task, fold = self.task, self.task.fold
        save_checkpoint(
            task.folder / "model.safetensors",
            self.module.model,
            labels=task.labels,
            model_config=task.model,
            window=task.config.window,
            dataset=task.config.dataset,
            extra={
                "fold": fold.index,
                "epoch": epoch,
                "protocol": task.config.protocol,
                "seed": task.config.seed,
                "training_subjects": sorted({clip.subject for clip in self.fit_clips + self.validation_clips}),
                **self.sources(),
            },
        )
        predictions.to_csv(task.folder / "predictions.csv")

    def sources(self) -> dict[str, Any]:
        """The trained models that went into this one, for its checkpoint: their subjects count as seen."""
        found = {"initialised_from": self.task.init, "encoder_from": encoder_source(self.task.model)}
        return {name: origin(read_description(path), path) for name, path in found.items() if path}

    def on_best_test(self, predictions: PredictionTable) -> None:
        """Keep the predictions of the epoch that is best on the test clips."""
        if self.module.trainer.is_global_zero:
            predictions.to_csv(self.task.folder / "predictions_best_on_test.csv")

    def on_epoch(self, row: dict[str, float]) -> None:
        """Log an epoch."""
        self.logger.log_metrics({key: value for key, value in row.items() if key != "epoch"}, step=int(row["epoch"]))
        self.progress.epoch(self.task.model.name, self.task.fold.index, row)

    def on_resumed(self, epochs: int) -> None:
        """An interrupted fit goes on."""
        self.progress.found(epochs)


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
