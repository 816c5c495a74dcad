"""Every setting of a model and a training run: one dataclass field per setting, each with the text that --help shows.

Options on the command line, keys of a recipe (YAML) and the config saved with a result all come from these classes.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stgt.errors import StgtError
from stgt.terms import PAPER, parse_loss, parse_targets

Config = TypeVar("Config")

#: The input streams of a model, in the order in which they are named.
STREAMS = ("geometry", "actions", "patches", "frames")

#: The frame encoders that have a name of their own (``stgt.models.frames``): as text, because commands name them before
#: anything heavy is imported. As ``model.name`` each is a model of clips.
FRAME_MODELS = (
    "acnn-lbp",
    "ad-corre",
    "afnet",
    "dacl",
    "dan",
    "dlp-cnn",
    "enet-b2-multitask",
    "fer-vt",
    "lresnet50e-ir",
    "psr",
    "ran",
    "resnet18-fi-sa",
    "vgg13-ferplus",
    "vtff",
)
#: How the name of any other model of timm begins as ``model.name``.
FRAMES_PREFIX = "frames:"
#: How the frames of a window become one.
FRAME_POOLS = ("mean", "max", "statistics", "attention", "transformer")

#: What can be left out of stgt, in the order in which a window meets it.
PARTS = ("geometry", "graph", "spatial_transformer", "temporal_transformer", "attention_pooling")


@dataclass(frozen=True)
class WindowConfig:
    """How a window is cut from a track."""

    frames: int = 16
    """T, frames in a window."""
    frame_rate: float = 10.0
    """Hz, the model's rate: a window lasts (frames - 1) / frame_rate seconds."""
    hop_s: float = 0.5
    """Seconds between the starts of two windows when a longer clip or video is read."""
    max_gap_s: float = 0.15
    """Seconds; a sampled time with no tracked frame this near is invalid."""
    training: str = "random"
    """Which window of a clip is trained on: random, another one in each epoch; centre, the middle one; uniform, one
    that is stretched over the whole clip. Where a dataset's clips run from neutral to apex, it ends with the clip."""
    testing: str = "dense"
    """Which windows speak for a clip: dense, one every hop_s; centre; or uniform, as for training. A camera has no
    clips: it is read by one window after the other in any case."""
    views: int = 1
    """Windows of a clip that are averaged where testing is centre or uniform; two lie at offsets from each other."""
    short: str = "mask"
    """What comes after the end of a clip that is shorter than a window: mask, no face; hold, its last face; loop, the
    clip from its start. A uniform window fits every clip."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise StgtError(f"window.frames is {self.frames}; a window needs at least 2 frames")
        require_one_of("window.training", self.training, ("random", "centre", "uniform"))
        require_one_of("window.testing", self.testing, ("dense", "centre", "uniform"))
        require_one_of("window.short", self.short, ("mask", "hold", "loop"))
        if self.views < 1:
            raise StgtError(f"window.views is {self.views}; at least one window speaks for a clip")
        if self.views > 1 and self.testing == "dense":
            raise StgtError(
                f"window.views is {self.views}, but dense testing reads all windows anyway; "
                "set window.testing to centre or uniform"
            )
        if self.frame_rate <= 0 or self.hop_s <= 0 or self.max_gap_s <= 0:
            raise StgtError("window.frame_rate, window.hop_s and window.max_gap_s must be positive")

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame of a window, in seconds."""
        return (self.frames - 1) / self.frame_rate


