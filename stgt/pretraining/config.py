"""What ``stgt pretrain`` can be asked for."""

from dataclasses import dataclass, field

from stgt.config import AugmentationConfig, ModelConfig, OptimisationConfig, WindowConfig
from stgt.errors import StgtError


@dataclass(frozen=True)
class StreamConfig:
    """What the generated streams are like."""

    subjects: int = 8000
    """People."""
    neutral: float = 0.27
    """Share of the streams that end with a resting face, silent or talking."""
    contempt: float = 0.5
    """How often contempt, which a tracker hardly sees, is drawn relative to the other expressions."""
    happiness: float = 1.4
    """How often happiness, which people show most, is drawn relative to the others."""
    speaking: float = 0.5
    """Share of the moving streams in which the person talks."""
    least_intensity: float = 0.15
    """Weakest expression; 1 is the strongest, 0.15 is barely visible."""
    most_history_s: float = 8.0
    """Longest time before the last window, seconds."""
    earlier: float = 0.4
    """Share of the streams in which another expression was shown before."""
    undamped: float = 0.5
    """Share of the streams whose tracker damps less than the one that was measured."""
    still: float = 0.15
    """Share of the streams that are photographs shown for a while, not movement."""
    windows: int = 5
    """Windows that are read from a stream, if it is long enough."""


@dataclass(frozen=True)
class PretrainConfig:
    """Pretraining on generated streams, chosen and scored on rendered clips of other people."""

    output: str = "runs/pretraining"
    """Run folder; an interrupted run goes on there."""
    weights: str | None = None
    """Where the finished weights go besides, as NAME.safetensors; none: they stay in the run folder."""
    seed: int = 0
    """Of the streams, the initial weights and the order."""
    validation_subjects: int = 30
    """Rendered people on whom the epoch is chosen and the temperature fitted."""
    test_subjects: int = 48
    """Rendered people on whom the result is scored."""
    streams_per_epoch: int = 4096
    """Generated streams between two looks at the validation clips."""
    workers: int | None = None
    """Processes for rendering and tracking; none: all cores."""
    loader_workers: int = 2
    """Processes that generate streams while training."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu, mps."""
    model: ModelConfig = field(
        default_factory=lambda: ModelConfig(
            streams="geometry,actions", width=48, identity_dropout=0.1, dropout=0.1, pooling="peak"
        )
    )
    window: WindowConfig = field(default_factory=WindowConfig)
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(epochs=40, batch_size=24, label_smoothing=0.02, class_weights=False)
    )
    augmentation: AugmentationConfig = field(
        default_factory=lambda: AugmentationConfig(
            rotation_deg=2.0, scale=0.02, jitter=0.002, drop_frames=0.03, speed=0.0
        )
    )
    streams: StreamConfig = field(default_factory=StreamConfig)

    def __post_init__(self) -> None:
        for name in ("validation_subjects", "test_subjects", "streams_per_epoch"):
            if getattr(self, name) < 1:
                raise StgtError(f"--{name} is {getattr(self, name)}; it must be at least 1")
        if not 1 <= self.streams.subjects <= 1_000_000:
            raise StgtError(f"--streams.subjects is {self.streams.subjects}; it must lie between 1 and 1000000")
        if self.optimisation.targets != "single":
            raise StgtError(
                f"--optimisation.targets is {self.optimisation.targets}, but generated streams say themselves what "
                "they show; leave it out"
            )
        if self.weights is not None and not self.weights.endswith(".safetensors"):
            raise StgtError(f"--weights is {self.weights}; give a file name that ends in .safetensors")
