"""What a fit reads: windows to train on, drawn clip by clip, and all windows that clips are scored by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from stgt.config import ModelConfig, WindowConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowDataset, collate
from stgt.data.preparation.prepared import Prepared
from stgt.graphs.layout import load_layout
from stgt.learning.augmentation import Augmentation
from stgt.learning.imbalance import drawing_weights
from stgt.learning.sampler import EpochSampler
from stgt.learning.targets import TargetedWindows, make_targets
from stgt.terms import parse_targets

if TYPE_CHECKING:
    from stgt.learning.fitting import FoldTask


def training_loader(task: "FoldTask", clips: Sequence[Clip], seed: int, processes: int = 1) -> DataLoader:
    """One random, augmented window per clip and epoch; a step's windows are shared out among the processes.

    Raises:
        StgtError: the targets that the settings name cannot be had of these clips.
    """
    batch_size = min(task.config.optimisation.batch_size, len(clips))
    if processes > 1:
        # Where one had no rows of which to take statistics, the others would wait for it.
        batch_size = max(2, batch_size // processes)
    augmentation = Augmentation(task.config.augmentation, load_layout(task.model.layout))
    dataset = WindowDataset(
        clips, task.prepared, task.labels, task.model, task.config.window, augmentation=augmentation, seed=seed
    )
    # A clip without any face is a clip, but no item.
    _, weights = clip_weights(task, [clips[number] for number, _ in dataset.items])
    optimisation = task.config.optimisation
    kind = parse_targets(optimisation.targets)
    targets = make_targets(kind, clips, task.labels, task.prepared, optimisation.epochs, seed)
    return DataLoader(
        dataset if targets is None else TargetedWindows(dataset, targets),
        batch_size=min(batch_size, len(dataset)),
        sampler=EpochSampler(len(dataset), seed, weights),
        collate_fn=collate,
        num_workers=task.config.loader_workers,
        persistent_workers=task.config.loader_workers > 0,  # they keep what they have aligned
        drop_last=True,  # a last batch of one or two windows would move the norms and the weights too far
    )


def clip_weights(task: "FoldTask", clips: Sequence[Clip]) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """The numbers of the classes of training clips, and how often each is drawn; see ``drawing_weights``."""
    targets = np.array([task.labels.index(clip.label) for clip in clips])
    datasets = [clip.dataset for clip in clips]
    config = task.config
    return targets, drawing_weights(targets, datasets, config.optimisation.sampling, config.dataset_weights)


def evaluation_loader(
    clips: Sequence[Clip],
    prepared: Prepared,
    labels: tuple[str, ...],
    model: ModelConfig,
    window: WindowConfig,
    workers: int = 0,
) -> DataLoader:
    """The windows that speak for the clips, in order, as they are."""
    dataset = WindowDataset(clips, prepared, labels, model, window)
    return DataLoader(dataset, batch_size=64, collate_fn=collate, num_workers=workers)