@dataclass(frozen=True)
class ModelConfig:
    """Which model, on which nodes and streams."""

    name: str = "stgt"
    """A name of the model registry: stgt, stgcn, stgcn++, landmark-lstm, landmark-transformer; or a frame encoder,
    which reads face crops alone: acnn-lbp, ad-corre, afnet, dacl, dan, dlp-cnn, enet-b2-multitask, fer-vt,
    lresnet50e-ir, psr, ran, resnet18-fi-sa, vgg13-ferplus, vtff; or frames:NAME for any model of timm."""
    layout: str = "landmarks68"
    """Node layout: landmarks68, or mediapipe146 (twice the nodes, over twice the work)."""
    streams: str = "geometry"
    """Comma-separated: geometry, and any of actions, patches, frames."""
    width: int = 64
    """Channels of the graph blocks."""
    blocks: int = 4
    """Spatio-temporal graph blocks."""
    heads: int = 4
    """Attention heads of both transformers."""
    dropout: float = 0.2
    """In blocks, attention and head."""
    patch_size: int = 12
    """Side of the patch around a node, in pixels of the aligned crop."""
    backbone: str = "efficientnet_lite0"
    """What reads the frames stream of stgt: a timm model, or a frame encoder."""
    backbone_weights: str | None = None
    """Safetensors file for the backbone; none: random initialisation."""
    stream_frames: int = 4
    """Appearance frames per window in the frames stream."""
    frame_pool: str = "attention"
    """How a frame encoder's frames become a window: mean, max, statistics, attention, transformer."""
    frame_size: int = 112
    """Side in pixels at which a frame encoder reads crops."""
    frame_weights: str | None = None
    """Where a frame encoder starts from: timm (weights of timm's hub for its trunk), or a safetensors file of the
    encoder, of its trunk, or a checkpoint of the same encoder; none: from scratch."""
    modality_dropout: float = 0.2
    """Probability of hiding a stream beside geometry from the model in a training sample."""
    pooling: str = "mean"
    """How windows become clips: mean, or peak, for a model whose windows say what they show themselves."""
    identity_dropout: float = 0.5
    """Probability of hiding where the nodes of a training sample are, and leaving how they move."""
    without: str = ""
    """Comma-separated parts of stgt to leave out, for ablations: graph, spatial_transformer, temporal_transformer,
    attention_pooling; or geometry, which leaves the other streams alone. Empty: none."""

    def __post_init__(self) -> None:
        if is_frame_model(self.name):  # whatever was asked for: it reads nothing else
            object.__setattr__(self, "streams", "geometry,frames")
        streams = parse_streams(self.streams)
        require_one_of("model.pooling", self.pooling, ("mean", "peak"))
        require_one_of("model.frame_pool", self.frame_pool, FRAME_POOLS)
        if self.stream_frames < 1:
            raise StgtError(f"model.stream_frames is {self.stream_frames}; at least one frame of a window is looked at")
        if "geometry" in parse_parts(self.without) and streams == ("geometry",):
            raise StgtError(
                "model.without leaves out geometry, which is all that model.streams has; add actions, patches or frames"
            )

    @property
    def folder_name(self) -> str:
        """The model's name where files are called by it: without the colon that some systems refuse."""
        return self.name.replace(":", "-")


@dataclass(frozen=True)
class OptimisationConfig:
    """How a model is fitted."""

    epochs: int = 40
    """Passes over the training clips."""
    batch_size: int = 32
    """Windows per step, of all devices together."""
    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule (AdamW)."""
    weight_decay: float = 0.02
    """AdamW, not on biases and norms."""
    label_smoothing: float = 0.1
    """Of the loss, whichever it is."""
    loss: str = "cross_entropy"
    """Terms joined by +, such as cross_entropy+affinity:0.5; the first trains the classifier: cross_entropy, see
    class_weights; class_balanced, the inverse of the effective number of clips (Cui et al., CVPR 2019); logit_adjusted,
    logits shifted by log frequencies (Menon et al., ICLR 2021); focal, additive_angular_margin, kullback_leibler,
    jeffreys, multi_label, branches. On top: affinity, partition, region_biased, locality_preserving, centre,
    attentive_centre, adaptive_correlation, reconstruction. Or paper: that of a frame encoder's paper; see
    docs/losses.md."""
    targets: str = "single"
    """What a clip is held against: single, its label; where clips have shares of classes (votes of annotators)
    majority, multi_label, draw (anew each epoch), distribution; class_mean, label smoothing by what is mixed up with
    it; estimated, shares of similar clips by geometry, less of them from epoch to epoch."""
    class_weights: bool = True
    """Weigh the classes of cross_entropy by inverse square-root frequency."""
    class_balance: float = 0.999
    """Beta of class_balanced: from 0, all classes alike, to nearly 1, inverse frequency."""
    logit_adjustment: float = 1.0
    """Tau of logit_adjusted, the factor of the log frequencies."""
    sampling: str = "natural"
    """How often clips are drawn: natural, each once an epoch; balanced, each class as often as any other; square_root,
    in between. Frequencies in losses are those of the clips as they are drawn."""
    precision: str = "32-true"
    """Lightning's name: 32-true, bf16-mixed, 16-mixed."""
    gradient_clip: float = 1.0
    """Norm; 0 switches it off."""

    def __post_init__(self) -> None:
        if self.loss != PAPER:
            parse_loss(self.loss)
        parse_targets(self.targets)
        require_one_of("optimisation.sampling", self.sampling, ("natural", "balanced", "square_root"))
        if not 0 <= self.class_balance < 1:
            raise StgtError(f"optimisation.class_balance is {self.class_balance}; it is at least 0 and below 1")


