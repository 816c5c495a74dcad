"""The cross-dataset matrix: every model scored on every dataset, one cell each, as tables."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stgt.evaluation.metrics import Interval, bootstrap_over_subjects, chance, score
from stgt.evaluation.predictions import PredictionTable, none_if_nan
from stgt.files import write_json, write_text


@dataclass(frozen=True)
class Cell:
    """What a model that was trained on one dataset makes of another, or of its own by folds.

    Attributes:
        trained: name of the row: the dataset that the model was trained on, or the model's own.
        tested: name of the column, a dataset.
        within: whether both are the same dataset, so that its models are those of folds that did not see the subjects.
        sentence: the protocol.
        uar: mean recall of the classes, a share of one; None if the cell could not be scored.
        war: share of clips that are right.
        uar_interval: 95 % over subjects.
        war_interval: the same.
        chance_uar: of knowing nothing.
        chance_war: of always naming the commonest class.
        clips: that were scored.
        subjects: whose they are.
        classes: that were scored.
        models: whose scores are averaged.
        subjects_known: otherwise the intervals are over clips.
    """

    trained: str
    tested: str
    within: bool
    sentence: str
    uar: float | None = None
    war: float | None = None
    uar_interval: Interval | None = None
    war_interval: Interval | None = None
    chance_uar: float | None = None
    chance_war: float | None = None
    clips: int = 0
    subjects: int = 0
    classes: tuple[str, ...] = ()
    models: int = 0
    subjects_known: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **vars(self),
            "classes": list(self.classes),
            "uar_interval": _pair(self.uar_interval),
            "war_interval": _pair(self.war_interval),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Cell":
        """The inverse of ``to_dict``."""
        intervals = {
            key: Interval(*values[key]) if values[key] is not None else None for key in ("uar_interval", "war_interval")
        }
        return Cell(**{**values, **intervals, "classes": tuple(values["classes"])})


def score_cell(trained: str, tested: str, within: bool, sentence: str, tables: Sequence[PredictionTable]) -> Cell:
    """A cell from the predictions of one or more models.

    Each model's clips count once, so that several models that read the same clips give the mean of their scores, and
    those of folds, which read different ones, the pooled score. The interval draws subjects, each with all that all
    models said about it: it says how the mean would move with other people.

    Args:
        trained: name of the row.
        tested: name of the column.
        within: as in ``Cell``.
        sentence: the protocol.
        tables: of the same labels, one per model.
    """
    table = stacked(tables)
    scores, intervals = score(table), bootstrap_over_subjects(table)
    chance_war, chance_uar = chance(table)
    clips = {clip_id for each in tables for clip_id in each.clip_ids}
    subjects = {subject for each in tables for subject in each.subjects}
    return Cell(
        trained,
        tested,
        within,
        sentence,
        uar=none_if_nan(scores.uar),
        war=none_if_nan(scores.war),
        uar_interval=intervals.uar,
        war_interval=intervals.war,
        chance_uar=none_if_nan(chance_uar),
        chance_war=none_if_nan(chance_war),
        clips=len(clips),
        subjects=len(subjects),
        classes=tuple(label for label in scores.labels if label not in scores.absent),
        models=len(tables),
        subjects_known=not any(each.strangers for each in tables),
    )


def stacked(tables: Sequence[PredictionTable]) -> PredictionTable:
    """The rows of several models, of which each may have read the same clips."""
    renamed = [
        PredictionTable(
            table.labels,
            tuple(f"{clip_id}#{model}" for clip_id in table.clip_ids),
            table.subjects,
            np.full(len(table), model),
            table.truth,
            table.probabilities,
        )
        for model, table in enumerate(tables)
    ]
    return PredictionTable.concat(renamed)


@dataclass(frozen=True)
class CrossMatrix:
    """All cells.

    Attributes:
        trained: names of the rows.
        tested: names of the columns.
        cells: in any order; a pair may lack one.
        titles: dataset -> its full name.
    """

    trained: tuple[str, ...]
    tested: tuple[str, ...]
    cells: tuple[Cell, ...]
    titles: Mapping[str, str]

    def cell(self, trained: str, tested: str) -> Cell | None:
        """The cell of a row and a column."""
        return next((cell for cell in self.cells if (cell.trained, cell.tested) == (trained, tested)), None)

    def values(self, measure: str) -> np.ndarray:
        """(R,C) of ``"uar"`` or ``"war"``; NaN where there is none."""
        rows = [[self.cell(trained, tested) for tested in self.tested] for trained in self.trained]
        return np.array(
            [[getattr(cell, measure) if cell and cell.uar is not None else np.nan for cell in row] for row in rows],
            dtype=float,
        )

    def elsewhere(self, measure: str) -> np.ndarray:
        """(R,) mean of a row's cells without that of its own dataset; NaN if there is none."""
        values = self.values(measure)
        own = np.array([[trained == tested for tested in self.tested] for trained in self.trained])
        others = np.isfinite(values) & ~own
        total = np.where(others, values, 0).sum(axis=1)
        return np.divide(total, others.sum(axis=1), out=np.full(len(total), np.nan), where=others.any(axis=1))

    def to_csv(self) -> str:
        """One line per cell."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        measures = ("uar", "uar_low", "uar_high", "war", "war_low", "war_high", "chance_uar", "chance_war")
        sizes = ("clips", "subjects", "classes", "models")
        writer.writerow(["trained_on", "tested_on", "within", *measures, *sizes, "protocol"])
        for cell in self.cells:
            uar, war = _pair(cell.uar_interval) or [None, None], _pair(cell.war_interval) or [None, None]
            values = [cell.uar, *uar, cell.war, *war, cell.chance_uar, cell.chance_war]
            written = ["" if value is None else f"{value:.6f}" for value in values]
            counts = [cell.clips, cell.subjects, len(cell.classes), cell.models]
            writer.writerow([cell.trained, cell.tested, int(cell.within), *written, *counts, cell.sentence])
        return file.getvalue()

    def to_markdown(self) -> str:
        """A table for UAR, one for WAR, and the protocol of every cell."""
        lines = ["# Cross-dataset matrix", "", INTRODUCTION, ""]
        for measure in ("uar", "war"):
            lines += [f"## {measure.upper()}, %", "", *self._table(measure), ""]
        lines += ["## Protocol of each cell", ""]
        lines += [f"- **{cell.trained} → {cell.tested}**: {cell.sentence}" for cell in self.cells]
        return "\n".join(lines) + "\n"

    def _table(self, measure: str) -> list[str]:
        values, elsewhere = self.values(measure), self.elsewhere(measure)
        rows = [["trained on ↓, tested on →", *self.tested, "mean elsewhere"]]
        for index, trained in enumerate(self.trained):
            cells = [self._text(trained, tested, measure) for tested in self.tested]
            rows.append([trained, *cells, "–" if np.isnan(elsewhere[index]) else f"{100 * elsewhere[index]:.1f}"])
        rows.insert(1, ["---", *["---:"] * (values.shape[1] + 1)])
        return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]

    def _text(self, trained: str, tested: str, measure: str) -> str:
        cell = self.cell(trained, tested)
        value = getattr(cell, measure) if cell else None
        if value is None:
            return "–"
        interval = getattr(cell, f"{measure}_interval")
        text = f"**{100 * value:.1f}**" if cell.within else f"{100 * value:.1f}"
        return text + (f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else "")

    def write(self, folder: Path) -> None:
        """Write matrix.json, matrix.csv and matrix.md."""
        document = {
            "trained": list(self.trained),
            "tested": list(self.tested),
            "titles": dict(self.titles),
            "note": INTRODUCTION,
            "uar": _nested(self.values("uar")),
            "war": _nested(self.values("war")),
            "cells": [cell.to_dict() for cell in self.cells],
        }
        write_json(folder / "matrix.json", document)
        write_text(folder / "matrix.csv", self.to_csv())
        write_text(folder / "matrix.md", self.to_markdown())


INTRODUCTION = (
    "Rows are what a model was trained on, columns what it was tested on. On the diagonal (bold) stand the folds of "
    "the dataset's own protocol: every clip is read by a model that has not seen its subject. Elsewhere every model of "
    "the row reads the whole dataset, and the figure is the mean of their scores. Brackets are 95 % intervals over "
    "subjects; over clips, and so likely too narrow, where nobody knows who is seen."
)


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _nested(values: np.ndarray) -> list[list[float | None]]:
    return [[none_if_nan(value) for value in row] for row in values]
