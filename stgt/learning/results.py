"""From fitted folds to what a report says: scores of every model, and where each looked."""

from collections.abc import Sequence

import numpy as np

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepare import Prepared
from stgt.data.protocols import Fold
from stgt.evaluation.distributions import shares_by_clip
from stgt.evaluation.pooling import peak_class
from stgt.evaluation.report import Attention, ModelResult
from stgt.learning.loaders import evaluation_loader
from stgt.learning.readout import Readout, read_out
from stgt.learning.run import ModelRun
from stgt.models.checkpoint import LoadedModel, load_checkpoint


def model_result(run: ModelRun, folds: Sequence[Fold], prepared: Prepared) -> ModelResult:
    """Everything that the report shows of one model of a run."""
    clips: list[Clip] = []
    readouts: list[Readout] = []
    for fold, fitted in zip(folds, run.folds, strict=True):
        loaded = load_checkpoint(fitted.checkpoint)
        tested = [clip for clip in fold.test if clip.clip_id in prepared]
        clips += tested
        readouts.append(read_clips(loaded, tested, prepared))
    return ModelResult(
        name=run.config.name,
        honest=run.honest,
        description=summary_line(loaded.model),
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        best_on_test=run.best_on_test,
        curves=[fitted.curves for fitted in run.folds],
        chosen_epochs=[fitted.honest_epoch for fitted in run.folds],
        temperatures=[fitted.temperature for fitted in run.folds],
        attention=attention_summary(clips, readouts, loaded.window.frame_rate),
        layout=loaded.layout,
        seconds=sum(fitted.seconds for fitted in run.folds),
        shares=shares_by_clip(clips),
    )


def summary_line(model: object) -> str:
    """The first line of a class's docstring."""
    return (type(model).__doc__ or "").strip().split("\n")[0]


def read_clips(loaded: LoadedModel, clips: Sequence[Clip], prepared: Prepared, device: str = "cpu") -> Readout:
    """Read prepared clips with a trained model, at its temperature.

    The clips' labels take no part: they need not be among the model's.
    """
    loader = evaluation_loader(clips, prepared, loaded.labels, loaded.model_config, loaded.window)
    peak = peak_class(loaded.model_config.pooling, loaded.labels)
    return read_out(loaded.model.to(device), loader, len(clips), device, peak).pooled(loaded.temperature)


def attention_summary(clips: Sequence[Clip], readouts: Sequence[Readout], frame_rate: float) -> Attention | None:
    """Mean attention to nodes per true label, and to frames, over all clips that hold a face; None if none does.

    Args:
        clips: those of the readouts, in order.
        readouts: one per fold.
        frame_rate: Hz of the windows.
    """
    nodes = np.concatenate([readout.nodes for readout in readouts])
    frames = np.concatenate([readout.frames for readout in readouts])
    seen = np.isfinite(nodes).all(axis=1) & np.isfinite(frames).all(axis=1)
    if not seen.any():
        return None
    truth = np.array([clip.label for clip in clips])
    per_label = {str(label): nodes[seen & (truth == label)].mean(axis=0) for label in np.unique(truth[seen])}
    return Attention(nodes=per_label, frames=frames[seen].mean(axis=0), frame_rate=frame_rate)
