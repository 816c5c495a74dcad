"""Frames that the teacher sees and the student does not: it learns to say as much from less."""

from dataclasses import replace

import torch
from torch import Tensor

from stgt.graphs.batch import WindowBatch
from stgt.graphs.geometry import MOTION_SCALE, POSITION_SCALE


def mask_frames(batch: WindowBatch, probability: float, frame_rate: float) -> WindowBatch:
    """The same windows with some of their frames lost, as if no face had been found in them.

    At least one frame that was valid stays so, and so does one of the crops. Draws from torch's generator.

    Args:
        batch: windows.
        probability: of losing each frame.
        frame_rate: Hz, of the windows.
    """
    if probability == 0:
        return batch
    mask = drop(batch.mask, probability)
    changed = {"mask": mask, "geometry": remeasured(batch.geometry, mask, frame_rate)}
    if batch.frames is not None:
        length, count = mask.shape[1], batch.frames.shape[1]
        picked = torch.linspace(0, length - 1, count).round().long()
        seen = batch.frames_mask & mask[:, picked.to(mask.device)]
        seen = torch.where(seen.any(dim=1, keepdim=True), seen, batch.frames_mask)
        changed |= {"frames_mask": seen, "frames": batch.frames * seen[:, :, None, None, None]}
    if batch.actions is not None:
        changed["actions"] = batch.actions * mask[..., None]
    return replace(batch, **changed)


def drop(mask: Tensor, probability: float) -> Tensor:
    """(B, T) with some true values made false, but never all of a row."""
    draws = torch.rand(mask.shape).to(mask.device)
    kept = mask & (draws >= probability)
    last = draws.masked_fill(~mask, -1).argmax(dim=1, keepdim=True)
    return kept | (mask & torch.zeros_like(mask).scatter(1, last, True))


def remeasured(geometry: Tensor, mask: Tensor, frame_rate: float) -> Tensor:
    """The geometry stream (B, T, V, 12) of windows in which only ``mask`` (B, T) is valid.

    Motion is the difference from the previous valid frame, which may now be another one.
    """
    length = mask.shape[1]
    number = torch.arange(length, device=mask.device).expand_as(mask)
    latest = torch.where(mask, number, -1).cummax(dim=1).values
    previous = torch.cat((latest.new_full((len(mask), 1), -1), latest[:, :-1]), dim=1)
    known = mask & (previous >= 0)
    scale = geometry.new_tensor(POSITION_SCALE / MOTION_SCALE) * frame_rate
    position = geometry[..., :3]
    before = position.gather(1, previous.clamp(min=0)[:, :, None, None].expand_as(position))
    elapsed = (number - previous).clamp(min=1)[:, :, None, None]
    motion = (position - before) * scale / elapsed * known[:, :, None, None]
    stream = torch.cat((position, motion, geometry[..., 6:]), dim=-1)
    return stream * mask[:, :, None, None]
