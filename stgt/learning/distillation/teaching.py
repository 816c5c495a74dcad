"""A teacher at work: what it says of the windows that its student is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stgt.config import ModelConfig, is_frame_model, parse_streams
from stgt.engines.parity import random_windows
from stgt.errors import StgtError
from stgt.graphs.batch import WindowBatch
from stgt.learning.distillation.layers import Seen, channels_of, watching
from stgt.models.checkpoint import load_checkpoint


@dataclass(eq=False)
class Teacher:
    """A trained model that teaches; it learns nothing itself.

    Not a module: what holds it does not save it, move it or set it to training.

    Attributes:
        model: in evaluation mode.
        order: (K,) where the student's labels stand among its own.
        temperature: of its calibration.
        channels: of its layers, by name.
        attention: which of ``nodes`` and ``frames`` it chooses among.
    """

    model: torch.nn.Module
    order: Tensor
    temperature: float
    channels: dict[str, int]
    attention: frozenset[str]

    @classmethod
    def load(cls, checkpoint: str, labels: Sequence[str]) -> "Teacher":
        """From a checkpoint, for a student of ``labels``.

        Raises:
            StgtError: it has other labels.
        """
        loaded = load_checkpoint(checkpoint)
        if set(loaded.labels) != set(labels):
            raise StgtError(f"the teacher {checkpoint} knows {', '.join(loaded.labels)}, not {', '.join(labels)}")
        inputs = random_windows(loaded.model_config, loaded.window, 2).inputs
        channels, attention = channels_of(loaded.model.requires_grad_(False), inputs)
        order = torch.tensor([loaded.labels.index(label) for label in labels])
        return cls(loaded.model, order, loaded.temperature, channels, attention)

    @torch.no_grad()
    def teach(self, batch: WindowBatch) -> tuple[Tensor, Seen]:
        """Logits (B, K) of its calibrated probabilities, in the order of the student's labels; and what it saw."""
        if self.order.device != batch.mask.device:
            self.model, self.order = self.model.to(batch.mask.device), self.order.to(batch.mask.device)
        with watching(self.model, batch.mask, batch.frames_mask) as seen:
            logits = self.model(**batch.inputs)
        return logits[:, self.order].float() / self.temperature, seen


def joint_settings(student: ModelConfig, teacher: ModelConfig) -> ModelConfig:
    """The settings of windows that hold what either of two models reads."""
    ours, theirs = parse_streams(student.streams), parse_streams(teacher.streams)
    # A frame encoder's name says that nothing else is read, which must be true of both.
    alone = is_frame_model(student.name) and is_frame_model(teacher.name)
    return replace(
        student,
        name=student.name if alone else "stgt",
        streams=",".join({**dict.fromkeys(ours), **dict.fromkeys(theirs)}),
        patch_size=teacher.patch_size if "patches" in theirs else student.patch_size,
        stream_frames=teacher.stream_frames if "frames" in theirs else student.stream_frames,
    )
