"""The Lightning module of a student: what its teacher says of each step's windows comes on top of the true labels."""

from typing import Any

from torch import Tensor

from stgt.graphs.batch import WindowBatch
from stgt.learning.distillation.choice import LayerTransfer
from stgt.learning.distillation.config import DistillationConfig
from stgt.learning.distillation.layers import Seen, watching
from stgt.learning.distillation.masking import mask_frames
from stgt.learning.distillation.teaching import Teacher
from stgt.learning.distillation.terms import attention_transfer, soft_targets
from stgt.learning.distributed import processes, untouched
from stgt.learning.module import ExpressionModule


class DistillationModule(ExpressionModule):
    """Trains a student on the same augmented windows that its teacher reads at that moment.

    A teacher that sees what its student sees, mirrored and turned alike, teaches more than one whose answers were
    written down before (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022).

    Args:
        plain: trains the same student alone: its model, loss and settings are taken over.
        teacher: trained; nothing of it changes.
        lessons: what is taught, with which weight.
        channels: of the student's layers, by name.
        attention: which of ``nodes`` and ``frames`` the student chooses among.
    """

    def __init__(
        self,
        plain: ExpressionModule,
        teacher: Teacher,
        lessons: DistillationConfig,
        channels: dict[str, int],
        attention: frozenset[str],
    ) -> None:
        super().__init__(plain.model, plain.config, plain.loss, plain.clip_counts, plain.seed, plain.peak)
        self.teacher = teacher
        self.lessons = lessons
        self.attention = attention & teacher.attention
        self.layers = LayerTransfer(channels, teacher.channels) if lessons.layers else None

    def training_loss(self, batch: WindowBatch) -> Tensor:
        """The weighted sum of all that the student is held to."""
        lessons = self.lessons
        told, shown = self.teacher.teach(batch)
        batch = mask_frames(batch, lessons.masked_frames, self.model.window.frame_rate)
        with watching(self.model, batch.mask, batch.frames_mask) as seen:
            logits, extras = self.model.forward_training(**batch.inputs)
        terms = {"labels": (lessons.labels, self.loss.total(self.loss(logits, batch.target, extras)))}
        terms |= self.taught(logits, told, seen, shown, batch.mask)
        for name, (_, term) in terms.items():
            self._terms.setdefault(name, []).append(term.detach())
        loss = sum(weight * term for weight, term in terms.values())
        return loss + untouched(extras) if processes() > 1 else loss

    def taught(
        self, logits: Tensor, told: Tensor, seen: Seen, shown: Seen, mask: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        """What the teacher says, term by term, each with its weight."""
        lessons, terms = self.lessons, {}
        if lessons.logits:
            terms["logits"] = lessons.logits, soft_targets(logits.float(), told, lessons.temperature)
        if lessons.attention and self.attention:
            transferred = attention_transfer(seen.attention, shown.attention, mask, self.attention)
            terms["attention"] = lessons.attention, transferred
        if self.layers is not None:
            terms["layers"] = lessons.layers, self.layers(seen.layers, shown.layers)
        return terms

    def describe(self) -> dict[str, Any]:
        """What was taken over, in plain values."""
        return {
            "attention": sorted(self.attention) if self.lessons.attention else [],
            "layers": self.layers.describe() if self.layers is not None else {},
        }
