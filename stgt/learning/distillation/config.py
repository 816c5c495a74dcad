"""What can be asked of a distillation."""

from dataclasses import dataclass

from stgt.errors import StgtError


@dataclass(frozen=True)
class DistillationConfig:
    """What a student learns from its teacher; its model and its training are the options of ``stgt train``."""

    teacher: str
    """Run folder of stgt train, whose model of a fold teaches that fold; or a checkpoint, which teaches all of them."""
    student: str | None = None
    """The student's model by name, or a recipe (YAML) of stgt train; none: stgt, on geometry."""
    seeds: int = 1
    """So many students of each kind are trained, with the seeds from --seed on."""
    labels: float = 0.5
    """Weight of the ordinary loss on the true labels."""
    logits: float = 1.0
    """Weight of the teacher's probabilities at the temperature (Hinton et al., arXiv 1503.02531); 0: not taught."""
    temperature: float = 3.0
    """What both sides' logits are divided by there; the higher, the more the unlikely classes count."""
    attention: float = 0.5
    """Weight of looking where the teacher looks, at nodes and frames (Zagoruyko & Komodakis, ICLR 2017); 0: not
    taught."""
    layers: float = 0.1
    """Weight of the teacher's layers, of which it is learned what to take over, and into which layer; 0: not taught."""
    masked_frames: float = 0.0
    """Probability of hiding from the student each frame of a training window that the teacher sees; such as 0.2, for a
    student that is to do with fewer frames, and takes more epochs."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise StgtError(f"seeds is {self.seeds}; at least one student is trained")
        for name in ("labels", "logits", "attention", "layers"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise StgtError(f"{name} is {getattr(self, name)}; a weight is a number from 0 on")
        if not 0 < self.temperature < float("inf"):
            raise StgtError(f"temperature is {self.temperature}; it must be positive")
        if not 0 <= self.masked_frames < 1:
            raise StgtError(f"masked_frames is {self.masked_frames}; it is a probability, from 0 to below 1")
        if not (self.logits or self.attention or self.layers):
            raise StgtError("logits, attention and layers are all 0, so nothing is taught; give one of them a weight")
