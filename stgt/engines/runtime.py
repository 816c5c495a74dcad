"""ONNX Runtime, on the CPU."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stgt.engines.engine import EXTRA
from stgt.errors import CheckpointError, MissingExtraError, StgtError
from stgt.graphs.batch import WindowBatch

#: The names of the outputs of an exported graph.
LOGITS, NODE_ATTENTION, FRAME_ATTENTION = OUTPUTS = ("logits", "node_attention", "frame_attention")

#: What onnxruntime calls element types, and what numpy does.
ELEMENTS = {"tensor(float)": "float32", "tensor(bool)": "bool", "tensor(uint8)": "uint8"}


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("the engine onnxruntime", EXTRA) from error
    return onnxruntime


def runtime_version() -> str:
    """Of the installed onnxruntime.

    Raises:
        MissingExtraError: there is none.
    """
    return _onnxruntime().__version__


class OnnxEngine:
    """ONNX Runtime.

    Args:
        model: path of an exported file, or its bytes.
        threads: that share the work on a batch.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        CheckpointError: not a graph that it can run.
    """

    name = "onnxruntime"

    def __init__(self, model: Path | str | bytes, threads: int = 1) -> None:
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait shall sleep: the tracker wants the cores, too.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        what = "the exported model" if isinstance(model, bytes) else str(model)
        try:
            self._session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise CheckpointError(f"{what} is no model that onnxruntime can run; export it anew") from error
        self.inputs = tuple(value.name for value in self._session.get_inputs())

    def logits(self, batch: WindowBatch) -> Tensor:
        """See ``Engine``."""
        return torch.from_numpy(self._session.run([LOGITS], self._feed(batch))[0])

    def logits_with_attention(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """See ``Engine``."""
        logits, nodes = self._session.run([LOGITS, NODE_ATTENTION], self._feed(batch))
        return torch.from_numpy(logits), torch.from_numpy(nodes)

    def describe_inputs(self) -> dict[str, dict[str, Any]]:
        """Element type and shape of every input."""
        return {
            value.name: {"type": ELEMENTS.get(value.type, value.type), "shape": value.shape}
            for value in self._session.get_inputs()
        }

    def _feed(self, batch: WindowBatch) -> dict[str, np.ndarray]:
        given = batch.inputs
        if given["frames"] is not None and given["frames_mask"] is None:
            given["frames_mask"] = torch.ones(given["frames"].shape[:2], dtype=torch.bool)
        absent = [name for name in self.inputs if given[name] is None]
        if absent:
            raise StgtError(f"the exported model reads {absent[0]}, which these windows do not have")
        return {name: given[name].cpu().numpy() for name in self.inputs}
