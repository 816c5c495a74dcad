"""Who teaches: a trained model for every fold, that has seen none of the fold's test subjects."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stgt.config import ModelConfig, WindowConfig, parse_streams
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.models.checkpoint import PRETRAINED, read_description, read_settings, seen_subjects

#: Folders between those of the folds and that of their run: RUN/seed_0/distilled/fold_0.
DEPTH = 2
#: Of a fold's folder: the weights of its model, and what marks it as finished.
WEIGHTS, FINISHED = "model.safetensors", "fold.json"


@dataclass(frozen=True)
class Teachers:
    """The teacher as it was given: a run's models, each for its fold, or one for all folds.

    Attributes:
        given: folder, file or ``pretrained``.
        folder: that holds ``fold_0`` and so on; None for a single checkpoint.
    """

    given: str
    folder: Path | None = None

    @classmethod
    def find(cls, given: str) -> "Teachers":
        """The teacher at a path, or ``pretrained``.

        Raises:
            StgtError: there is none.
        """
        path = Path(given)
        if given == PRETRAINED or path.suffix in (".safetensors", ".json"):
            read_description(given)
            return cls(given)
        if not path.is_dir():
            raise StgtError(f"--teacher {given} is neither a run folder of stgt train nor a checkpoint (.safetensors)")
        model = ModelConfig(name=run_settings(path).get("model", {}).get("name", ModelConfig.name))
        for folder in (path, path / model.folder_name):
            if finished_folds(folder):
                return cls(given, folder)
        raise StgtError(f"--teacher {given} holds no trained fold; give the run folder of a finished stgt train")

    def of(self, fold: int) -> str:
        """The checkpoint that teaches a fold.

        Raises:
            StgtError: the run has no model of this fold.
        """
        if self.folder is None:
            return self.given
        if fold not in finished_folds(self.folder):
            raise StgtError(
                f"the teacher's run {self.given} has not finished fold {fold}; finish it with stgt train, or choose "
                "another with --fold"
            )
        return str(self.folder / f"fold_{fold}" / WEIGHTS)

    @property
    def first(self) -> str:
        """The checkpoint of the first fold that there is; all have the same settings."""
        return self.given if self.folder is None else self.of(min(finished_folds(self.folder)))

    @property
    def settings(self) -> tuple[ModelConfig, WindowConfig]:
        """Of its model and windows."""
        return read_settings(self.first)

    @property
    def run(self) -> dict[str, Any]:
        """The settings of its training; empty where they are not beside it."""
        return next(filter(None, map(run_settings, self.above)), {})

    @property
    def above(self) -> list[Path]:
        """The folders that may be of its run: that of its folds, and those around it; a student may teach, too."""
        return [] if self.folder is None else [self.folder, *list(self.folder.absolute().parents)[:DEPTH]]

    def fingerprint(self) -> str:
        """What tells it from any other teacher: the settings of its run, which decide its weights, or these."""
        for folder in self.above:
            marker = folder / "settings.json"
            if marker.is_file():
                within = self.folder.absolute().relative_to(folder.absolute()).as_posix()
                return hashlib.sha256(marker.read_bytes() + within.encode()).hexdigest()[:16]
        return read_description(self.first)["weights_sha256"]

    def require_unseen(self, folds: Sequence[Fold], dataset: str) -> None:
        """Make sure that no teacher has seen a subject that its student is tested on.

        Raises:
            StgtError: one has, itself or through models that it comes from.
        """
        for fold in folds:
            path = self.of(fold.index)
            leaked = sorted(seen_subjects(read_description(path), dataset) & {clip.subject for clip in fold.test})
            if leaked:
                others = f" (and {len(leaked) - 1} more)" if len(leaked) > 1 else ""
                raise StgtError(
                    f"the teacher {path} was trained on the subject {leaked[0]}{others}, on whom fold {fold.index} "
                    "tests the student: the score would be a leak; give the run folder of a training by the same "
                    "protocol, whose models teach their own folds"
                )

    def require_labels(self, folds: Sequence[Fold], labels: Sequence[str]) -> None:
        """Make sure that the teachers know the student's classes, and no others.

        Raises:
            StgtError: they know others.
        """
        for fold in folds:
            path = self.of(fold.index)
            known = read_description(path)["labels"]
            if set(known) != set(labels):
                raise StgtError(
                    f"the teacher {path} knows {', '.join(known)}, but the student is to learn {', '.join(labels)}: "
                    "both need the same labels; train the teacher on this dataset and protocol"
                )

    def require_fitting(self, model: ModelConfig, window: WindowConfig) -> None:
        """Make sure that both can be shown the same windows.

        Raises:
            StgtError: the student reads other windows or nodes than its teacher.
        """
        theirs, their_window = self.settings
        ours, their_streams = parse_streams(model.streams), parse_streams(theirs.streams)
        pairs = [
            ("window.frames", window.frames, their_window.frames),
            ("window.frame_rate", window.frame_rate, their_window.frame_rate),
            ("model.layout", model.layout, theirs.layout),
        ]
        for stream, setting in (("patches", "patch_size"), ("frames", "stream_frames")):
            if stream in ours and stream in their_streams:
                pairs.append((f"model.{setting}", getattr(model, setting), getattr(theirs, setting)))
        for setting, value, wanted in pairs:
            if value != wanted:
                raise StgtError(
                    f"the student's {setting} is {value}, but its teacher {self.given} has {wanted}, and both are "
                    "shown the same windows; leave the option out, or train a teacher with it"
                )


def finished_folds(folder: Path) -> list[int]:
    """The folds whose models in ``folder`` are finished."""
    numbers = (path.parent.name.removeprefix("fold_") for path in folder.glob(f"fold_*/{FINISHED}"))
    return [int(number) for number in numbers if number.isdigit() and (folder / f"fold_{number}" / WEIGHTS).is_file()]


def run_settings(folder: Path) -> dict[str, Any]:
    """What the run in a folder was asked for; empty where that cannot be read."""
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return settings if isinstance(settings, dict) else {}


def student_defaults(teachers: Teachers) -> dict[str, Any]:
    """Dotted options that a student shares with its teacher, unless it is told otherwise: data, windows, nodes."""
    model, window = teachers.settings
    run = teachers.run
    wanted = ("dataset", "root", "cache", "protocol", "subject_pattern", "subject_csv", "validation", "train_subjects")
    options = {name: run[name] for name in wanted if run.get(name) is not None}
    options |= {f"window.{name}": value for name, value in vars(window).items()}
    options |= {f"model.{name}": getattr(model, name) for name in ("layout", "stream_frames", "patch_size", "pooling")}
    return options
