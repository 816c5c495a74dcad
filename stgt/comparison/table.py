"""The table of a comparison: what each method scores and costs on each dataset, as Markdown, CSV and JSON."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stgt.comparison.standings import Behind, Result, Standings
from stgt.evaluation.metrics import Interval, intervals_dict
from stgt.evaluation.predictions import none_if_nan
from stgt.files import write_json, write_text


@dataclass(frozen=True)
class Comparison:
    """All methods on all datasets.

    Attributes:
        standings: one per dataset.
        quick: whether the settings are the quick ones.
        command: what was called.
    """

    standings: tuple[Standings, ...]
    quick: bool
    command: str

    def to_markdown(self) -> str:
        """Tables with the protocol of each score, and all that is to be said with them."""
        lines = ["# Comparison", "", f"    {self.command}", "", INTRODUCTION, ""]
        lines += [*quick_lines(self.standings), ""] if self.quick else []
        for standings in self.standings:
            lines += [f"## {standings.title}" + named(standings), ""]
            lines += [*protocol_lines(standings), ""] if standings.results else []
            lines += [*score_lines(standings), "", *recall_lines(standings), ""] if standings.results else []
            lines += [f"Not fitted yet: {', '.join(standings.pending)}.", ""] if standings.pending else []
            lines += ["Without a score:", ""] if standings.failures else []
            lines += [f"- **{method}**: {reason}" for method, reason in standings.failures.items()]
            lines += [""] if standings.failures else []
        return "\n".join(lines).rstrip("\n") + "\n"

    def to_csv(self) -> str:
        """One line per method and dataset; those without a score, too."""
        labels = list(dict.fromkeys(label for each in self.standings if each.results for label in each.labels))
        file = io.StringIO()
        writer = csv.DictWriter(file, [*COLUMNS, *(f"recall_{label}" for label in labels)], lineterminator="\n")
        writer.writeheader()
        for standings in self.standings:
            for result in standings.ranked:
                writer.writerow(csv_row(standings, result, self.quick))
            for method, reason in standings.failures.items():
                writer.writerow({"dataset": standings.dataset, "method": method, "failure": reason})
        return file.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "command": self.command,
            "quick": self.quick,
            "note": INTRODUCTION,
            "datasets": {standings.dataset: standings_dict(standings) for standings in self.standings},
        }

    def write(self, folder: Path) -> None:
        """Write compare.md, compare.csv and compare.json."""
        write_text(folder / "compare.md", self.to_markdown())
        write_text(folder / "compare.csv", self.to_csv())
        write_json(folder / "compare.json", self.to_dict())


INTRODUCTION = (
    "All methods of a table were trained on the same clips and scored on the same test clips of the same folds, each "
    "at the epoch that its validation subjects chose. WAR: share of clips that are right. UAR: mean recall of the "
    "classes. Brackets: 95 % intervals over test subjects. Behind: UAR of the best minus that of the method, in "
    "points, with the paired 95 % interval over subjects; * where it is above 0 even when the number of comparisons is "
    "allowed for (Bonferroni, 5 % together). The best was found on the same clips, so that its lead is somewhat "
    "flattered, and one seed is one seed. Costs are those of one window with all its frames, without finding the face: "
    "GFLOPs count a multiply-add as two and leave out everything but convolutions, matrix products and recurrent "
    "layers; ms are on one core."
)

COLUMNS = (
    *("dataset", "method", "title", "parameters", "gflops", "ms", "war", "war_low", "war_high", "uar", "uar_low"),
    *("uar_high", "behind", "behind_low", "behind_high", "clearly_behind", "ece", "kl_to_shares", "clips"),
    *("subjects", "training_minutes", "quick", "protocol", "failure"),
)


def protocol_lines(standings: Standings) -> list[str]:
    """The protocol; where not all methods have the same, whose each is."""
    sentences = standings.sentences
    if len(sentences) == 1:
        return [f"**Protocol:** {next(iter(sentences))}"]
    return [f"- **Protocol of {', '.join(methods)}:** {sentence}" for sentence, methods in sentences.items()]


def score_lines(standings: Standings) -> list[str]:
    """The table of scores and costs."""
    head = ["method", "parameters", "GFLOPs", "ms", "WAR, %", "UAR, %", "behind", "ECE, %", "training, min"]
    known = any(result.shares for result in standings.results)
    head += ["KL to true shares"] if known else []
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for place, result in enumerate(standings.ranked):
        pooled, intervals = result.summary.pooled, result.summary.intervals
        name = result.method + (f" ({result.title})" if result.title else "")
        rows.append(
            [
                f"**{name}**" if place == 0 else name,
                quantity(result.cost.parameters),
                f"{result.cost.flops / 1e9:.3g}",
                f"{1000 * result.cost.seconds:.3g}",
                percent(pooled.war, intervals.war),
                percent(pooled.uar, intervals.uar),
                "best" if place == 0 else behind_text(standings.behind[result.method]),
                f"{100 * result.summary.calibration.ece:.1f}",
                f"{result.seconds / 60:.1f}",
                *([f"{result.shares.kullback_leibler:.3f}" if result.shares else ""] if known else []),
            ]
        )
    war, uar = standings.chance
    last = ["chance", "", "", "", f"{100 * war:.1f}", f"{100 * uar:.1f}", "", "", ""]
    shares = standings.ranked[0].shares
    rows.append([*last, *([f"{shares.chance:.3f}" if shares else ""] if known else [])])
    return as_table(rows)


def recall_lines(standings: Standings) -> list[str]:
    """The recall of every class, per cent."""
    rows = [["recall, %", *standings.labels], ["---", *["---:"] * len(standings.labels)]]
    for result in standings.ranked:
        recalls = result.summary.pooled.recalls
        rows.append([result.method, *(f"{100 * recalls[label]:.0f}" for label in standings.labels)])
    return as_table(rows)


def quick_lines(standings: Sequence[Standings]) -> list[str]:
    """What the quick setting changed, of every method."""
    lines = ["**Quick setting**: scores are below those of whole trainings. What was changed for speed:", ""]
    told: dict[str, str] = {}
    for result in (result for each in standings for result in each.results):
        told.setdefault(result.method, quick_text(result) or "nothing")
    return [*lines, *(f"- **{method}**: {text}" for method, text in told.items())]


def quick_text(result: Result) -> str:
    """``"optimisation.epochs 12 instead of 40"``."""
    return ", ".join(f"{name} {after} instead of {before}" for name, (before, after) in result.quickened.items())


def as_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a Markdown table."""
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def named(standings: Standings) -> str:
    """The dataset's name where its title does not say it."""
    return "" if standings.dataset == standings.title else f" ({standings.dataset})"