@dataclass(frozen=True)
class AugmentationConfig:
    """What training does to a window; evaluation does none of it."""

    mirror: float = 0.5
    """Probability of left-right mirroring."""
    rotation_deg: float = 8.0
    """Standard deviation of a residual rotation about each axis, and of crops of the frames stream in their plane."""
    scale: float = 0.08
    """Standard deviation of a log scale, of crops, too."""
    shift: float = 0.03
    """Standard deviation of where crops lie, as a share of their side."""
    light: float = 0.2
    """Standard deviation of the log brightness of crops; a third of it, of each colour."""
    erase: float = 0.25
    """Probability of hiding a box of the crops of a window."""
    jitter: float = 0.006
    """Standard deviation of noise on every coordinate, in inter-ocular units."""
    drop_frames: float = 0.1
    """Probability of each frame being made invalid."""
    speed: float = 0.2
    """Standard deviation of the log of the playing speed."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run by a dataset's protocol."""

    dataset: str
    """A card's name (stgt datasets lists them)."""
    root: str | None = None
    """Where the dataset lies; none: STGT_DATA or ./data, then the card's folder name."""
    cache: str | None = None
    """Where prepared tracks and crops go; none: STGT_CACHE or the user cache."""
    output: str = "runs"
    """Folder of run folders."""
    name: str | None = None
    """Name of the run folder; none: dataset, model and a hash of the settings."""
    protocol: str | None = None
    """One of the card's protocols; none: its default."""
    fold: int | None = None
    """Run only this fold (from 0); none: the whole protocol."""
    jobs: int = 1
    """Folds that are fitted side by side, each in a process of its own with its share of the threads; on one device."""
    dataset_weights: str = ""
    """For a union of datasets: the share of the clips drawn from each, like afew=1,dfew=2; empty: by their sizes."""
    compare: str = ""
    """Comma-separated further models, trained on the same folds with the same settings; empty: none."""
    compare_width: int | None = None
    """Width of the compared models: half of it is about a quarter of the work; none: as the model."""
    subject_pattern: str | None = None
    """For one's own folder of clips: regular expression over the path, whose first group is the subject."""
    subject_csv: str | None = None
    """For one's own folder of clips: CSV file with the columns clip and subject."""
    validation: float = 0.2
    """Share of the training subjects held out to choose the epoch."""
    init: str | None = None
    """Checkpoint whose weights the model starts from, or pretrained for those that come with stgt; none: random ones.
    Its model and window settings are taken over."""
    train_subjects: int | None = None
    """Train each fold on so many of its training subjects only, drawn by the seed; none: on all."""
    seed: int = 0
    """Of initial weights, batches, augmentation and the inner split."""
    workers: int | None = None
    """Processes for preparation; none: all cores."""
    loader_workers: int = 0
    """Processes that load windows while training; worth it where a GPU waits for patches or frames."""
    devices: str = "auto"
    """Lightning's devices."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu, mps."""
    nodes: int = 1
    """Machines, under torchrun."""
    model: ModelConfig = field(default_factory=ModelConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise StgtError(f"jobs is {self.jobs}; at least one fold is fitted at a time")
        without = [name for name in (self.model.name, *names(self.compare)) if not is_frame_model(name)]
        if self.optimisation.loss == PAPER and without:
            raise StgtError(
                f"optimisation.loss is {PAPER}, which is that of a frame encoder's paper, but {without[0]} is none; "
                "name a loss, such as cross_entropy"
            )


def require_one_of(setting: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise StgtError if a setting is none of its choices."""
    if value not in choices:
        raise StgtError(f"{setting} is {value!r}; it is {', '.join(choices[:-1])} or {choices[-1]}")


def is_frame_model(name: str) -> bool:
    """Whether ``model.name`` names a frame encoder, so that the model reads face crops and no landmarks."""
    return name in FRAME_MODELS or name.startswith(FRAMES_PREFIX)


def parse_streams(text: str) -> tuple[str, ...]:
    """``"geometry,patches"`` -> ``("geometry", "patches")`` in canonical order.

    Raises:
        StgtError: an unknown stream, or geometry missing (every setting carries it).
    """
    wanted = names(text)
    unknown = [name for name in wanted if name not in STREAMS]
    if unknown:
        raise StgtError(f"unknown stream {unknown[0]!r}; the streams are {', '.join(STREAMS)}")
    if "geometry" not in wanted:
        raise StgtError("streams must contain geometry: it is the stream that the others are fused with")
    return tuple(name for name in STREAMS if name in wanted)


def parse_parts(text: str) -> tuple[str, ...]:
    """``"attention_pooling, graph"`` -> ``("graph", "attention_pooling")`` in canonical order.

    Raises:
        StgtError: stgt has no such part.
    """
    wanted = names(text)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        raise StgtError(f"model.without names {unknown[0]!r}; what can be left out is {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in wanted)


def to_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as plain values, for JSON and YAML."""
    return dataclasses.asdict(config)


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The inverse of ``to_dict``; a key that ``kind`` does not have is an error, an absent one takes its default.

    Raises:
        StgtError: an unknown key, or a value that its class refuses.
    """
    types = typing.get_type_hints(kind)
    unknown = [key for key in values if key not in types]
    if unknown:
        raise StgtError(f"{kind.__name__} has no setting {unknown[0]!r}; it has {', '.join(types)}")
    arguments = {
        key: from_dict(types[key], value)
        if dataclasses.is_dataclass(types[key]) and isinstance(value, Mapping)
        else value
        for key, value in values.items()
    }
    return kind(**arguments)


def names(text: str) -> tuple[str, ...]:
    """``"a, b"`` -> ``("a", "b")``: how lists are written in options."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
