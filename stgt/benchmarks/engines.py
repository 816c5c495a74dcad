"""How well each engine reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepared import Prepared
from stgt.engines.engine import Engine
from stgt.evaluation.metrics import score
from stgt.evaluation.pooling import peak_class, pool_clips
from stgt.learning.fitting import clip_table
from stgt.learning.loaders import evaluation_loader

if TYPE_CHECKING:
    from stgt.models.checkpoint import LoadedModel


@dataclass(frozen=True)
class Reading:
    """What an engine said of labelled clips.

    Attributes:
        uar: unweighted average recall.
        same: share of the clips that it gives the same label as the first engine.
        difference: the largest difference of a clip's probability from the first engine's.
    """

    uar: float
    same: float
    difference: float


def read_clips(
    engines: Mapping[str, Engine], loaded: "LoadedModel", clips: Sequence[Clip], prepared: Prepared
) -> dict[str, Reading]:
    """Read prepared clips with every engine: the same windows, at the checkpoint's temperature, pooled as ever."""
    loader = evaluation_loader(clips, prepared, loaded.labels, loaded.model_config, loaded.window)
    windows: dict[str, list[torch.Tensor]] = {name: [] for name in engines}
    shares, numbers = [], []
    for batch in loader:
        shares.append(batch.mask.float().mean(dim=1).double().numpy())
        numbers.append(batch.clip.numpy())
        for name, engine in engines.items():
            windows[name].append(engine.logits(batch).double())
    share, clip = np.concatenate(shares), np.concatenate(numbers)
    peak = peak_class(loaded.model_config.pooling, loaded.labels)
    first: np.ndarray | None = None
    readings = {}
    for name, logits in windows.items():
        probabilities = (torch.cat(logits) / loaded.temperature).softmax(dim=-1).numpy()
        pooled = pool_clips(probabilities, share, clip, len(clips), peak)
        first = pooled if first is None else first
        seen = np.isfinite(first).all(axis=1)
        readings[name] = Reading(
            uar=score(clip_table(loaded.labels, clips, 0, pooled)).uar,
            same=float((pooled[seen].argmax(axis=1) == first[seen].argmax(axis=1)).mean()),
            difference=float(np.abs(pooled[seen] - first[seen]).max()),
        )
    return readings
