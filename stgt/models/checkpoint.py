"""Checkpoints: ``<stem>.safetensors`` holds the weights, ``<stem>.json`` says how to use them; nothing is pickled."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from stgt import __version__
from stgt.config import ModelConfig, WindowConfig
from stgt.errors import CheckpointError, StgtError
from stgt.files import atomic_path, read_json, write_json
from stgt.graphs.layout import NodeLayout, load_layout
from stgt.models.registry import ExpressionModel, create_model

#: Grows with every change of what the two files hold, or of what the same weights compute.
FORMAT_VERSION = 2

#: The trained models that another may come from, by their names in its description.
SOURCES = ("initialised_from", "distilled_from", "encoder_from")

#: What is given in place of a path for the weights that come with the package.
PRETRAINED = "pretrained"
#: Their name in ``stgt.weights``.
PRETRAINED_NAME = "faces"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A trained model with all that belongs to it.

    Attributes:
        model: in evaluation mode.
        labels: (K,) names in the order of the logits.
        layout: its nodes.
        window: length and rate of the windows that it reads.
        model_config: its settings.
        temperature: what its logits are divided by before they become probabilities.
        meta: the whole JSON: dataset, version of the program, and whatever was saved as ``extra``.
    """

    model: ExpressionModel
    labels: tuple[str, ...]
    layout: NodeLayout
    window: WindowConfig
    model_config: ModelConfig
    temperature: float
    meta: dict[str, Any]


def save_checkpoint(
    path: Path | str,
    model: ExpressionModel,
    *,
    labels: Sequence[str],
    model_config: ModelConfig,
    window: WindowConfig,
    dataset: str,
    temperature: float = 1.0,
    extra: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint; each of its two files is replaced as a whole.

    Args:
        path: ends in ``.safetensors``; the JSON goes beside it.
        model: made by ``create_model(model_config, len(labels), window)``.
        labels: names in the order of the logits.
        model_config: the model's settings.
        window: its windows.
        dataset: name of the card that it was trained on.
        temperature: what the logits are to be divided by, see ``stgt.evaluation.calibration``.
        extra: anything for the JSON: fold, epoch, subjects it has seen.
    """
    path = Path(path)
    if len(labels) != model.num_classes:
        raise ValueError(f"{len(labels)} labels for a model of {model.num_classes} classes")
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        # The JSON first: a crash between the two leaves a pair whose digest betrays it, never one that seems to fit.
        write_json(
            path.with_suffix(".json"),
            {
                "format_version": FORMAT_VERSION,
                "stgt_version": __version__,
                "labels": list(labels),
                "model": asdict(model_config),
                "window": asdict(window),
                "layout": {"name": model.layout.name, "fingerprint": model.layout.fingerprint},
                "dataset": dataset,
                "temperature": temperature,
                "weights_sha256": digest,
                "extra": dict(extra or {}),
            },
        )


def set_temperature(path: Path | str, temperature: float) -> None:
    """Write the temperature, fitted after the weights were saved, into a checkpoint's JSON."""
    description = Path(path).with_suffix(".json")
    write_json(description, {**description_in(description), "temperature": temperature})


def copy_checkpoint(source: Path | str, target: Path | str) -> None:
    """Copy both files of a checkpoint; ``target`` ends in ``.safetensors``."""
    source, target = Path(source), Path(target)
    for suffix in (".safetensors", ".json"):
        with atomic_path(target.with_suffix(suffix)) as temporary:
            temporary.write_bytes(source.with_suffix(suffix).read_bytes())


def pretrained_path() -> Path:
    """Where the weights that come with the package lie.

    Raises:
        CheckpointError: this installation has none.
    """
    path = Path(str(resources.files("stgt.weights").joinpath(f"{PRETRAINED_NAME}.safetensors")))
    if not (path.is_file() and path.with_suffix(".json").is_file()):
        raise CheckpointError(
            f"this installation of stgt lacks the weights that should come with it ({path} and its .json); "
            f"{_remedy(path)}"
        )
    return path


def checkpoint_path(path: Path | str) -> Path:
    """The weights file of a checkpoint that is given by either of its files, or by the word ``pretrained``.

    Raises:
        CheckpointError: one of its two files is missing.
    """
    if str(path) == PRETRAINED:
        return pretrained_path()
    weights = Path(path).with_suffix(".safetensors")
    if not weights.is_file():
        raise CheckpointError(f"there is no checkpoint {weights}; give the .safetensors file that training wrote")
    if not weights.with_suffix(".json").is_file():
        raise CheckpointError(
            f"{weights} lacks {weights.with_suffix('.json').name} beside it, which says how to use it; copy both files"
        )
    return weights


def read_description(path: Path | str) -> dict[str, Any]:
    """A checkpoint's JSON, without its weights.

    Args:
        path: as for ``load_checkpoint``.

    Raises:
        CheckpointError: a missing or foreign file, or another format version.
    """
    return description_in(checkpoint_path(path).with_suffix(".json"))


def read_settings(path: Path | str) -> tuple[ModelConfig, WindowConfig]:
    """The settings of a checkpoint's model and windows, without reading its weights.

    All weights are in the checkpoint, so that the files that some of them once came from are none of them.

    Raises:
        CheckpointError: as ``read_description``, or a setting that this version does not know.
    """
    description = checkpoint_path(path).with_suffix(".json")
    config, window = described_settings(description_in(description), description)
    return without_files(config), window


def without_files(config: ModelConfig) -> ModelConfig:
    """The settings of a model whose weights are at hand: the files that it once began with need not be there."""
    return replace(config, backbone_weights=None, frame_weights=None)


def seen_subjects(meta: dict[str, Any], dataset: str) -> set[str]:
    """The subjects of ``dataset`` that a model was trained on, or one that it comes from (``SOURCES``), and so on.

    Args:
        meta: the model's JSON.
        dataset: name of a card; or several with commas between them, whose subjects are then ``dataset:subject``.
    """
    extra = meta.get("extra", {})
    own = qualified(meta.get("dataset"), extra.get("training_subjects", ()))
    # Variants of a dataset (NAME@VARIANT) show the same people.
    wanted = [name.partition("@")[0] for name in dataset.split(",")]
    seen = {f"{name}:{subject}" if len(wanted) > 1 else subject for name, subject in own if name in wanted}
    for source in SOURCES:
        before = extra.get(source)
        seen |= seen_subjects(before, dataset) if before else set()
    return seen


def qualified(dataset: str | None, subjects: Sequence[str]) -> set[tuple[str, str]]:
    """The subjects of a dataset with its name; those of a union (``a,b``), called ``a:S1``, with the name of theirs."""
    if dataset is None or "," not in dataset:
        return {((dataset or "").partition("@")[0], subject) for subject in subjects}
    return {(name, subject) for name, _, subject in (subject.partition(":") for subject in subjects)}


def load_checkpoint(path: Path | str, device: torch.device | str = "cpu") -> LoadedModel:
    """Read a checkpoint.

    Args:
        path: of either of its two files; ``"pretrained"`` for the weights that come with the package.
        device: where to put the model.

    Raises:
        CheckpointError: a missing, truncated or foreign file, another format version, or another node layout.
    """
    weights = checkpoint_path(path)
    description = weights.with_suffix(".json")
    meta = description_in(description)
    labels = tuple(meta["labels"])
    config, window = described_settings(meta, description)
    try:
        model = create_model(without_files(config), len(labels), window)
    except StgtError as error:
        raise CheckpointError(f"{description}: {error}") from error
    layout = described_layout(meta, weights)
    state = _read_weights(weights, meta)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights in {weights} do not fit the model that {description.name} describes"
        ) from error
    return LoadedModel(model.to(device).eval(), labels, layout, window, config, meta["temperature"], meta)


