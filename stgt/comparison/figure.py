"""The figure of a comparison: accuracy against cost, and the recall of every class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.patches
import matplotlib.patheffects
import matplotlib.ticker
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stgt.comparison.standings import Result, Standings
from stgt.comparison.table import Comparison, quantity
from stgt.evaluation.plots import ACCENT, INK, MUTED, PALETTE, style

#: Inches: the panel of cost, a class of the heat map, a method of it, the least height of a dataset.
WIDE, CELL_WIDE, CELL_HIGH, LEAST_HIGH = 5.6, 0.62, 0.36, 4.1
#: From so much of a class's recall on, text in a cell is white.
DARK = 0.55
#: Points between a mark and its name.
AWAY = 9
#: Height of a line of text in points.
LINE = 11.5


def comparison_figure(comparison: Comparison) -> Figure:
    """A row per dataset: UAR with 95 % intervals over the time of a window, and recall per class, best method first."""
    shown = [standings for standings in comparison.standings if standings.results]
    classes = max(len(standings.labels) for standings in shown)
    methods = max(len(standings.results) for standings in shown)
    names = 0.085 * max(len(result.method) for each in shown for result in each.results)
    high = max(LEAST_HIGH, CELL_HIGH * methods + 1.6)
    right = names + CELL_WIDE * (classes + 2.2)
    with style():
        figure = Figure(figsize=(WIDE + right + 0.4, high * len(shown) + 0.5), layout="constrained")
        panels = figure.subplots(len(shown), 2, squeeze=False, gridspec_kw={"width_ratios": [WIDE, right]})
        for (left_axes, right_axes), standings in zip(panels, shown, strict=True):
            _cost_panel(left_axes, standings)
            _recall_panel(right_axes, standings)
        figure.supxlabel(_legend(comparison), fontsize=8, color=MUTED, x=0.01, ha="left")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # names are placed beside marks once it is known where these are
        for (axes, _), standings in zip(panels, shown, strict=True):
            _name_marks(axes, standings, canvas)
    return figure


def _cost_panel(axes: Any, standings: Standings) -> None:
    results = standings.ranked
    times = [1000 * result.cost.seconds for result in results]
    for place, (result, milliseconds) in enumerate(zip(results, times, strict=True)):
        uar, interval = 100 * result.summary.pooled.uar, result.summary.intervals.uar
        colour = _colour(standings, place)
        if interval:
            axes.plot([milliseconds] * 2, [100 * interval.low, 100 * interval.high], color=colour, linewidth=1.1)
        axes.plot(milliseconds, uar, "o", markersize=_size(result), color=colour, markeredgecolor="white", zorder=3)
    chance = 100 * standings.chance[1]
    axes.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(1.01, chance, "chance", transform=axes.get_yaxis_transform(), ha="left", va="center", color=MUTED)
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2, max(times) * 3.2)
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    bounds = [bound for result in results if (bound := result.summary.intervals.uar)]
    low = min([100 * bound.low for bound in bounds] + [chance])
    high = max([100 * bound.high for bound in bounds] + [100 * results[0].summary.pooled.uar])
    axes.set_ylim(max(0, low - 5), min(101, high + 4))
    axes.set_xlabel("ms per window on one core, without finding the face")
    axes.set_ylabel("UAR, %")
    axes.grid()
    axes.set_axisbelow(True)
    pooled = results[0].summary.pooled
    title = f"{standings.title}" + (f" ({standings.dataset})" if standings.dataset != standings.title else "")
    axes.set_title(f"{title}: {pooled.clips} test clips of {pooled.subjects} people", fontweight="bold")


def _colour(standings: Standings, place: int) -> str:
    """The best is vermilion, what may be as good blue, what is clearly behind grey."""
    if place == 0:
        return PALETTE[1]
    return MUTED if standings.behind[standings.ranked[place].method].clear else ACCENT


def _size(result: Result) -> float:
    """Diameter of a mark in points; its area grows with the number of digits of its parameters."""
    return float(np.clip(4.5 + 2.6 * (np.log10(result.cost.parameters) - 4), 4.5, 15))


@dataclass
class _Label:
    """A name beside a mark; in points of the figure."""

    text: str
    mark: tuple[float, float]
    away: float  # the mark's diameter
    span: tuple[float, float]  # from the lower end of the interval to the upper
    wide: float
    left: float = 0.0
    middle: float = 0.0

    def meets(self, other: "_Label") -> bool:
        """Whether two names lie over each other."""
        beside = self.left + self.wide < other.left or other.left + other.wide < self.left
        return not beside and abs(self.middle - other.middle) < LINE

    def covers(self, other: "_Label") -> bool:
        """Whether the name lies over another's mark or interval."""
        x, (low, high) = other.mark[0], other.span
        beside = x < self.left - 4 or self.left + self.wide + 4 < x
        return not beside and low - LINE / 2 < self.middle < high + LINE / 2


