"""What ``stgt synthesize`` can be asked for."""

from dataclasses import dataclass, replace
from typing import Any

from stgt.errors import StgtError
from stgt.synthetic.settings import PerformanceSettings

#: More than these is a slip of the hand: 10,000 subjects take days and 12 GB.
MOST_SUBJECTS, MOST_TAKES, MOST_FRAMES = 10_000, 1_000, 10_000
#: Kind of pictures -> suffix of their files.
STILLS = {"png": ".png", "jpeg": ".jpg"}


@dataclass(frozen=True)
class SynthesisConfig:
    """Which faces to make, and where."""

    out: str = ""
    """Folder of the dataset; empty: data/synthetic, of stills data/synthetic-stills."""

    subjects: int = 30
    """People; may be raised later."""

    takes: int = 2
    """Clips of each person and expression; may be raised later."""

    seed: int = 0
    """Fixes everything: the same seed gives the same clips."""

    frames: int = 32
    """Frames per clip."""

    frame_rate: float = 16.0
    """Hz."""

    size: int = 320
    """Width and height of the pictures, in pixels."""

    speech: float = 0.3
    """Share of clips in which the person talks, 0 to 1."""

    least_intensity: float = 0.3
    """Weakest expression: 1 is a full one, 0.15 is barely visible."""

    workers: int | None = None
    """Processes; none: one per core."""

    stills: str | None = None
    """Single pictures of the moment in which the expression is strongest, instead of clips: png or jpeg. Without a
    value: png."""

    blends: float = 0.0
    """Share of the clips or pictures, neutral ones aside, that blend two expressions; labels.csv then says how much of
    which. Without a value: 0.5."""

    def __post_init__(self) -> None:
        if not self.out:
            object.__setattr__(self, "out", "data/synthetic-stills" if self.stills else "data/synthetic")
        if self.stills not in (None, *STILLS):
            raise StgtError(f"--stills is {self.stills!r}; pictures are {' or '.join(STILLS)}")
        if not 0 <= self.blends <= 1:
            raise StgtError(f"--blends is {self.blends}; it is a share of the clips, between 0 and 1")
        for name, least in (("subjects", 1), ("takes", 1), ("seed", 0), ("frames", 2), ("size", 64)):
            if getattr(self, name) < least:
                raise StgtError(f"--{name} is {getattr(self, name)}; it must be at least {least}")
        for name, most in (("subjects", MOST_SUBJECTS), ("takes", MOST_TAKES), ("frames", MOST_FRAMES)):
            if getattr(self, name) > most:
                raise StgtError(f"--{name} is {getattr(self, name)}; it must be at most {most}")
        if not 0 <= self.speech <= 1:
            raise StgtError(f"--speech is {self.speech}; it is a share of the clips, between 0 and 1")
        if not 0.05 <= self.least_intensity <= 1:
            raise StgtError(f"--least_intensity is {self.least_intensity}; it must lie between 0.05 and 1")
        if not 1 <= self.frame_rate <= 240:
            raise StgtError(f"--frame_rate is {self.frame_rate}; it must lie between 1 and 240 Hz")
        if self.size > 2048 or self.size % 2:
            raise StgtError(f"--size is {self.size}; it must be an even number of pixels, at most 2048")
        if self.workers is not None and self.workers < 1:
            raise StgtError(f"--workers is {self.workers}; it must be at least 1")

    def settings(self) -> dict[str, Any]:
        """What must be the same for two runs to write into one folder."""
        names = ["seed", "frames", "frame_rate", "size", "speech", "least_intensity"]
        names += [name for name in ("stills", "blends") if getattr(self, name)]
        return {name: getattr(self, name) for name in names}

    def performance(self) -> PerformanceSettings:
        """What people do in the clips. Where blends are asked for there are no others, so that all shares are known."""
        settings = PerformanceSettings(speaking=self.speech, least_intensity=self.least_intensity)
        return replace(settings, blend=0.0) if self.blends else settings
