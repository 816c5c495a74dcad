"""The cross-dataset matrix as a figure."""

from typing import Any

import matplotlib.patches
import numpy as np
from matplotlib.figure import Figure

from stgt.evaluation.cross import Cell, CrossMatrix
from stgt.evaluation.plots import ACCENT, FAINT, INK, MUTED, style

#: Side of a cell in inches.
WIDE, HIGH = 1.38, 0.98
#: Up to so many columns the two measures stand side by side, beyond one below the other.
BESIDE = 4
#: From so much of the way from chance to 100 % on, text is white.
DARK = 0.8
#: Below so much of it, small text may be grey.
PALE = 0.15

_MEASURES = {"uar": "UAR, %: mean recall of the classes", "war": "WAR, %: share of clips that are right"}


def matrix_figure(matrix: CrossMatrix) -> Figure:
    """Two matrices, UAR and WAR: rows are trained on, columns tested on, the diagonal is framed.

    A cell shows the score, its 95 % interval and the number of classes; its colour goes from chance to 100 %, as cells
    with other classes have another chance. A cell without a score is hatched. At the right stands the mean of the cells
    of a row that are not on its own dataset.
    """
    rows, columns = len(matrix.trained), len(matrix.tested)
    side_by_side = columns <= BESIDE
    names = max(len(name) for name in matrix.trained) * 0.085
    width, height = names + WIDE * (columns + 1.25) + 0.3, HIGH * rows + 1.15
    with style():
        size = (2 * width, height) if side_by_side else (width, 2 * height)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(*((1, 2) if side_by_side else (2, 1)))
        for axes, measure in zip(panels, _MEASURES, strict=True):
            _panel(axes, matrix, measure)
        figure.supxlabel(_legend(matrix), fontsize=8, color=MUTED, x=0.01, ha="left")
    return figure


def _panel(axes: Any, matrix: CrossMatrix, measure: str) -> None:
    rows, columns = len(matrix.trained), len(matrix.tested)
    for row, trained in enumerate(matrix.trained):
        for column, tested in enumerate(matrix.tested):
            _cell(axes, row, column, matrix.cell(trained, tested), measure)
    for row, value in enumerate(matrix.elsewhere(measure)):
        text = "–" if np.isnan(value) else f"{100 * value:.1f}"
        axes.text(columns + 0.62, row + 0.5, text, ha="center", va="center", fontsize=11, color=INK)
    axes.set_xlim(0, columns + 1.1)
    axes.set_ylim(rows, 0)
    axes.set_aspect(HIGH / WIDE)
    axes.set_xticks([*(np.arange(columns) + 0.5), columns + 0.62], [*map(_broken, matrix.tested), "mean\nelsewhere"])
    axes.set_yticks(np.arange(rows) + 0.5, matrix.trained)
    axes.tick_params(axis="both", labelcolor=INK, labelsize=9.5)
    axes.xaxis.tick_top()
    axes.set_title(_MEASURES[measure], fontsize=11, fontweight="bold", pad=12)
    axes.set_ylabel("trained on")
    axes.set_xlabel("tested on")
    axes.xaxis.set_label_position("top")
    axes.spines[:].set_visible(False)


def _cell(axes: Any, row: int, column: int, cell: Cell | None, measure: str) -> None:
    box = {"xy": (column + 0.025, row + 0.025), "width": 0.95, "height": 0.95}
    value = getattr(cell, measure) if cell else None
    if value is None:
        hatched = {"facecolor": "none", "edgecolor": FAINT, "hatch": "////", "linewidth": 0}
        axes.add_patch(matplotlib.patches.Rectangle(**box, **hatched))
        return
    chance = getattr(cell, f"chance_{measure}")
    above = float(np.clip((value - chance) / max(1 - chance, 1e-9), 0, 1))
    axes.add_patch(matplotlib.patches.Rectangle(**box, facecolor=ACCENT, alpha=0.06 + 0.9 * above, linewidth=0))
    if cell.within:
        frame = {"facecolor": "none", "edgecolor": INK, "linewidth": 1.6}
        axes.add_patch(matplotlib.patches.Rectangle(**box, **frame))
    ink = "white" if above > DARK else INK
    quiet = MUTED if above < PALE else ink
    middle = {"ha": "center", "va": "center"}
    weight = "bold" if cell.within else "normal"
    axes.text(column + 0.5, row + 0.34, f"{100 * value:.1f}", fontsize=14, color=ink, fontweight=weight, **middle)
    interval = getattr(cell, f"{measure}_interval")
    if interval:
        text = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
        axes.text(column + 0.5, row + 0.62, text, fontsize=8, color=quiet, **middle)
    text = f"{len(cell.classes)} classes, chance {100 * chance:.1f}"
    axes.text(column + 0.5, row + 0.81, text, fontsize=6.8, color=quiet, **middle)


def _broken(name: str) -> str:
    """A long name on two lines."""
    if len(name) <= 14:
        return name
    cut = max((name.rfind(mark, 0, 15) for mark in "-_ @"), default=-1)
    cut = cut + 1 if cut > 3 else 14
    return f"{name[:cut]}\n{name[cut:]}"


def _legend(matrix: CrossMatrix) -> str:
    lines = [
        "Framed: within the dataset, by folds or on subjects held out; every clip is read by a model that has not seen "
        "its subject.",
        "Elsewhere: the mean of the row's models, each on the whole dataset. Small: 95 % interval over subjects. "
        "Colour: from chance to 100 %.",
    ]
    if not all(cell.subjects_known for cell in matrix.cells):
        lines.append("Where nobody knows who is seen, intervals are over clips, and likely too narrow.")
    if any(cell.uar is None for cell in matrix.cells):
        lines.append("Hatched: not scored; matrix.md says why.")
    return "\n".join(lines)
