"""The surface that all engines share, and PyTorch behind it."""

from typing import Protocol

import torch
from torch import Tensor

from stgt.graphs.batch import WindowBatch
from stgt.models.registry import ExpressionModel

#: What can be asked for.
ENGINES = ("auto", "torch", "onnxruntime")

#: The extra of the package that ONNX needs.
EXTRA = "onnx"


class Engine(Protocol):
    """Whatever turns windows into logits.

    Attributes:
        name: ``"torch"`` or ``"onnxruntime"``.
    """

    name: str

    def logits(self, batch: WindowBatch) -> Tensor:
        """(B, K) float32, on the CPU."""
        ...

    def logits_with_attention(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and (B, T, V) weights of the nodes in every frame, as ``Attention.nodes``; on the CPU."""
        ...


class TorchEngine:
    """PyTorch.

    Args:
        model: put into evaluation mode, and on the device.
        device: where it runs.
    """

    name = "torch"

    def __init__(self, model: ExpressionModel, device: torch.device | str = "cpu") -> None:
        self.model = model.to(device).eval()
        self.device = torch.device(device)

    @torch.inference_mode()
    def logits(self, batch: WindowBatch) -> Tensor:
        """See ``Engine``."""
        return self.model(**batch.to(self.device).inputs).cpu()

    @torch.inference_mode()
    def logits_with_attention(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """See ``Engine``."""
        logits, attention = self.model.forward_with_attention(**batch.to(self.device).inputs)
        return logits.cpu(), attention.nodes.cpu()
