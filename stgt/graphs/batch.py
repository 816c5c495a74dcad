"""WindowBatch: the tensors of several windows, as models take them."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from stgt.graphs.actions import mirrored_actions
from stgt.graphs.layout import NodeLayout

if TYPE_CHECKING:
    import torch
    from torch import Tensor


#: The fields that are the arguments of a model's forward.
INPUTS = ("geometry", "mask", "actions", "patches", "frames", "frames_mask")


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows of T frames and V nodes. Streams that a model does not read are None.

    Attributes:
        geometry: (B, T, V, 12) float32, see ``geometry_stream``.
        mask: (B, T) bool, true where the frame is valid.
        actions: (B, T, 104) float32, see ``action_stream``.
        patches: (B, T, V, P, P, 3) uint8 RGB, a patch around every node.
        frames: (B, F, 3, S, S) uint8 RGB, aligned crops of F frames; outside of training also (B, F, D) float32, as
            the model's ``encode_frames`` has read them.
        frames_mask: (B, F) bool.
        target: (B,) int64 class numbers, or (B, K) float32 shares of the classes.
        clip: (B,) int64 number of the clip each window is from.
    """

    geometry: "Tensor"
    mask: "Tensor"
    actions: "Tensor | None" = None
    patches: "Tensor | None" = None
    frames: "Tensor | None" = None
    frames_mask: "Tensor | None" = None
    target: "Tensor | None" = None
    clip: "Tensor | None" = None

    def __len__(self) -> int:
        return len(self.geometry)

    @property
    def inputs(self) -> "dict[str, Tensor | None]":
        """The arguments of a model's forward."""
        return {name: getattr(self, name) for name in INPUTS}

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
        sides = torch.from_numpy(np.concatenate([mirrored_actions(), mirrored_actions() + len(mirrored_actions())]))
        sign = self.geometry.new_tensor((-1.0, 1.0, 1.0)).repeat(self.geometry.shape[-1] // 3)
        return replace(
            self,
            geometry=self.geometry[:, :, order] * sign,
            actions=None if self.actions is None else self.actions[:, :, sides],
            # The nodes change places, and each patch is flipped along its x.
            patches=None if self.patches is None else self.patches[:, :, order].flip(4),
            frames=None if self.frames is None else self.frames.flip(4),
        )
