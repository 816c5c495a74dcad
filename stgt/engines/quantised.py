"""Exported models in int8: half the size, and a little less exact."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def quantise(content: bytes) -> bytes:
    """An exported file whose matrix products with weights are of 8-bit integers.

    Weights are rounded once, with a scale for each of their columns; what they are multiplied with is rounded as it
    comes (dynamic quantisation). Convolutions stay as they are: onnxruntime's of integers are slower than its others.

    Raises:
        ImportError: onnx or onnxruntime is not installed; whoever has the content has both.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        folded, smaller = Path(folder) / "folded.onnx", Path(folder) / "smaller.onnx"
        _fold_constants(content, folded)
        quantize_dynamic(
            folded, smaller, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8
        )
        return _standard(smaller)


def _fold_constants(content: bytes, path: Path) -> None:
    """Write a file whose products take weights as they are: what is first made of weights would not be quantised."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _standard(path: Path) -> bytes:
    """The file without operator sets that onnxruntime names and no node is from, which other runtimes do not know."""
    import onnx

    proto = onnx.load(path)
    used = {node.domain for node in proto.graph.node}
    for opset in [opset for opset in proto.opset_import if opset.domain not in used]:
        proto.opset_import.remove(opset)
    return proto.SerializeToString(deterministic=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to prepare the file first, which it is."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
