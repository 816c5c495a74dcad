"""What came of a distillation: one table of teacher, student alone and student taught, and what was taken over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stgt.data.preparation.prepared import Prepared
from stgt.engines.choice import best_times
from stgt.engines.engine import TorchEngine
from stgt.engines.parity import random_windows
from stgt.evaluation.calibration import calibration
from stgt.evaluation.metrics import Difference, Interval, Spread, Summary, paired_difference, score, spread, summarise
from stgt.evaluation.predictions import PredictionTable
from stgt.evaluation.report import ModelResult
from stgt.files import read_json
from stgt.learning.distillation.fitting import lessons_path
from stgt.learning.distillation.run import Distilled
from stgt.learning.results import model_result, summary_line
from stgt.models.checkpoint import load_checkpoint

#: What the rows are called.
TEACHER, STUDENT_ALONE, STUDENT_TAUGHT = "teacher", "student alone", "student distilled"


@dataclass(frozen=True, eq=False)
class Row:
    """One of the three, over all seeds.

    Attributes:
        name: what it is.
        table: its predictions of all seeds; a clip of each seed counts as a clip.
        summary: of these.
        war: over the seeds; the teacher is one.
        uar: over the seeds.
        ece: expected calibration error, over the seeds: of all together it would be that of other bins.
        parameters: of its model.
        milliseconds: to read one window on one thread.
    """

    name: str
    table: PredictionTable
    summary: Summary
    war: Spread
    uar: Spread
    ece: Spread
    parameters: int
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The three rows, and the student distilled minus each of the others on the same clips and seeds.

    Attributes:
        rows: teacher, student alone, student distilled.
        gain: over the student alone.
        gap: to the teacher.
        seeds: how many.
        taken: of the first fold and seed, what was taken over.
    """

    rows: tuple[Row, ...]
    gain: Difference
    gap: Difference
    seeds: int
    taken: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "seeds": self.seeds,
            "models": {
                row.name: {
                    "parameters": row.parameters,
                    "milliseconds_per_window": row.milliseconds,
                    "war": plain(row.war),
                    "uar": plain(row.uar),
                    "ece": plain(row.ece),
                    **row.summary.to_dict(),
                }
                for row in self.rows
            },
            "distilled_minus_alone": difference_dict(self.gain),
            "distilled_minus_teacher": difference_dict(self.gap),
            "taken_over": self.taken,
        }

    def to_markdown(self) -> str:
        """The table, what may be said of it, and what was taken over."""
        over = f", mean ± sd over {self.seeds} seeds" if self.seeds > 1 else ""
        lines = [
            f"| | parameters | ms per window, one thread | WAR{over} | UAR{over} | 95 % interval of UAR | ECE{over} |",
            "|---|---|---|---|---|---|---|",
            *(markdown_row(row) for row in self.rows),
            "",
            f"Student distilled minus student alone: {said(self.gain)}",
            f"Student distilled minus teacher: {said(self.gap)}",
        ]
        return "\n".join([*lines, *taken_over(self.taken.get("layers") or {})]) + "\n"


def compare(distilled: Distilled, repeats: int = 1000) -> Comparison:
    """The comparison of a finished distillation.

    The intervals draw subjects; all seeds of a subject go together, as its clips do.
    """
    seeds = [students.seed for students in distilled.students]
    tables = {
        TEACHER: [distilled.teacher] * len(seeds),
        STUDENT_ALONE: [students.alone.honest for students in distilled.students],
        STUDENT_TAUGHT: [students.taught.honest for students in distilled.students],
    }
    first = distilled.students[0]
    teacher = distilled.teachers.of(distilled.folds[0].index)
    cost = costs({TEACHER: teacher, STUDENT_TAUGHT: first.taught.folds[0].checkpoint})
    cost[STUDENT_ALONE] = cost[STUDENT_TAUGHT]  # the same model
    rows = tuple(
        make_row(name, parts, seeds, *cost[name], alone=name == TEACHER, repeats=repeats)
        for name, parts in tables.items()
    )
    joined = {row.name: row.table for row in rows}
    lessons = lessons_path(first.taught.folds[0].checkpoint.parent)
    return Comparison(
        rows=rows,
        gain=paired_difference(joined[STUDENT_TAUGHT], joined[STUDENT_ALONE], repeats),
        gap=paired_difference(joined[STUDENT_TAUGHT], joined[TEACHER], repeats),
        seeds=len(seeds),
        taken=read_json(lessons) if lessons.is_file() else {},
    )