def quantity(count: int) -> str:
    """``"1.23 M"``.

    >>> quantity(1_234_000), quantity(61_512), quantity(950)
    ('1.23 M', '61.5 k', '950')
    """
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def percent(value: float, interval: Interval | None) -> str:
    """``"71.2 [66.0, 76.1]"``."""
    return f"{100 * value:.1f}" + (f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else "")


def behind_text(behind: Behind) -> str:
    """``"4.1 [0.2, 8.0] *"``."""
    return percent(behind.difference.uar, behind.difference.intervals.uar) + (" *" if behind.clear else "")


def csv_row(standings: Standings, result: Result, quick: bool) -> dict[str, Any]:
    """A line of the CSV file; shares of one."""
    pooled, intervals = result.summary.pooled, result.summary.intervals
    behind = standings.behind.get(result.method)
    gap = behind.difference if behind else None
    row = {
        "dataset": standings.dataset,
        "method": result.method,
        "title": result.title,
        "parameters": result.cost.parameters,
        "gflops": f"{result.cost.flops / 1e9:.6g}",
        "ms": f"{1000 * result.cost.seconds:.6g}",
        **limits("war", pooled.war, intervals.war),
        **limits("uar", pooled.uar, intervals.uar),
        **(limits("behind", gap.uar, gap.intervals.uar) if gap else {}),
        "clearly_behind": int(behind.clear) if behind else "",
        "ece": f"{result.summary.calibration.ece:.6f}",
        "kl_to_shares": f"{result.shares.kullback_leibler:.6f}" if result.shares else "",
        "clips": pooled.clips,
        "subjects": pooled.subjects,
        "training_minutes": f"{result.seconds / 60:.2f}",
        "quick": quick_text(result) if quick else "",
        "protocol": result.sentence,
    }
    return row | {f"recall_{label}": f"{pooled.recalls[label]:.6f}" for label in standings.labels}


def limits(name: str, value: float, interval: Interval | None) -> dict[str, str]:
    """A value and its interval as three cells."""
    low, high = (interval.low, interval.high) if interval else (math.nan, math.nan)
    values = {name: value, f"{name}_low": low, f"{name}_high": high}
    return {key: "" if math.isnan(number) else f"{number:.6f}" for key, number in values.items()}


def standings_dict(standings: Standings) -> dict[str, Any]:
    """Plain values for JSON, methods in the order of their UAR."""
    methods = {}
    for result in standings.ranked:
        behind = standings.behind.get(result.method)
        gap = behind.difference if behind else None
        methods[result.method] = {
            "title": result.title,
            "protocol": result.sentence,
            "cost": asdict(result.cost),
            "seconds": result.seconds,
            "scores": result.summary.to_dict(),
            "true_shares": result.shares and result.shares.to_dict(),
            "behind": gap
            and {
                "war": none_if_nan(gap.war),
                "uar": none_if_nan(gap.uar),
                "confidence_intervals_95": intervals_dict(gap.intervals),
                "clear": behind.clear,
            },
            "quick": {name: list(values) for name, values in result.quickened.items()},
        }
    return {
        "title": standings.title,
        "methods": methods,
        "failures": dict(standings.failures),
        "pending": list(standings.pending),
    }
