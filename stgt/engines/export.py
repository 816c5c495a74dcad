"""A checkpoint's model as an ONNX file that says the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stgt.engines.engine import TorchEngine
from stgt.engines.graph import OPSET, keep_graph, kept_graph, pour, translate
from stgt.engines.parity import BATCHES, TOLERANCE, largest_difference
from stgt.engines.runtime import OUTPUTS, OnnxEngine
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.models.checkpoint import LoadedModel


def exported_bytes(loaded: "LoadedModel", cache: Path, may_translate: bool = True) -> tuple[bytes, dict[str, Any]]:
    """An ONNX file of a model, held against PyTorch, and what is to be known of it.

    Args:
        loaded: on the CPU.
        cache: folder in which graphs are kept.
        may_translate: whether to make the graph, which takes ten seconds, if it is not kept.

    Raises:
        StgtError: its graph is not kept and must not be made, or what it says differs from what PyTorch says.
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """
    config, window = loaded.model_config, loaded.window
    graph = kept_graph(config, window, cache)
    if graph is not None:
        try:
            return _poured(graph, loaded)
        except (ValueError, StgtError):
            if not may_translate:
                raise
            # Of models whose code has changed since, or damaged: made anew below.
    elif not may_translate:
        raise StgtError("the graph of this model is not at hand; stgt export makes it")
    graph = translate(config, window)
    content, facts = _poured(graph, loaded)
    keep_graph(graph, config, window, cache)
    return content, facts


def _poured(graph: bytes, loaded: "LoadedModel") -> tuple[bytes, dict[str, Any]]:
    content = pour(graph, loaded.model)
    engine = OnnxEngine(content)
    difference = largest_difference(TorchEngine(loaded.model), engine, loaded.model_config, loaded.window)
    if not difference <= TOLERANCE:
        raise StgtError(
            f"the exported model differs from PyTorch's by {difference:.1e} in a logit (at most {TOLERANCE:.0e}), so it "
            "was not kept; please report this together with the versions of torch and onnxruntime"
        )
    facts = {
        "opset": OPSET,
        "precision": "float32",
        "inputs": engine.describe_inputs(),
        "outputs": list(OUTPUTS),
        "largest_difference": difference,
        "batches": list(BATCHES),
    }
    return content, facts
