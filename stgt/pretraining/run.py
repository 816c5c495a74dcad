"""A pretraining run: rendered clips to choose and to score by, streams to train on, weights with their temperature."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from stgt.config import TrainConfig, to_dict
from stgt.data.catalog.cards import load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowSample, collate
from stgt.data.preparation.prepare import prepare_clips
from stgt.data.preparation.prepared import Prepared
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.files import read_json, write_json, write_text
from stgt.graphs.batch import WindowBatch
from stgt.graphs.layout import load_layout
from stgt.learning.augmentation import Augmentation
from stgt.learning.fitting import FoldFit, FoldResult, FoldTask, fit_fold
from stgt.learning.progress import Progress, ProgressBar
from stgt.learning.publish import Outcome, print_scores, write_results
from stgt.learning.results import model_result
from stgt.learning.run import ModelRun, difference
from stgt.learning.sampler import EpochSampler
from stgt.models.checkpoint import copy_checkpoint
from stgt.pretraining.config import PretrainConfig
from stgt.pretraining.groups import group_tables
from stgt.pretraining.streams import TEST_SEED, VALIDATION_SEED, StreamDataset
from stgt.synthetic.actions import LABELS
from stgt.synthetic.progress import clip_bar
from stgt.synthetic.synthesis import SynthesisConfig

#: What the rendered clips are like: long enough for an expression that takes its time, a third of them talking.
CLIPS = {"takes": 1, "frames": 36, "frame_rate": 12.5, "speech": 0.4, "least_intensity": 0.3}


def render(config: PretrainConfig, part: str, progress: Callable[[int, int], None] | None = None) -> tuple[Clip, ...]:
    """Render the clips of ``validation`` or ``test``, or what is missing of them."""
    from stgt.synthetic.writing import synthesize

    subjects, seed = {
        "validation": (config.validation_subjects, VALIDATION_SEED),
        "test": (config.test_subjects, TEST_SEED),
    }[part]
    root = rendered_folder(config, part)
    synthesize(SynthesisConfig(str(root), subjects, seed=seed, workers=config.workers, **CLIPS), progress)
    found = load_card("synthetic").find_clips(str(root)).clips
    return tuple(replace(clip, clip_id=f"{part}/{clip.clip_id}", subject=f"{part}/{clip.subject}") for clip in found)


def rendered_folder(config: PretrainConfig, part: str) -> Path:
    """Where the rendered clips of a part lie."""
    return Path(config.output) / "rendered" / part


class StreamFit(FoldFit):
    """Fits on generated streams; the epoch and the temperature come from the validation clips."""

    def __init__(self, task: FoldTask, config: PretrainConfig, progress: Progress) -> None:
        self.config = config
        super().__init__(task, progress)

    def split(self) -> tuple[list[Clip], list[Clip], list[Clip]]:
        """No clips to fit on."""
        fold, prepared = self.task.fold, self.task.prepared
        return [], *([clip for clip in clips if clip.clip_id in prepared] for clips in (fold.train, fold.test))

    def training_loader(self, processes: int) -> DataLoader:
        """Windows of fresh streams in every epoch."""
        config = self.config
        augmentation = Augmentation(config.augmentation, load_layout(config.model.layout))
        dataset = StreamDataset(
            config.streams, config.model, config.window, augmentation, config.streams_per_epoch, self.seed
        )
        return DataLoader(
            dataset,
            batch_size=max(1, min(config.optimisation.batch_size, len(dataset)) // processes),
            sampler=EpochSampler(len(dataset), self.seed),
            collate_fn=collate_streams,
            num_workers=config.loader_workers,
            worker_init_fn=one_thread,
            persistent_workers=config.loader_workers > 0,
        )

    def class_frequencies(self) -> None:
        """The streams have the classes in the shares that they are wanted in."""


def one_thread(worker: int) -> None:
    """Keep a loader process on one core: its small matrix products gain nothing from more."""
    from threadpoolctl import threadpool_limits

    del worker
    threadpool_limits(1)


def collate_streams(streams: list[list[WindowSample]]) -> WindowBatch:
    """Windows of several streams -> a batch."""
    return collate([window for stream in streams for window in stream])


def fit(
    config: PretrainConfig, validation: tuple[Clip, ...], test: tuple[Clip, ...], prepared: Prepared, progress: Progress
) -> FoldResult:
    """Train, or go on where an interrupted run stopped, or read a finished one."""
    folder = Path(config.output)
    settings = TrainConfig(
        dataset="streams",
        protocol="generated streams",
        seed=config.seed,
        accelerator=config.accelerator,
        devices="1",
        model=config.model,
        window=config.window,
        optimisation=config.optimisation,
        augmentation=config.augmentation,
    )
    task = FoldTask(
        config=settings,
        model=config.model,
        fold=Fold(0, validation, test),
        labels=LABELS,
        prepared=prepared,
        folder=folder / "fit",
        tensorboard=folder / "tensorboard",
    )
    return fit_fold(task, progress, lambda task, progress: StreamFit(task, config, progress))


def pretrain(config: PretrainConfig, command: str) -> Path:
    """The whole run: render, train, score, write the weights.

    Args:
        config: the settings.
        command: how it was called, for the report.

    Returns:
        The weights.

    Raises:
        StgtError: the run folder holds a run of other settings.
    """
    folder = Path(config.output)
    claim(folder, config)
    parts = {}
    for part in ("validation", "test"):
        with clip_bar(f"rendering the {part} clips") as progress:
            parts[part] = render(config, part, progress)
    prepared = prepare_clips(
        [*parts["validation"], *parts["test"]], cache=str(folder / "cache"), workers=config.workers
    )
    # The loaders keep the other cores busy.
    torch.set_num_threads(max(1, torch.get_num_threads() - config.loader_workers))
    with ProgressBar(config.optimisation.epochs) as progress:
        fitted = fit(config, parts["validation"], parts["test"], prepared, progress)
    fold = Fold(0, parts["validation"], parts["test"])
    outcome = Outcome(
        title=f"{config.model.name} pretrained on generated streams",
        card=load_card("synthetic"),
        sentence=describe(config, len(parts["test"])),
        results=[model_result(ModelRun(config.model, (fitted,)), [fold], prepared)],
        skipped=prepared.failures,
        config=to_dict(config),
        command=command,
        seed=config.seed,
    )
    write_results(folder, outcome)
    print_scores(folder, outcome)
    tables = group_tables(fitted.honest, rendered_folder(config, "test"))
    write_text(folder / "groups.md", tables)
    print(f"\n{tables}")
    weights = Path(config.weights) if config.weights else folder / "weights.safetensors"
    copy_checkpoint(fitted.checkpoint, weights)
    print(f"weights: {weights}")
    return weights


def claim(folder: Path, config: PretrainConfig) -> None:
    """Mark the run folder with the settings, or make sure that it is a run of the same."""
    places = ("output", "weights", "workers", "loader_workers", "accelerator")
    settings = {key: value for key, value in to_dict(config).items() if key not in places}
    marker = folder / "settings.json"
    if not marker.exists():
        write_json(marker, settings)
        return
    changed = difference(read_json(marker), settings)
    if changed:
        raise StgtError(f"{folder} holds a run with other settings ({changed}); choose another --output, or delete it")


def describe(config: PretrainConfig, clips: int) -> str:
    """How the scores came about, in one sentence."""
    return (
        f"Rendered faces with speech, intensity {CLIPS['least_intensity']:.0%} to 100 %: {clips} clips of "
        f"{config.test_subjects} subjects, {len(LABELS)} classes; trained on generated streams of "
        f"{config.streams.subjects} other subjects; epoch and temperature chosen on {config.validation_subjects} "
        f"rendered subjects of neither."
    )
