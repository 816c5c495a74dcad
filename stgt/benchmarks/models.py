"""How fast models train and read a window."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch.nn import functional as F

from stgt.benchmarks.timing import interleaved
from stgt.config import ModelConfig, WindowConfig, parse_streams
from stgt.faces.crops import CROP_SIZE
from stgt.graphs.actions import ACTION_CHANNELS
from stgt.graphs.batch import WindowBatch
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.graphs.layout import load_layout
from stgt.models.registry import create_model

#: CK+ by its published protocol, and how its clips are passed over in one epoch of one fold.
CK_CLIPS, CK_FOLDS, CK_CLASSES = 327, 10, 7
VALIDATION_SHARE = 0.2


def random_batch(config: ModelConfig, window: WindowConfig, size: int) -> WindowBatch:
    """A batch of the right shapes; the numbers do not matter for speed."""
    generator = torch.Generator().manual_seed(0)
    nodes, streams = len(load_layout(config.layout)), parse_streams(config.streams)

    def pixels(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)

    actions = torch.rand(size, window.frames, ACTION_CHANNELS, generator=generator)
    patches = pixels(size, window.frames, nodes, config.patch_size, config.patch_size, 3)
    frames = pixels(size, config.stream_frames, 3, CROP_SIZE, CROP_SIZE)
    return WindowBatch(
        geometry=torch.randn(size, window.frames, nodes, GEOMETRY_CHANNELS, generator=generator),
        mask=torch.ones(size, window.frames, dtype=torch.bool),
        actions=actions if "actions" in streams else None,
        patches=patches if "patches" in streams else None,
        frames=frames if "frames" in streams else None,
        frames_mask=torch.ones(size, config.stream_frames, dtype=torch.bool) if "frames" in streams else None,
        target=torch.randint(0, CK_CLASSES, (size,), generator=generator),
    )


def training_step(config: ModelConfig, window: WindowConfig, size: int) -> Callable[[], None]:
    """One step of gradient descent on ``size`` windows."""
    model = create_model(config, CK_CLASSES, window).train()
    optimizer = torch.optim.AdamW(model.parameters())
    batch = random_batch(config, window, size)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(**batch.inputs), batch.target).backward()
        optimizer.step()

    return step


def reading(config: ModelConfig, window: WindowConfig, size: int) -> Callable[[], None]:
    """One pass over ``size`` windows without gradients."""
    model = create_model(config, CK_CLASSES, window).eval()
    batch = random_batch(config, window, size)

    def read() -> None:
        with torch.inference_mode():
            model(**batch.inputs)

    return read


@contextmanager
def threads(count: int):  # noqa: ANN201 - a context manager
    """Torch on so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def window_latency(configs: dict[str, ModelConfig], window: WindowConfig, rounds: int) -> dict[str, float]:
    """Seconds to read one window on one thread, per model."""
    with threads(1):
        return interleaved({name: reading(config, window, 1) for name, config in configs.items()}, rounds, warmup=3)


def training_rate(
    configs: dict[str, ModelConfig], window: WindowConfig, rounds: int, size: int = 32
) -> dict[str, float]:
    """Clips per second in training, per model."""
    tasks = {name: training_step(config, window, size) for name, config in configs.items()}
    return {name: size / seconds for name, seconds in interleaved(tasks, rounds).items()}


def reading_rate(config: ModelConfig, window: WindowConfig, rounds: int, size: int = 64) -> float:
    """Clips per second when clips are scored."""
    return size / interleaved({"read": reading(config, window, size)}, rounds)["read"]


def ck_minutes(training: float, scoring: float, epochs: int) -> float:
    """Estimated minutes of a 10-fold run on a dataset of CK+'s size, without the preparation.

    Args:
        training: clips/s.
        scoring: clips/s.
        epochs: per fold.
    """
    tested = CK_CLIPS / CK_FOLDS
    validated = VALIDATION_SHARE * (CK_CLIPS - tested)
    fitted = CK_CLIPS - tested - validated
    return CK_FOLDS * epochs * (fitted / training + (validated + tested) / scoring) / 60


def stream_settings(base: ModelConfig) -> dict[str, ModelConfig]:
    """The settings of the streams that are measured."""
    settings = ("geometry", "geometry,actions", "geometry,patches", "geometry,patches,frames")
    return {streams: replace(base, streams=streams) for streams in settings}
