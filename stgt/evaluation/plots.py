"""The figures of reports and of ``predict``, in one quiet style.

A figure becomes an inline SVG for a page (its neutral colours are CSS variables of the page, so that it follows the
light or the dark theme) or a PNG for a file. Colours are those of Okabe & Ito ("Color universal design", 2008), which
stay apart for colour-blind readers; nothing is said by colour alone.
"""

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.patches
import matplotlib.ticker
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from stgt.evaluation.metrics import Scores
from stgt.files import atomic_path

if TYPE_CHECKING:
    from stgt.graphs.layout import NodeLayout

#: Okabe & Ito without black and yellow, which vanish on a dark or a light page; two quiet ones for more classes.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7A5195", "#8C8068")
ACCENT = PALETTE[0]

# Neutral colours. The SVG of a page has CSS variables in their place; a PNG shows them as they are.
INK, MUTED, FAINT = "#1f2731", "#68737f", "#d5dae0"
_GAP, _HATCH = "#eceff2", "#aeb6bf"
_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", FAINT: "var(--line)"}

#: From even attention or less (grey) to much (vermilion): readable on light and on dark pages.
ATTENTION_COLOURS = LinearSegmentedColormap.from_list("attention", ["#a9b4c0", "#E69F00", "#D55E00"])

_STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "text.color": INK,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",  # text stays text: sharp, selectable, in the page's own font
    "svg.hashsalt": "stgt",  # the same figure gives the same file
    "savefig.dpi": 160,
}


@contextmanager
def style() -> Iterator[None]:
    """The common style, for the time of a ``with`` block; the caller's own settings stay untouched."""
    with matplotlib.rc_context(_STYLE):
        yield


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an ``<svg>`` element for a page; ``description`` is read out by screen readers."""
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names that several figures of a page would share
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would hold for the whole page
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'(<svg[^>]*?) width="([\d.]+)pt" height="[\d.]+pt"', r'\1 style="width:\2pt"', svg, count=1)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()


def to_png(figure: Figure, path: Path | str) -> None:
    """Write the figure as a PNG on white."""
    with style(), atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight", pad_inches=0.15, facecolor="white")


def to_data_uri(figure: Figure) -> str:
    """The figure as a ``data:image/png;base64,…`` address on white, for pages that take pictures but no inline SVG."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.1, facecolor="white")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def confusion_matrix(scores: Scores) -> Figure:
    """Rows are the truth: the share of the row in per cent and, under it, the number of clips.

    A column ``no face`` appears if there were clips that could not be read.
    """
    counts, columns = scores.confusion, list(scores.labels)
    if scores.unread.any():
        counts, columns = np.column_stack([counts, scores.unread]), [*columns, "no face"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, width = counts.shape
    with style():
        figure = Figure(figsize=(1.3 + 0.62 * width, 1.0 + 0.62 * rows))
        axes = figure.add_subplot()
        for (row, column), share in np.ndenumerate(shares):
            _confusion_cell(axes, row, column, share, counts[row, column])
        axes.set_xlim(0, width)
        axes.set_ylim(rows, 0)
        axes.set_aspect("equal")
        axes.set_xticks(np.arange(width) + 0.5, columns, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(np.arange(rows) + 0.5, scores.labels)
        axes.xaxis.tick_top()
        axes.set_ylabel("truth")
        axes.set_xlabel("prediction: per cent of the row, clips below")
        axes.spines[:].set_visible(False)
    return figure


def _confusion_cell(axes: Any, row: int, column: int, share: float, count: int) -> None:
    # A colour of varying opacity instead of a colour map: it fades into a light and into a dark page alike.
    opacity = 0.06 + 0.94 * share
    square = (column + 0.03, row + 0.03), 0.94, 0.94
    axes.add_patch(matplotlib.patches.Rectangle(*square, facecolor=ACCENT, alpha=opacity, linewidth=0))
    if count:
        text = {"ha": "center", "va": "center", "color": "white" if share > 0.5 else INK}
        axes.text(column + 0.5, row + 0.44, f"{100 * share:.0f}", fontsize=10, **text)
        axes.text(column + 0.5, row + 0.76, f"{count}", fontsize=6.5, **text)


#: Learning curve key -> (panel, name in the legend).
_CURVES = {
    "train_loss": ("loss", "training"),
    "validation_loss": ("loss", "validation"),
    "train_uar": ("UAR", "training"),
    "validation_uar": ("UAR", "validation"),
    "test_uar": ("UAR", "test (not used to choose)"),
}
_CURVE_COLOURS = {"training": MUTED, "validation": PALETTE[0], "test (not used to choose)": PALETTE[1]}


def learning_curves(folds: Sequence[Sequence[Mapping[str, Any]]], chosen: Sequence[int | None] = ()) -> Figure | None:
    """A thin line per fold and a thick one for their mean; dots on the validation line mark the chosen epochs.

    Args:
        folds: per fold one mapping per epoch with ``epoch`` and any of ``train_loss``, ``validation_loss``,
            ``train_uar``, ``validation_uar``, ``test_uar`` (losses as they are, UAR as a share of one).
        chosen: the chosen epoch of each fold.

    Returns:
        The figure, or None if no curve has a value.
    """
    found = {
        key: [_series(fold, key) for fold in folds] for key in _CURVES if any(len(_series(fold, key)) for fold in folds)
    }
    panels = [panel for panel in ("loss", "UAR") if any(_CURVES[key][0] == panel for key in found)]
    if not panels:
        return None
    with style():
        figure = Figure(figsize=(3.9 * len(panels), 2.6), layout="constrained")
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
            scale = 100 if panel == "UAR" else 1
            for key, series in found.items():
                if _CURVES[key][0] != panel:
                    continue
                name = _CURVES[key][1]
                colour = _CURVE_COLOURS[name]
                if len(series) > 1:
                    for points in series:
                        axes.plot(*_columns(points, scale), color=colour, linewidth=0.7, alpha=0.3)
                axes.plot(*_columns(_mean_series(series), scale), color=colour, linewidth=1.8, label=name)
                if key == "validation_uar":
                    _mark_chosen(axes, series, chosen, scale, colour)
            axes.set_title("UAR, %" if panel == "UAR" else "loss")
            axes.set_xlabel("epoch")
            axes.grid(axis="y")
            if panel == "UAR":
                axes.set_ylim(0, 102)
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, nbins=6))
            axes.legend(loc="best")
    return figure


