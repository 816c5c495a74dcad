"""What a model said about every clip: the table that metrics, reports and CSV files come from."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stgt.errors import StgtError
from stgt.files import atomic_path

#: What stands in for a label where nothing could be read, because no face was found.
NO_LABEL = "none"
#: What stands in for a label where the most probable one is less probable than was asked for.
UNCERTAIN = "uncertain"

_COLUMNS = ("clip_id", "subject", "fold", "label", "predicted", "confidence")
#: Stands after the subject where clips of several datasets are in one table.
_DATASET = "dataset"


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """One row per test clip.

    A clip in which no face was found keeps its row: its probabilities are NaN, its predicted label is ``"none"``, and
    it counts as a mistake. Dropping it would make a model look better on footage that it cannot read.

    Attributes:
        labels: the K class names, in the order of the columns of ``probabilities``.
        clip_ids: N clip names, each once.
        subjects: N subject names: the unit that is resampled for confidence intervals.
        folds: (N,) int, the fold in which the clip was a test clip.
        truth: N true label names.
        probabilities: (N, K) float, rows sum to one or are NaN throughout.
        datasets: N names of datasets where the clips are of several; else empty.
    """

    labels: tuple[str, ...]
    clip_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    folds: np.ndarray
    truth: tuple[str, ...]
    probabilities: np.ndarray
    datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("labels", "clip_ids", "subjects", "truth", "datasets"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        count = len(self.clip_ids)
        object.__setattr__(self, "folds", np.asarray(self.folds, dtype=np.int64).reshape(-1))
        probabilities = np.asarray(self.probabilities, dtype=np.float64).reshape(count, len(self.labels))
        object.__setattr__(self, "probabilities", probabilities)
        for name in ("subjects", "folds", "truth", *(("datasets",) if self.datasets else ())):
            if len(getattr(self, name)) != count:
                raise StgtError(f"PredictionTable: {count} clip_ids but {len(getattr(self, name))} {name}")
        if len(set(self.labels)) != len(self.labels):
            raise StgtError(f"PredictionTable: a label name stands twice in {', '.join(self.labels)}")
        if len(set(self.clip_ids)) != count:
            seen: set[str] = set()
            twice = next(clip for clip in self.clip_ids if clip in seen or seen.add(clip))
            raise StgtError(f"PredictionTable: clip {twice!r} stands twice; every test clip counts once")
        strangers = sorted(set(self.truth) - set(self.labels))
        if strangers:
            raise StgtError(
                f"the clips have the label {strangers[0]!r}, which the model does not know "
                f"(it knows {', '.join(self.labels)})"
            )

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def strangers(self) -> int:
        """Number of clips of which nobody knows who is seen: their own id stands in for the subject.

        A union of datasets writes a clip's id with a slash, and its subject with a colon, after the dataset.
        """
        pairs = zip(self.clip_ids, self.subjects, strict=True)
        return sum(subject in (clip_id, clip_id.replace("/", ":", 1)) for clip_id, subject in pairs)

    @property
    def read(self) -> np.ndarray:
        """(N,) bool: whether the clip could be read, that is, whether a face was found in it."""
        return np.isfinite(self.probabilities).all(axis=1)

    @property
    def truth_indices(self) -> np.ndarray:
        """(N,) int: the true label as a position in ``labels``."""
        index = {label: position for position, label in enumerate(self.labels)}
        return np.array([index[label] for label in self.truth], dtype=np.int64)

    @property
    def predicted_indices(self) -> np.ndarray:
        """(N,) int: the most probable label as a position in ``labels``; K where the clip could not be read."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        best = np.where(self.read[:, None], self.probabilities, 0.0).argmax(axis=1)
        return np.where(self.read, best, len(self.labels))

    @property
    def predicted(self) -> tuple[str, ...]:
        """N predicted label names; ``"none"`` where the clip could not be read."""
        names = (*self.labels, NO_LABEL)
        return tuple(names[index] for index in self.predicted_indices)

    @property
    def confidence(self) -> np.ndarray:
        """(N,) float: the probability of the predicted label; NaN where the clip could not be read."""
        return self.probabilities.max(axis=1) if len(self) else np.zeros(0)

    def select(self, rows: np.ndarray | Sequence[int]) -> "PredictionTable":
        """The rows given by indices or by a boolean mask."""
        rows = np.asarray(rows)
        rows = np.arange(len(self))[rows if rows.dtype == bool else rows.astype(np.int64)]
        return PredictionTable(
            labels=self.labels,
            clip_ids=tuple(self.clip_ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
            folds=self.folds[rows],
            truth=tuple(self.truth[row] for row in rows),
            probabilities=self.probabilities[rows],
            datasets=tuple(self.datasets[row] for row in rows) if self.datasets else (),
        )

    def fold(self, number: int) -> "PredictionTable":
        """The clips tested in fold ``number``."""
        return self.select(self.folds == number)

    def dataset(self, name: str) -> "PredictionTable":
        """The clips of the dataset ``name``."""
        return self.select([row for row, dataset in enumerate(self.datasets) if dataset == name])

    @staticmethod
    def concat(tables: Sequence["PredictionTable"]) -> "PredictionTable":
        """The rows of several tables (the folds of a run), which must have the same labels in the same order."""
        if not tables:
            raise StgtError("PredictionTable.concat needs at least one table")
        first = tables[0]
        for table in tables[1:]:
            if table.labels != first.labels:
                raise StgtError(
                    f"prediction tables with different labels cannot be joined: {', '.join(first.labels)} "
                    f"and {', '.join(table.labels)}"
                )
        return PredictionTable(
            labels=first.labels,
            clip_ids=sum((table.clip_ids for table in tables), ()),
            subjects=sum((table.subjects for table in tables), ()),
            folds=np.concatenate([table.folds for table in tables]),
            truth=sum((table.truth for table in tables), ()),
            probabilities=np.concatenate([table.probabilities for table in tables]),
            datasets=sum((table.datasets for table in tables), ()),
        )

    def to_csv(self, path: Path | str) -> None:
        """Write ``clip_id,subject,fold,label,predicted,confidence,p_<label>…``; what could not be read is left empty.

        Nine digits bring every float32 back as it was. Clips of several datasets have a column ``dataset`` besides.
        """
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*columns_of(bool(self.datasets)), *(f"p_{label}" for label in self.labels)])
            where = (self.datasets,) if self.datasets else ()
            rows = zip(
                self.clip_ids,
                self.subjects,
                *where,
                self.folds,
                self.truth,
                self.predicted,
                self.confidence,
                strict=True,
            )
            for (*fields, confidence), probabilities in zip(rows, self.probabilities, strict=True):
                writer.writerow([*fields, *(number(value) for value in (confidence, *probabilities))])

    @staticmethod
    def from_csv(path: Path | str) -> "PredictionTable":
        """Read what :meth:`to_csv` wrote.

        Raises:
            StgtError: the file is missing, or is not such a table.
        """
        path = Path(path)
        try:
            with path.open(newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file)) or [[]]
        except (OSError, UnicodeDecodeError) as error:
            raise StgtError(f"{path} cannot be read as a table of predictions: {error}") from error
        expected = columns_of(_DATASET in header)
        columns = tuple(header[: len(expected)])
        labels = tuple(name.removeprefix("p_") for name in header[len(expected) :])
        if columns != expected or not labels:
            raise StgtError(
                f"{path} is not a table of predictions: its columns should be {','.join(_COLUMNS)},p_<label>…"
            )
        try:
            cells = {name: [row[column] for row in rows] for column, name in enumerate(columns)}
            values = [[float(cell or "nan") for cell in row[len(columns) :]] for row in rows]
            return PredictionTable(
                labels=labels,
                clip_ids=tuple(cells["clip_id"]),
                subjects=tuple(cells["subject"]),
                folds=np.array([int(cell) for cell in cells["fold"]], dtype=np.int64),
                truth=tuple(cells["label"]),
                probabilities=np.array(values, dtype=np.float64),
                datasets=tuple(cells.get(_DATASET, ())),
            )
        except (ValueError, IndexError) as error:
            raise StgtError(f"{path} is damaged: a row does not fit its columns ({error})") from error


def columns_of(several: bool) -> tuple[str, ...]:
    """The columns before the probabilities; ``several`` if the clips are of several datasets."""
    return (*_COLUMNS[:2], _DATASET, *_COLUMNS[2:]) if several else _COLUMNS


def number(value: float) -> str:
    """A number as a CSV cell; an empty cell for NaN."""
    return "" if np.isnan(value) else f"{value:.9g}"


def none_if_nan(value: float) -> float | None:
    """A number for JSON, which has neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None
