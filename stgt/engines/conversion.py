"""A checkpoint's model as an ONNX file that says the same."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stgt.engines.engine import TorchEngine
from stgt.engines.graph import OPSET, keep_graph, kept_graph, pour, translate
from stgt.engines.parity import BATCHES, TOLERANCE, largest_difference
from stgt.engines.runtime import OUTPUTS, OnnxEngine, runtime_version
from stgt.errors import MissingExtraError, StgtError

if TYPE_CHECKING:
    from stgt.models.checkpoint import LoadedModel


@dataclass(frozen=True, eq=False)
class Conversion:
    """A model as ONNX.

    Attributes:
        content: the file.
        facts: what is to be known of it, for its JSON.
        engine: that runs it.
    """

    content: bytes
    facts: dict[str, Any]
    engine: OnnxEngine


def convert(
    loaded: "LoadedModel", cache: Path, may_translate: bool = True, batches: Sequence[int] = BATCHES
) -> Conversion:
    """An ONNX file of a model, held against PyTorch.

    Args:
        loaded: on the CPU.
        cache: folder in which graphs are kept.
        may_translate: whether to make the graph, which takes ten seconds, if it is not kept.
        batches: sizes of the random batches that are compared.

    Raises:
        StgtError: its graph is not kept and must not be made, or what it says differs from what PyTorch says.
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """
    config, window = loaded.model_config, loaded.window
    graph = kept_graph(config, window, cache)
    if graph is not None:
        try:
            return _poured(graph, loaded, batches)
        except MissingExtraError:
            raise
        except (ValueError, StgtError):
            if not may_translate:
                raise
            # Damaged, or made before the models' code changed: made anew below.
    elif not may_translate:
        raise StgtError("the graph of this model is not at hand; stgt export makes it")
    graph = translate(config, window)
    conversion = _poured(graph, loaded, batches)
    with contextlib.suppress(OSError):  # it is only a cache
        keep_graph(graph, config, window, cache)
    return conversion


def _poured(graph: bytes, loaded: "LoadedModel", batches: Sequence[int]) -> Conversion:
    content = pour(graph, loaded.model)
    engine = OnnxEngine(content)
    difference = largest_difference(TorchEngine(loaded.model), engine, loaded.model_config, loaded.window, batches)
    if not difference <= TOLERANCE:
        raise StgtError(
            f"the exported model differs from PyTorch's by {difference:.1e} in a logit (at most {TOLERANCE:.0e}), so "
            "it was not kept; please report this together with the versions of torch and onnxruntime"
        )
    facts = {
        "opset": OPSET,
        "precision": "float32",
        "inputs": engine.describe_inputs(),
        "outputs": list(OUTPUTS),
        "onnxruntime": runtime_version(),
        "largest_difference": difference,
        "batches": list(batches),
    }
    return Conversion(content, facts, engine)
