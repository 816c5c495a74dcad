"""Exported models: ``<name>.onnx``, and ``<name>.onnx.json``, the checkpoint's description with the file's digest."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import CheckpointError
from stgt.files import atomic_path, write_json
from stgt.graphs.layout import NodeLayout
from stgt.models.checkpoint import described_layout, described_settings, description_in

SUFFIX = ".onnx"


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """An exported model with all that belongs to it; the attributes are those of ``LoadedModel``, but for the first.

    Attributes:
        path: of the ONNX file.
        labels: (K,) names in the order of the logits.
        layout: its nodes.
        window: length and rate of the windows that it reads.
        model_config: settings of the model that was exported.
        temperature: what its logits are divided by before they become probabilities.
        meta: the whole JSON.
    """

    path: Path
    labels: tuple[str, ...]
    layout: NodeLayout
    window: WindowConfig
    model_config: ModelConfig
    temperature: float
    meta: dict[str, Any]


def description_path(path: Path) -> Path:
    """The JSON beside an ONNX file."""
    return path.with_name(f"{path.name}.json")


def is_exported(path: Path | str) -> bool:
    """Whether a path names an exported model, by either of its files."""
    return str(path).removesuffix(".json").endswith(SUFFIX)


def save_exported(path: Path, content: bytes, meta: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write an exported model; each of its two files is replaced as a whole.

    Args:
        path: ends in ``.onnx``.
        content: the ONNX file.
        meta: the checkpoint's description.
        facts: what else is to be known of the ONNX file.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        # The JSON first: a crash between the two leaves a pair whose digest betrays it.
        write_json(description_path(path), {**meta, "onnx": {"file": path.name, "sha256": digest, **facts}})


def load_exported(path: Path | str) -> ExportedModel:
    """Read what belongs to an exported model, and make sure that its file is whole.

    Args:
        path: of either of its two files.

    Raises:
        CheckpointError: a missing, truncated, altered or foreign file, another format version, or other nodes.
    """
    path = Path(str(path).removesuffix(".json"))
    description = description_path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no exported model {path}; stgt export writes one")
    if not description.is_file():
        raise CheckpointError(f"{path} lacks {description.name} beside it, which says how to use it; copy both files")
    meta = description_in(description)
    expected = meta["onnx"].get("sha256") if isinstance(meta.get("onnx"), dict) else None
    if expected is None:
        raise CheckpointError(f"{description} does not describe an exported model; export the checkpoint anew")
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise CheckpointError(
            f"{path} is cut, altered, or not the file that {description.name} describes; copy both files anew, or "
            "export the checkpoint again"
        )
    config, window = described_settings(meta, description)
    layout = described_layout(meta, path)
    return ExportedModel(path, tuple(meta["labels"]), layout, window, config, meta["temperature"], meta)
