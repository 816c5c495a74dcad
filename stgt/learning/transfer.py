"""Fine-tuning: a model that starts from the weights of a trained one instead of from random numbers."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from stgt.config import ModelConfig, TrainConfig, to_dict
from stgt.errors import CheckpointError, StgtError
from stgt.models.checkpoint import SOURCES, LoadedModel, read_description, read_settings, seen_subjects
from stgt.models.registry import ExpressionModel

#: Settings that may differ from the checkpoint's: they change how a model is fitted, not what its weights compute.
FREE = {
    "model": ("dropout", "modality_dropout", "identity_dropout", "pooling"),
    "window": ("hop_s", "training", "testing", "views", "short"),
}

#: Options of a fine-tuning where neither the recipe nor the command line says otherwise; chosen on rendered heads,
#: see docs/finetuning.md. The weights are good already: large steps would undo them.
DEFAULTS = {"optimisation.learning_rate": 1e-3, "optimisation.epochs": 20}


def initial_settings(init: str) -> dict[str, Any]:
    """The options that fine-tuning from ``init`` begins with: the checkpoint's model and windows, and ``DEFAULTS``.

    Args:
        init: a checkpoint's path, or ``pretrained``.

    Returns:
        Dotted option name -> value.
    """
    model, window = read_settings(init)
    settings = {"model": to_dict(model), "window": to_dict(window)}
    dotted = {f"{group}.{key}": value for group, values in settings.items() for key, value in values.items()}
    return {**dotted, **DEFAULTS}


def require_same_settings(config: TrainConfig) -> None:
    """Make sure that no option contradicts the checkpoint that a run is initialised from.

    Raises:
        StgtError: one does.
    """
    model, window = read_settings(config.init)
    for group, ours, theirs in (("model", config.model, model), ("window", config.window, window)):
        for key, value in vars(theirs).items():
            if key not in FREE[group] and getattr(ours, key) != value:
                raise StgtError(
                    f"{group}.{key} is {getattr(ours, key)}, but the model of --init {config.init} has {value}, and "
                    "its weights fit no other; leave the option out"
                )


def encoder_source(model: ModelConfig) -> str | None:
    """The checkpoint that a model's frame encoder or backbone starts from; None where its weights are no checkpoint.

    Other files do not say whose faces they have seen.
    """
    for path in (model.frame_weights, model.backbone_weights):
        with contextlib.suppress(CheckpointError):
            if path is not None and Path(path).with_suffix(".json").is_file():
                read_description(path)
                return path
    return None


def refuse_leaks(config: TrainConfig, subjects: Collection[str]) -> None:
    """Make sure that no weights that a training starts from have seen a subject of its run.

    Raises:
        StgtError: some have.
    """
    for option, source in (("init", config.init), ("model.frame_weights", encoder_source(config.model))):
        if source is not None:
            refuse_leak(source, config.dataset, subjects, option)


def refuse_leak(init: str, dataset: str, subjects: Collection[str], option: str = "init") -> None:
    """Make sure that initial weights have seen none of the subjects of a run.

    Args:
        init: their checkpoint.
        dataset: name of the card, as for ``seen_subjects``.
        subjects: of the run.
        option: that named the checkpoint.

    Raises:
        StgtError: they have, themselves or through the weights that they were initialised from.
    """
    leaked = sorted(seen_subjects(read_description(init), dataset) & set(subjects))
    if leaked:
        raise StgtError(
            f"the weights of --{option} {init} were trained on {len(leaked)} of the subjects of {dataset} that are "
            f"here ({leaked[0]} for one): the score would be a leak; start from weights that have not seen them"
        )


def transfer_weights(model: ExpressionModel, labels: Sequence[str], source: LoadedModel) -> None:
    """Copy the weights of ``source``: all that makes features, and the rows of the classifier that have the same label.

    The classifier's rows for labels that ``source`` does not know keep their random numbers.

    Args:
        model: freshly made with the settings of ``source``, for ``labels``.
        labels: K names in the order of the logits.
        source: what to copy from.

    Raises:
        CheckpointError: the weights do not fit the model.
    """
    state = source.model.state_dict()
    for name, value in model.head.state_dict().items():
        known = state[f"head.{name}"]
        if not value.ndim:  # a count of batches, which is of no class
            continue
        rows = torch.stack(
            [
                known[source.labels.index(label)] if label in source.labels else value[index]
                for index, label in enumerate(labels)
            ]
        )
        state[f"head.{name}"] = rows
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError("the weights of --init do not fit a model of the same settings; train anew") from error


def origin(meta: Mapping[str, Any], init: str) -> dict[str, Any]:
    """What a checkpoint keeps of one that it comes from: enough to find out whose faces it has seen.

    Args:
        meta: the JSON of the other checkpoint.
        init: as it was given.
    """
    extra = meta.get("extra", {})
    kept = {key: extra[key] for key in ("training_subjects", *SOURCES) if key in extra}
    return {"checkpoint": init, "weights_sha256": meta["weights_sha256"], "dataset": meta.get("dataset"), "extra": kept}
