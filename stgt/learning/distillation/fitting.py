"""Fitting a student on one fold, by the teacher of this fold."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from stgt.engines.parity import random_windows
from stgt.evaluation.predictions import PredictionTable
from stgt.files import write_json
from stgt.learning.distillation.config import DistillationConfig
from stgt.learning.distillation.layers import channels_of
from stgt.learning.distillation.module import DistillationModule
from stgt.learning.distillation.teaching import Teacher, joint_settings
from stgt.learning.fitting import FoldFit, FoldTask
from stgt.learning.loaders import training_loader
from stgt.learning.module import ExpressionModule
from stgt.learning.progress import Progress
from stgt.learning.transfer import origin
from stgt.models.checkpoint import read_description, read_settings

#: In a fold's folder: what the student took over.
LESSONS = "lessons.json"


@dataclass(frozen=True, kw_only=True)
class DistillationTask(FoldTask):
    """A student on one fold, and who teaches it."""

    teacher: str
    """Its checkpoint."""
    lessons: DistillationConfig

    def new_fit(self, progress: Progress) -> "DistillationFit":
        """See ``FoldTask``."""
        return DistillationFit(self, progress)


class DistillationFit(FoldFit):
    """As a student alone is fitted, with a teacher beside it: the same weights to begin with, clips and windows."""

    task: DistillationTask

    def new_module(self, clip_counts: tuple[int, ...]) -> ExpressionModule:
        """See ``FoldFit``."""
        # First of all, so that it begins with the numbers that it would begin with alone.
        plain = super().new_module(clip_counts)
        teacher = Teacher.load(self.task.teacher, self.task.labels)
        windows = random_windows(self.task.model, self.task.config.window, 2)
        channels, attention = channels_of(plain.model.eval(), windows.inputs)
        plain.model.train()
        return DistillationModule(plain, teacher, self.task.lessons, channels, attention)

    def training_loader(self, processes: int) -> DataLoader:
        """Windows with all that the student or the teacher reads."""
        model = joint_settings(self.task.model, read_settings(self.task.teacher)[0])
        return training_loader(replace(self.task, model=model), self.fit_clips, self.seed, processes)

    def sources(self) -> dict[str, Any]:
        """See ``FoldFit``."""
        teacher = self.task.teacher
        return {**super().sources(), "distilled_from": origin(read_description(teacher), teacher)}

    def on_honest(self, predictions: PredictionTable, epoch: int) -> None:
        """See ``FoldFit``; also what the student has taken over by then."""
        super().on_honest(predictions, epoch)
        if self.module.trainer.is_global_zero:
            write_json(lessons_path(self.task.folder), self.module.describe())


def lessons_path(folder: Path) -> Path:
    """Where a fold keeps what its student took over."""
    return folder / LESSONS