def model_results(distilled: Distilled, prepared: Prepared) -> list[ModelResult]:
    """What a report shows of the first seed's students and their teacher: distilled, alone, teacher."""
    first, folds = distilled.students[0], distilled.folds
    taught = model_result(first.taught, folds, prepared)
    alone = model_result(first.alone, folds, prepared)
    checkpoints = [load_checkpoint(distilled.teachers.of(fold.index)) for fold in folds]
    teacher = ModelResult(
        name=f"{TEACHER} ({checkpoints[0].model_config.name})",
        honest=distilled.teacher,
        description=summary_line(checkpoints[0].model),
        parameters=sum(parameter.numel() for parameter in checkpoints[0].model.parameters()),
        temperatures=[loaded.temperature for loaded in checkpoints],
    )
    return [replace(taught, name=STUDENT_TAUGHT), replace(alone, name=STUDENT_ALONE), teacher]


def make_row(
    name: str,
    tables: Sequence[PredictionTable],
    seeds: Sequence[int],
    parameters: int,
    milliseconds: float,
    alone: bool,
    repeats: int,
) -> Row:
    """One of the three; ``alone`` says that it is the same for all seeds."""
    joined = join_seeds(tables, seeds)
    own = tables[:1] if alone else tables
    scores = [score(table) for table in own]
    return Row(
        name=name,
        table=joined,
        summary=summarise(joined, repeats),
        war=spread([one.war for one in scores]),
        uar=spread([one.uar for one in scores]),
        ece=spread([calibration(table).ece for table in own]),
        parameters=parameters,
        milliseconds=milliseconds,
    )


def join_seeds(tables: Sequence[PredictionTable], seeds: Iterable[int]) -> PredictionTable:
    """The predictions of several seeds as one table; subjects stay who they are."""
    tables = [
        replace(table, clip_ids=tuple(f"seed {seed}: {clip_id}" for clip_id in table.clip_ids))
        for table, seed in zip(tables, seeds, strict=True)
    ]
    return PredictionTable.concat(tables)


def costs(checkpoints: dict[str, Any], rounds: int = 30) -> dict[str, tuple[int, float]]:
    """Parameters, and milliseconds of one thread for a window, of models in turns."""
    found = {}
    for name, checkpoint in checkpoints.items():
        loaded = load_checkpoint(checkpoint)
        windows = random_windows(loaded.model_config, loaded.window, 1)
        seconds = best_times({name: TorchEngine(loaded.model)}, windows, rounds, longest_s=2.0)[name]
        parameters = sum(parameter.numel() for parameter in loaded.model.parameters())
        found[name] = parameters, 1000 * seconds
    return found


def taken_over(layers: dict[str, Any]) -> list[str]:
    """What a student took over of its teacher's layers, as lines of Markdown; none if nothing was taught of them."""
    if not layers:
        return []
    into = list(next(iter(layers.values()))["into"])
    rows = []
    for name, layer in layers.items():
        shares = " | ".join(f"{layer['into'][key]:.2f}" for key in into)
        rows.append(f"| {name} | {layer['weight']:.2f} | {shares} |")
    return [
        "",
        "What the student took over: the learned weight of each layer of the teacher, and the shares in which it went",
        "into the student's layers (first fold and seed)",
        "",
        "| teacher's layer | weight | " + " | ".join(into) + " |",
        "|---|---" + "|---" * len(into) + "|",
        *rows,
    ]


def markdown_row(row: Row) -> str:
    """A row of the table."""
    found = row.summary.intervals.uar
    interval = "–" if found is None else f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    return (
        f"| {row.name} | {row.parameters:,} | {row.milliseconds:.2f} | {percent(row.war)} | {percent(row.uar)} | "
        f"{interval} | {percent(row.ece)} |"
    )


def percent(value: Spread) -> str:
    """In per cent, with the deviation where there is one."""
    return f"{100 * value.mean:.1f}" + ("" if np.isnan(value.sd) else f" ± {100 * value.sd:.1f}")


def said(difference: Difference) -> str:
    """A difference in points of UAR and WAR, and whether it may be believed."""
    found: Interval | None = difference.intervals.uar
    text = f"UAR {100 * difference.uar:+.1f}, WAR {100 * difference.war:+.1f} points"
    if found is None:
        return f"{text}; too few subjects for an interval"
    verdict = "which holds zero: no difference shown" if 0.0 in found else "which does not hold zero"
    return f"{text}; 95 % interval of the UAR difference {100 * found.low:+.1f} to {100 * found.high:+.1f}, {verdict}"


def plain(value: Spread) -> dict[str, float | None]:
    """Plain values for JSON."""
    return {"mean": value.mean, "sd": None if np.isnan(value.sd) else value.sd}


def difference_dict(difference: Difference) -> dict[str, Any]:
    """Plain values for JSON."""
    found = difference.intervals.uar
    return {
        "war": difference.war,
        "uar": difference.uar,
        "uar_confidence_interval_95": None if found is None else [found.low, found.high],
    }