def _name_marks(axes: Any, standings: Standings, canvas: FigureCanvasAgg) -> None:
    """Write the names to the right of their marks or to the left, moved up or down where others are in the way."""
    scale = 72 / axes.figure.dpi
    edge = axes.get_window_extent()
    renderer = canvas.get_renderer()
    labels = []
    for result in standings.ranked:
        point = (1000 * result.cost.seconds, 100 * result.summary.pooled.uar)
        mark = axes.transData.transform(point) * scale
        text = axes.text(*point, result.method, fontsize=8.5)
        wide = text.get_window_extent(renderer).width * scale
        text.remove()
        interval = result.summary.intervals.uar
        bounds = [100 * interval.low, 100 * interval.high] if interval else [point[1]] * 2
        low, high = (float(axes.transData.transform((point[0], bound))[1]) * scale for bound in bounds)
        away = _size(result)
        span = min(low, mark[1] - away / 2), max(high, mark[1] + away / 2)
        labels.append(_Label(result.method, (float(mark[0]), float(mark[1])), away, span, wide))
    box = edge.x0 * scale, edge.x1 * scale, edge.y0 * scale, edge.y1 * scale
    placed: list[_Label] = []
    for label in labels:
        _place(label, placed, labels, box)
        placed.append(label)
        end = label.left if label.left > label.mark[0] else label.left + label.wide
        text_point = axes.transData.inverted().transform((label.left / scale, label.middle / scale))
        if abs(label.middle - label.mark[1]) > LINE / 2:
            line = axes.transData.inverted().transform(
                [(label.mark[0] / scale, label.mark[1] / scale), (end / scale, label.middle / scale)]
            )
            axes.plot(line[:, 0], line[:, 1], color=MUTED, linewidth=0.6, alpha=0.6, zorder=1)
        halo = [matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")]
        axes.text(*text_point, label.text, fontsize=8.5, color=INK, va="center", ha="left", path_effects=halo)


def _place(label: _Label, placed: Sequence[_Label], every: Sequence[_Label], box: tuple[float, ...]) -> None:
    """Find the nearest free place beside a mark; the last one that was tried if there is none."""
    x, y = label.mark
    gap = label.away / 2 + AWAY - 5
    for step in range(24):
        shift = (step + 1) // 2 * LINE * 0.6 * (1 if step % 2 else -1)
        for left in (x + gap + abs(shift) * 0.15, x - gap - label.wide - abs(shift) * 0.15):
            label.left, label.middle = left, y + shift
            inside = left > box[0] and left + label.wide < box[1] and box[2] + 6 < label.middle < box[3] - 6
            others = [other for other in every if other is not label]
            if inside and not any(map(label.meets, placed)) and not any(map(label.covers, others)):
                return


def _recall_panel(axes: Any, standings: Standings) -> None:
    results, labels = standings.ranked, standings.labels
    for row, result in enumerate(results):
        pooled = result.summary.pooled
        for column, label in enumerate(labels):
            recall = pooled.recalls[label]
            box = {"xy": (column + 0.025, row + 0.03), "width": 0.95, "height": 0.94}
            axes.add_patch(
                matplotlib.patches.Rectangle(**box, facecolor=ACCENT, alpha=0.05 + 0.95 * recall, linewidth=0)
            )
            ink = "white" if recall > DARK else INK
            axes.text(column + 0.5, row + 0.5, f"{100 * recall:.0f}", ha="center", va="center", color=ink, fontsize=9)
        end = len(labels)
        axes.text(end + 0.55, row + 0.5, f"{100 * pooled.uar:.1f}", ha="center", va="center", color=INK, fontsize=9)
        size = quantity(result.cost.parameters)
        axes.text(end + 1.55, row + 0.5, size, ha="center", va="center", color=MUTED, fontsize=8.5)
    axes.set_xlim(0, len(labels) + 2.1)
    axes.set_ylim(len(results), 0)
    ticks = [*(np.arange(len(labels)) + 0.5), len(labels) + 0.55, len(labels) + 1.55]
    axes.set_xticks(ticks, [*labels, "UAR", "parameters"], rotation=35, ha="left", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(results)) + 0.5, [result.method for result in results])
    axes.tick_params(axis="both", labelcolor=INK)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.set_title("recall per class, %", pad=8)


def _legend(comparison: Comparison) -> str:
    lines = [
        "Vertical lines: 95 % intervals over test subjects. Orange: the best. Blue: not clearly behind it. Grey: "
        "clearly behind (paired over subjects, allowing for the number of comparisons).",
        "Larger marks: more parameters. All methods on the same clips and folds, each at the epoch that validation "
        "subjects chose.",
    ]
    if comparison.quick:
        lines.append("Quick setting: fewer epochs and folds, smaller pictures; what that changed stands in compare.md.")
    return "\n".join(lines)
