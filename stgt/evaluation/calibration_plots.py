"""Figures of calibration, in the style of all others."""

import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stgt.evaluation.calibration import BINS, COVERAGE, Calibration
from stgt.evaluation.plots import ACCENT, FAINT, INK, MUTED, style


def calibration_figure(calibration: Calibration) -> Figure:
    """Left the reliability diagram, right the accuracy over the coverage."""
    with style():
        figure = Figure(figsize=(7.8, 3.0), layout="constrained")
        reliability, coverage = figure.subplots(1, 2)
        _draw_reliability(reliability, calibration)
        _draw_coverage(coverage, calibration)
    return figure


def _draw_reliability(axes: Axes, calibration: Calibration) -> None:
    """Accuracy of each bin over its confidence; the share of the clips in it as pale bars."""
    middles = 100 * (np.arange(BINS) + 0.5) / BINS
    share = 100 * calibration.counts / max(calibration.counts.sum(), 1)
    axes.bar(middles, share, width=92 / BINS, color=FAINT, linewidth=0, label="share of the clips")
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    filled = calibration.counts > 0
    confidences, accuracies = 100 * calibration.confidences[filled], 100 * calibration.accuracies[filled]
    axes.plot(confidences, accuracies, color=ACCENT, linewidth=1.2, alpha=0.5)
    sizes = 10 + 90 * calibration.counts[filled] / max(calibration.counts.max(), 1)
    axes.scatter(confidences, accuracies, s=sizes, color=ACCENT, linewidths=0, zorder=3, label="accuracy")
    axes.set_title(f"reliability: ECE {100 * calibration.ece:.1f}")
    axes.set_xlabel("probability of the label, %")
    axes.set_ylabel("%")
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.legend(loc="upper left")


def _draw_coverage(axes: Axes, calibration: Calibration) -> None:
    """Accuracy over the share of the clips that are answered."""
    coverages, accuracies = 100 * calibration.coverages, 100 * calibration.selective
    at = 100 * calibration.accuracy_at(COVERAGE)
    axes.plot(coverages, accuracies, color=ACCENT, linewidth=1.8)
    axes.plot([100 * COVERAGE], [at], marker="o", markersize=5, color=ACCENT, markeredgewidth=0)
    axes.annotate(
        f"{at:.1f} at {100 * COVERAGE:.0f} %",
        (100 * COVERAGE, at),
        xytext=(-4, -14),
        textcoords="offset points",
        ha="right",
        color=INK,
    )
    axes.set_title("accuracy over coverage")
    axes.set_xlabel("share of the clips that are answered, %")
    axes.set_ylabel("accuracy, %")
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(matplotlib.ticker.MultipleLocator(20))
