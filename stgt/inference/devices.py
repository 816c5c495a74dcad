"""Where models run."""

from typing import TYPE_CHECKING

from stgt.errors import StgtError

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto") -> "torch.device":
    """The torch device of this name; ``auto`` takes a GPU if there is one.

    Raises:
        StgtError: no such device, or it is not on this machine.
    """
    import torch

    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind = name.split(":")[0]
    if kind not in there:
        raise StgtError(f"unknown device {name!r}; the devices are auto, {', '.join(there)}")
    if not there[kind]:
        raise StgtError(f"device {name!r} is not available on this machine; use auto or cpu")
    return torch.device(name)
