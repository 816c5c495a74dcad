"""WindowBatch: the tensors of several windows, as models take them."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from stgt.graphs.layout import NodeLayout

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows of T frames and V nodes. Streams that a model does not read are None.

    Attributes:
        geometry: (B, T, V, 9) float32, see ``geometry_stream``.
        mask: (B, T) bool, true where the frame is valid.
        patches: (B, T, V, P, P, 3) uint8 RGB, a patch around every node.
        frames: (B, F, 3, S, S) uint8 RGB, aligned crops of F frames.
        frames_mask: (B, F) bool.
        target: (B,) int64 class numbers.
        clip: (B,) int64 number of the clip each window is from.
        window: (B,) int64 number of the window among all of its dataset.
    """

    geometry: "Tensor"
    mask: "Tensor"
    patches: "Tensor | None" = None
    frames: "Tensor | None" = None
    frames_mask: "Tensor | None" = None
    target: "Tensor | None" = None
    clip: "Tensor | None" = None
    window: "Tensor | None" = None

    def __len__(self) -> int:
        return len(self.geometry)

    @property
    def inputs(self) -> "dict[str, Tensor | None]":
        """The arguments of a model's forward."""
        return {name: getattr(self, name) for name in ("geometry", "mask", "patches", "frames", "frames_mask")}

    def to(self, device: "torch.device | str", non_blocking: bool = False) -> "WindowBatch":
        """The batch on another device."""
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)

    def mirror(self, layout: NodeLayout) -> "WindowBatch":
        """The same windows with left and right exchanged, as if the faces had been seen in a mirror."""
        import torch

        order = torch.from_numpy(layout.mirror).to(self.geometry.device)
        sign = self.geometry.new_tensor((-1.0, 1.0, 1.0)).repeat(self.geometry.shape[-1] // 3)
        return replace(
            self,
            geometry=self.geometry[:, :, order] * sign,
            # The nodes change places, and each patch is flipped along its x.
            patches=None if self.patches is None else self.patches[:, :, order].flip(4),
            frames=None if self.frames is None else self.frames.flip(4),
        )