def attention_on_face(layout: "NodeLayout", weights: np.ndarray, top: float | None = None) -> str:
    """The reference face of ``layout`` as an ``<svg>``: nodes with more than even attention grow and take on colour.

    Drawn by hand: matplotlib would take ten times the characters for the same circles.

    Args:
        layout: node layout with V nodes.
        weights: (V,) attention of the nodes; only their proportions matter.
        top: multiple of even attention that gets the strongest colour, to share a scale between faces; none: see
            ``strongest_attention``.
    """
    top = strongest_attention([weights]) if top is None else top
    strength = np.clip((times_uniform(weights) - 1) / (top - 1), 0, 1)
    points = np.asarray(layout.reference, dtype=float)[:, :2]
    points = 10 + 200 * (points - points.min(axis=0)) / np.ptp(points[:, 1])
    width, height = points.max(axis=0) + 10
    lines = "".join("M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*points[edge].reshape(-1)) for edge in layout.edges)
    circles = "".join(
        f'<circle cx="{points[node, 0]:.1f}" cy="{points[node, 1]:.1f}" r="{1.8 + 4.4 * strength[node]:.1f}" '
        f'fill="{to_hex(ATTENTION_COLOURS(strength[node]))}"/>'
        for node in np.argsort(strength)  # the strongest on top
    )
    return (
        f'<svg role="img" aria-label="attention on a face" viewBox="0 0 {width:.0f} {height:.0f}">'
        f'<path d="{lines}" fill="none" stroke="var(--line)" stroke-width="0.8"/>{circles}</svg>'
    )


def strongest_attention(weights: Sequence[np.ndarray]) -> float:
    """The multiple of even attention at which the colours of several faces end: a single odd node must not set it."""
    return max(1.5, *(float(np.quantile(times_uniform(face), 0.98)) for face in weights))


def attention_over_time(frames: np.ndarray, frame_rate: float | None = None) -> Figure:
    """Bars of the attention that each of the T frames of a window gets; a line marks even attention.

    Args:
        frames: (T,) attention; only proportions matter.
        frame_rate: Hz, to label the axis in seconds; none: in frames.
    """
    relative = times_uniform(frames)
    times = np.arange(len(relative)) / (frame_rate or 1.0)
    step = 1.0 / (frame_rate or 1.0)
    with style():
        figure = Figure(figsize=(4.6, 1.7), layout="constrained")
        axes = figure.add_subplot()
        axes.bar(times, relative, width=0.78 * step, color=ACCENT, alpha=0.85, linewidth=0)
        axes.axhline(1.0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_xlim(times[0] - step, times[-1] + step)
        axes.set_ylabel("× even")
        axes.set_xlabel("seconds from the start of the window" if frame_rate else "frame of the window")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    return figure


def timeline(
    labels: Sequence[str],
    times: np.ndarray,
    probabilities: np.ndarray,
    gaps: Sequence[tuple[float, float]] = (),
    title: str = "",
    span: tuple[float, float] | None = None,
    min_confidence: float = 0.0,
) -> Figure:
    """One row per label with its probability over time: full colour where the label leads, grey where there is no face.

    Where no label is probable enough, none leads, and the rows are hatched in grey.

    Args:
        labels: K label names.
        times: (N,) seconds, the middles of the windows, rising.
        probabilities: (N, K); NaN rows where a window could not be read.
        gaps: (start, end) in seconds without a face.
        title: above the figure, such as the name of the video.
        span: seconds shown; none: from the first to the last of ``times``.
        min_confidence: the least probability that a label must have to lead.
    """
    times, probabilities = np.asarray(times, dtype=float), np.asarray(probabilities, dtype=float)
    start, end = span or ((times[0], times[-1]) if len(times) else (0.0, 1.0))
    end = max(end, start + 1e-3)
    # Every window holds from halfway to the one before to halfway to the next, so that short videos show too.
    edges = np.concatenate([[start], (times[1:] + times[:-1]) / 2, [end]]) if len(times) else np.array([start, end])
    seen, highest = np.isfinite(probabilities).all(axis=1), np.nan_to_num(probabilities).max(axis=1, initial=0.0)
    uncertain = seen & (highest < min_confidence)
    leading = np.where(seen & ~uncertain, np.nan_to_num(probabilities).argmax(axis=1), -1)
    with style():
        figure = Figure(figsize=(8.6, 0.7 + 0.44 * len(labels)))
        rows = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(hspace=0.18)
        for index, (label, axes) in enumerate(zip(labels, rows, strict=True)):
            colour = PALETTE[index % len(PALETTE)]
            if len(times):
                values = probabilities[:, index]
                lead = np.where(leading == index, values, np.nan)
                axes.stairs(values, edges, fill=True, color=colour, alpha=0.28, linewidth=0)
                axes.stairs(lead, edges, fill=True, color=colour, alpha=0.9, linewidth=0)
                hatch = {"facecolor": "none", "edgecolor": _HATCH, "hatch": "////", "linewidth": 0, "zorder": 2.5}
                axes.stairs(np.where(uncertain, 1.0, np.nan), edges, fill=True, **hatch)
            for gap in gaps:  # over the curves: windows reach into a gap from both sides, but nothing was seen there
                axes.axvspan(*gap, facecolor=_GAP, linewidth=0, zorder=3)
            axes.set_ylim(0, 1)
            axes.set_xlim(start, end)
            axes.set_yticks([])
            axes.axhline(0, color=FAINT, linewidth=1.2)
            axes.set_ylabel(label, rotation=0, ha="right", va="center", color=INK, fontsize=9.5)
            axes.spines[:].set_visible(False)
            if index < len(labels) - 1:
                axes.tick_params(labelbottom=False)
        notes = [*(["grey: no face"] if gaps else []), *(["hatched: uncertain"] if uncertain.any() else [])]
        rows[-1].set_xlabel("seconds" + (f" ({', '.join(notes)})" if notes else ""))
        rows[0].set_title(title, pad=8)
    return figure


def times_uniform(weights: np.ndarray) -> np.ndarray:
    """Attention weights as multiples of even attention: 1 everywhere if all were equal."""
    weights = np.asarray(weights, dtype=float).reshape(-1)
    total = weights.sum()
    return weights * len(weights) / total if total > 0 else np.ones_like(weights)


def _series(fold: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """(M, 2) epochs and values of ``key``, without epochs that lack it."""
    rows = [
        (epoch["epoch"], epoch[key]) for epoch in fold if epoch.get(key) is not None and np.isfinite(float(epoch[key]))
    ]
    return np.array(rows, dtype=float).reshape(-1, 2)


def _mean_series(series: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over folds at every epoch that any fold reached."""
    points = np.concatenate([points for points in series if len(points)])
    epochs = np.unique(points[:, 0])
    return np.column_stack([epochs, [points[points[:, 0] == epoch, 1].mean() for epoch in epochs]])


def _columns(points: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    return points[:, 0], points[:, 1] * scale


def _mark_chosen(
    axes: Any, series: Sequence[np.ndarray], chosen: Sequence[int | None], scale: float, colour: str
) -> None:
    """A dot where each fold's epoch was chosen."""
    for points, epoch in zip(series, chosen, strict=False):
        here = points[points[:, 0] == epoch] if epoch is not None else points[:0]
        if len(here):
            axes.plot(*_columns(here, scale), marker="o", markersize=4.5, color=colour, markeredgewidth=0)
