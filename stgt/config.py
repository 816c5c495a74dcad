"""Every setting of a model and a training run: one dataclass field per setting, one comment per field.

Options on the command line, keys of a recipe (YAML) and the config saved with a result all come from these classes.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stgt.errors import StgtError

#: The three input streams of a model, in the order in which they are named.
STREAMS = ("geometry", "patches", "frames")


@dataclass(frozen=True)
class WindowConfig:
    """How a window is cut from a track."""

    frames: int = 16  # T, frames in a window
    frame_rate: float = 10.0  # Hz, the model's rate: a window lasts (frames - 1) / frame_rate seconds
    hop_s: float = 0.5  # s between the starts of two windows when a longer clip or video is read
    max_gap_s: float = (
        0.15  # s, how far the nearest tracked frame may be from a sampled time before that time is invalid
    )

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise StgtError(f"window.frames is {self.frames}; a window needs at least 2 frames")
        if self.frame_rate <= 0 or self.hop_s <= 0 or self.max_gap_s <= 0:
            raise StgtError("window.frame_rate, window.hop_s and window.max_gap_s must be positive")

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame of a window, in seconds."""
        return (self.frames - 1) / self.frame_rate


@dataclass(frozen=True)
class ModelConfig:
    """Which model, on which nodes and streams."""

    name: str = "stgt"  # a name of the model registry: stgt, stgcn
    layout: str = "mediapipe146"  # node layout: mediapipe146, landmarks68
    streams: str = "geometry"  # comma-separated: geometry | geometry,patches | geometry,patches,frames
    width: int = 64  # channels of the graph blocks
    blocks: int = 4  # spatio-temporal graph blocks
    heads: int = 4  # attention heads of both transformers
    dropout: float = 0.2  # in blocks, attention and head
    patch_size: int = 12  # side of the patch around a node, in pixels of the aligned crop
    backbone: str = "efficientnet_lite0"  # timm model of the frames stream
    backbone_weights: str | None = None  # safetensors file for the backbone; none: random initialisation
    stream_frames: int = 4  # appearance frames per window in the frames stream
    modality_dropout: float = 0.2  # probability of hiding the appearance streams of a training sample

    def __post_init__(self) -> None:
        parse_streams(self.streams)


@dataclass(frozen=True)
class OptimisationConfig:
    """How a model is fitted."""

    epochs: int = 40  # passes over the training clips
    batch_size: int = 32  # windows per step
    learning_rate: float = 2e-3  # peak of the one-cycle schedule (AdamW)
    weight_decay: float = 0.02  # AdamW, not on biases and norms
    label_smoothing: float = 0.1  # of the cross entropy
    class_weights: bool = True  # weigh classes by inverse square-root frequency
    precision: str = "32-true"  # Lightning's name: 32-true, bf16-mixed, 16-mixed
    gradient_clip: float = 1.0  # norm; 0 switches it off


@dataclass(frozen=True)
class AugmentationConfig:
    """What training does to a window; evaluation does none of it."""

    mirror: float = 0.5  # probability of left-right mirroring
    rotation_deg: float = 8.0  # sd of a residual rotation about each axis
    scale: float = 0.08  # sd of a log scale
    jitter: float = 0.006  # sd of noise on every coordinate, in inter-ocular units
    drop_frames: float = 0.1  # probability of each frame being made invalid
    speed: float = 0.2  # sd of the log of the playing speed


@dataclass(frozen=True)
class TrainConfig:
    """A training run by a dataset's protocol."""

    dataset: str  # a card's name (stgt datasets lists them)
    root: str | None = None  # where the dataset lies; none: STGT_DATA or ./data, then the card's folder name
    cache: str | None = None  # where prepared tracks and crops go; none: STGT_CACHE or the user cache
    output: str = "runs"  # folder of run folders
    name: str | None = None  # name of the run folder; none: dataset, model and a hash of the settings
    protocol: str | None = None  # one of the card's protocols; none: its default
    fold: int | None = None  # run only this fold (from 0); none: the whole protocol
    compare: tuple[str, ...] = ()  # further models, trained on the same folds with the same settings
    validation: float = 0.2  # share of the training subjects held out to choose the epoch
    seed: int = 0  # of initial weights, batches, augmentation and the inner split
    workers: int | None = None  # processes for preparation; none: all cores
    devices: str = "auto"  # Lightning's devices
    accelerator: str = "auto"  # Lightning's accelerator: auto, cpu, gpu, mps
    nodes: int = 1  # machines, under torchrun
    model: ModelConfig = field(default_factory=ModelConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


def parse_streams(text: str) -> tuple[str, ...]:
    """``"geometry,patches"`` -> ``("geometry", "patches")`` in canonical order.

    Raises:
        StgtError: an unknown stream, or geometry missing (every setting carries it).
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in STREAMS]
    if unknown:
        raise StgtError(f"unknown stream {unknown[0]!r}; the streams are {', '.join(STREAMS)}")
    if "geometry" not in names:
        raise StgtError("streams must contain geometry: it is the stream that the others are fused with")
    return tuple(name for name in STREAMS if name in names)


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain values, for JSON and YAML."""
    return asdict(config)


Device = Literal["auto", "cpu", "cuda", "mps"]
