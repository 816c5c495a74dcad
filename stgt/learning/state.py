"""The state of an interrupted training: one safetensors file, written atomically, that nothing has to unpickle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from stgt.errors import CheckpointError
from stgt.files import atomic_path

#: Bumped when a state written by an older version could not be read any more.
FORMAT = "stgt-training-state-1"


class SafetensorsState(CheckpointIO):
    """Lightning's checkpoint as tensors plus a JSON tree of everything that is not a tensor."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``."""
        del storage_options
        tensors: dict[str, torch.Tensor] = {}
        tree = json.dumps(pack(checkpoint, tensors))
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"format": FORMAT, "tree": tree})

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read what ``save_checkpoint`` wrote; tensors arrive on the CPU and Lightning moves them.

        Raises:
            CheckpointError: the file is damaged or of another format.
        """
        del map_location, weights_only
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} cannot be read ({error}); delete it to start this fold anew") from error
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path} is not a training state of this version; delete it to start this fold anew")
        return unpack(json.loads(metadata["tree"]), tensors)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the file, if it is there."""
        Path(path).unlink(missing_ok=True)


def pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """``value`` as a JSON tree; tensors are put into ``tensors`` and replaced by their names."""
    if isinstance(value, torch.Tensor):
        name = f"tensor_{len(tensors)}"
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[pack(key, tensors), pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [pack(item, tensors) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a training state cannot hold a {type(value).__name__}")


def unpack(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The inverse of ``pack``."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {unpack(key, tensors): unpack(item, tensors) for key, item in content}
    items = [unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
