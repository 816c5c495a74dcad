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
        whole, smaller = Path(folder) / "whole.onnx", Path(folder) / "smaller.onnx"
        whole.write_bytes(content)
        quantize_dynamic(whole, smaller, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
        return smaller.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to simplify the file first, which it is."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