def require_labels(checkpoint: LoadedModel, labels: Sequence[str], dataset: str) -> None:
    """Make sure that a checkpoint can name all classes of a dataset.

    Raises:
        CheckpointError: the dataset has a class that the model does not know.
    """
    unknown = [label for label in labels if label not in checkpoint.labels]
    if unknown:
        raise CheckpointError(
            f"the checkpoint, trained on {checkpoint.meta.get('dataset', 'another dataset')}, knows "
            f"{', '.join(checkpoint.labels)}, but {dataset} has {', '.join(labels)}: it can never say "
            f"{', '.join(unknown)}"
        )


def described_settings(meta: dict[str, Any], path: Path) -> tuple[ModelConfig, WindowConfig]:
    """The settings of the model and the windows in a description, which was read from ``path``.

    Raises:
        CheckpointError: a setting that this version does not know.
    """
    return _settings(ModelConfig, meta["model"], path), _settings(WindowConfig, meta["window"], path)


def described_layout(meta: dict[str, Any], path: Path) -> NodeLayout:
    """The nodes of a described model; ``path`` is its file.

    Raises:
        CheckpointError: they are not those that the layout of this name has in this version.
    """
    layout = load_layout(meta["layout"]["name"])
    if layout.fingerprint != meta["layout"]["fingerprint"]:
        raise CheckpointError(
            f"{path} was trained on other nodes than the layout {layout.name} of this version has; "
            f"use it with stgt {meta.get('stgt_version', 'of its time')}, or train anew"
        )
    return layout


def description_in(path: Path) -> dict[str, Any]:
    """The JSON that describes a model, checked.

    Raises:
        CheckpointError: it cannot be read, is of another format version, or lacks something.
    """
    try:
        meta = read_json(path)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not readable JSON; {_remedy(path)}") from error
    if not isinstance(meta, dict) or "format_version" not in meta:
        raise CheckpointError(f"{path} does not describe a checkpoint of stgt")
    if meta["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {meta['format_version']}, and this version of stgt reads {FORMAT_VERSION}; "
            f"use it with stgt {meta.get('stgt_version', 'of its time')}, or train anew"
        )
    needed = ("labels", "model", "window", "layout", "temperature", "weights_sha256")
    missing = [key for key in needed if key not in meta]
    if missing:
        raise CheckpointError(f"{path} lacks {missing[0]!r}; {_remedy(path)}")
    temperature = meta["temperature"]
    if not isinstance(temperature, float | int) or not 0 < temperature < math.inf:
        raise CheckpointError(
            f"{path} has the temperature {temperature!r}, which is no positive number; {_remedy(path)}"
        )
    return meta


def _settings(kind: type, values: dict[str, Any], path: Path) -> Any:
    known = {field.name for field in fields(kind)}
    unknown = [key for key in values if key not in known]
    if unknown:
        raise CheckpointError(f"{path} has the setting {unknown[0]!r}, which this version of stgt does not know")
    try:
        return kind(**values)
    except StgtError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read_weights(path: Path, meta: dict[str, Any]) -> dict[str, torch.Tensor]:
    if hashlib.sha256(path.read_bytes()).hexdigest() != meta["weights_sha256"]:
        raise CheckpointError(f"{path} is truncated or not the file that its JSON describes; {_remedy(path)}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a readable safetensors file; {_remedy(path)}") from error


def _remedy(path: Path) -> str:
    """What to do about a damaged or missing file."""
    if path.parent == Path(str(resources.files("stgt.weights"))):
        return "install stgt again (pip install --force-reinstall --no-deps stgt), or give a checkpoint of your own"
    return "copy the checkpoint anew"
