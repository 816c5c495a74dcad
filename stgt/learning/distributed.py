"""One fit by several processes: what must be known of all of a step's windows is summed over the processes.

The gradients of the processes are averaged by Lightning. That is the gradient of the whole step only where each process
adds its share of one mean: statistics of batch normalisation, and a loss whose mean is over the weights of its clips,
are therefore of the whole step. What is random within a model (dropout) still falls differently.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def processes() -> int:
    """How many processes fit this model."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1


def summed(value: Tensor) -> Tensor:
    """The sum over all processes; gradients flow back to each of them."""
    return _Sum.apply(value) if processes() > 1 else value


class _Sum(torch.autograd.Function):
    """``summed`` for autograd: what a share does to the sum, it does in every process."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        del ctx
        return _all_reduced(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        del ctx
        return _all_reduced(gradient)


def _all_reduced(value: Tensor) -> Tensor:
    total = value.clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(total)
    return total


def untouched(extras: Mapping[str, Tensor]) -> Tensor:
    """Zero, whose gradients (zeros) reach all that a model gives to losses, whether a loss reads it or not.

    Processes that average their gradients wait for each parameter's.
    """
    return sum(extra.sum() * 0 for extra in extras.values() if extra.requires_grad)


class SharedBatchNorm(_BatchNorm):
    """Batch normalisation by the statistics of all processes; unlike ``nn.SyncBatchNorm`` on any device.

    Every process must come by with at least one row, or the others wait for it.
    """

    @classmethod
    def of(cls, norm: _BatchNorm) -> "SharedBatchNorm":
        """A layer with the parameters and running statistics of another, not copies of them."""
        made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        made.weight, made.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(made, name, buffer)
        for name, layer in norm.named_children():  # timm's normalisations drop and activate, too, in this order
            made.add_module(name, layer)
        return made.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Rows, or rows over time and nodes."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same."""
        x = self._normalise(x) if self.training else super().forward(x)
        for layer in self.children():
            x = layer(x)
        return x

    def _normalise(self, x: Tensor) -> Tensor:
        dims = [dim for dim in range(x.ndim) if dim != 1]
        shape = (1, -1, *[1] * (x.ndim - 2))
        values = x.float()
        count = summed(values.new_tensor(values.numel() / values.shape[1]))
        mean = summed(values.sum(dims)) / count
        centred = values - mean.view(shape)
        variance = summed(centred.square().sum(dims)) / count
        if self.track_running_stats:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                unbiased = variance * count / (count - 1).clamp(min=1)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)


def share_statistics(model: nn.Module) -> None:
    """Let all batch normalisation of a model be over all processes; its state keeps its names."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                setattr(parent, name, SharedBatchNorm.of(child))
