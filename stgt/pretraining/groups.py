"""Scores of a rendered test set by who the people are and what they do: fairness, intensity, speech."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from stgt.evaluation.metrics import score
from stgt.evaluation.predictions import PredictionTable

#: Years at which the age groups part.
AGES = (35, 50)
#: Shares of full intensity at which the groups part.
INTENSITIES = (0.5, 0.75)


def _age(row: Mapping[str, str]) -> str:
    young, middle = AGES
    years = float(row["age"])
    return f"under {young}" if years < young else f"{young} to {middle - 1}" if years < middle else f"{middle} and over"


def _intensity(row: Mapping[str, str]) -> str:
    mild, strong = INTENSITIES
    value = float(row["intensity"])
    if row["label"] == "neutral":
        return "neutral"
    if value < mild:
        return f"under {mild:.0%}"
    return f"{mild:.0%} to {strong:.0%}" if value < strong else f"over {strong:.0%}"


GROUPS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "ancestry": lambda row: row["ancestry"],
    "gender": lambda row: row["gender"],
    "age": _age,
    "intensity": _intensity,
    "speech": lambda row: "talking" if row["speaking"] == "1" else "silent",
}


def group_tables(predictions: PredictionTable, root: Path) -> str:
    """Markdown: clips, WAR, UAR and the recall of every class in each group.

    Args:
        predictions: of the clips of a rendered dataset; clip ids end in the path that labels.csv gives.
        root: folder of that dataset.
    """
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["clip"]: row for row in csv.DictReader(file)}
    found = [next(row for clip, row in rows.items() if _same(clip_id, clip)) for clip_id in predictions.clip_ids]
    lines = ["| group | | clips | WAR | UAR | " + " | ".join(predictions.labels) + " |"]
    lines.append("|---" * (5 + len(predictions.labels)) + "|")
    for group, name_of in GROUPS.items():
        names = np.array([name_of(row) for row in found])
        for name in sorted(set(names)):
            scores = score(predictions.select(names == name))
            recalls = ["" if np.isnan(recall) else f"{100 * recall:.0f}" for recall in scores.recalls.values()]
            measures = f"{scores.clips} | {100 * scores.war:.1f} | {100 * scores.uar:.1f}"
            lines.append(f"| {group} | {name} | {measures} | {' | '.join(recalls)} |")
    return "\n".join(lines) + "\n"


def _same(clip_id: str, path: str) -> bool:
    stem = path.rsplit(".", 1)[0]
    return clip_id.endswith((path, stem))
