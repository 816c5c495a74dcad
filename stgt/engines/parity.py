"""Whether two engines say the same."""

from collections.abc import Sequence

import torch

from stgt.config import ModelConfig, WindowConfig, parse_streams
from stgt.engines.engine import Engine
from stgt.faces.crops import CROP_SIZE
from stgt.graphs.actions import ACTION_CHANNELS
from stgt.graphs.batch import WindowBatch
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.graphs.layout import load_layout

#: The most that a logit of an exported model may be off.
TOLERANCE = 1e-4

#: Sizes of the batches that are compared.
BATCHES = (1, 2, 5, 16)


def random_windows(config: ModelConfig, window: WindowConfig, size: int, seed: int = 0) -> WindowBatch:
    """A batch of random inputs for a model.

    In the first window all frames are valid; in the others as many as chance has it, and of several the last has none.
    Invalid frames hold NaN where they can: whatever is in them must not count.
    """
    generator = torch.Generator().manual_seed(seed)
    nodes, streams = len(load_layout(config.layout)), parse_streams(config.streams)

    def pixels(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, (size, *shape), generator=generator, dtype=torch.uint8)

    def mask(length: int) -> torch.Tensor:
        shares = torch.rand(size, 1, generator=generator)
        seen = torch.rand(size, length, generator=generator) < shares
        seen[0], seen[1:][-1:] = True, False
        return seen

    valid = mask(window.frames)
    geometry = torch.randn(size, window.frames, nodes, GEOMETRY_CHANNELS, generator=generator)
    actions = torch.rand(size, window.frames, ACTION_CHANNELS, generator=generator)
    return WindowBatch(
        geometry=geometry.masked_fill(~valid[:, :, None, None], torch.nan),
        mask=valid,
        actions=actions.masked_fill(~valid[:, :, None], torch.nan) if "actions" in streams else None,
        patches=pixels(window.frames, nodes, config.patch_size, config.patch_size, 3) if "patches" in streams else None,
        frames=pixels(config.stream_frames, 3, CROP_SIZE, CROP_SIZE) if "frames" in streams else None,
        frames_mask=mask(config.stream_frames) if "frames" in streams else None,
    )


def largest_difference(
    one: Engine, other: Engine, config: ModelConfig, window: WindowConfig, batches: Sequence[int] = BATCHES
) -> float:
    """The largest difference of a logit over random windows; NaN if one of them is NaN."""
    differences = []
    for seed, size in enumerate(batches):
        batch = random_windows(config, window, size, seed)
        differences.append((one.logits(batch) - other.logits(batch)).abs().max())
    return float(torch.stack(differences).max())
