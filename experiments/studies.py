"""What the studies over seeds share: trainings without a report, tables of mean and spread, a figure of dots."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stgt.config import TrainConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepare import prepare_clips
from stgt.data.preparation.prepared import Prepared
from stgt.data.protocols import Fold, make_folds
from stgt.evaluation.metrics import spread
from stgt.evaluation.plots import FAINT, INK, MUTED, PALETTE, style
from stgt.evaluation.predictions import PredictionTable
from stgt.learning.progress import ProgressBar
from stgt.learning.run import run_folder, run_models
from stgt.synthesize import main as synthesize
from stgt.train import Request, choose_folds, describe

#: Inches of the figure: a row, what is around the rows, a panel, a letter of a row's name.
ROW_HIGH, AROUND, PANEL_WIDE, LETTER = 0.34, 0.9, 2.3, 0.068


@dataclass(frozen=True)
class Material:
    """Clips on which the arms of a study are trained and tested.

    Attributes:
        config: of the trainings; name and seed are those of the arms.
        sentence: the protocol.
        folds: those that are run.
        labels: the classes in the order of the models' outputs.
        prepared: tracks and crops of all clips.
    """

    config: TrainConfig
    sentence: str
    folds: tuple[Fold, ...]
    labels: tuple[str, ...]
    prepared: Prepared

    @property
    def tested(self) -> dict[str, Clip]:
        """The test clips by their names."""
        return {clip.clip_id: clip for fold in self.folds for clip in fold.test}


def study_parser(text: str, root: str, output: str) -> argparse.ArgumentParser:
    """The options that all studies have; what they do not know is for the trainings."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=root, help="the rendered clips; made there if they are not there yet")
    parser.add_argument("--output", type=Path, default=Path(output), help="folder of the trainings, table and figure")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--quick", action="store_true", help="fewer clips and epochs: to see that it works")
    return parser


def rendered(root: str, options: Sequence[str]) -> str:
    """``root``, with clips of ``stgt synthesize`` in it: made with these options if there are none."""
    if not (Path(root) / "labels.csv").is_file():
        synthesize(["--out", root, *options])
    return root


def find_material(request: Request) -> Material:
    """The clips and folds of a training, prepared."""
    card, listing = request.find()
    config = replace(request.config, dataset=card.name)
    clips = card.protocol(config.protocol).used(listing.clips)
    folds = choose_folds(make_folds(card, listing.clips, config.protocol), config.fold)
    present = {clip.label for clip in clips}
    labels = tuple(name for name in listing.classes if name in present)
    prepared = prepare_clips(clips, cache=config.cache, workers=config.workers)
    return Material(config, describe(card, listing.clips, folds, config), tuple(folds), labels, prepared)


def fit(material: Material, config: TrainConfig) -> PredictionTable:
    """What a model says of the test clips; trained, unless a run of this name and these settings is finished."""
    folder = run_folder(config, material.prepared)
    with ProgressBar(len(material.folds) * config.optimisation.epochs) as progress:
        return run_models(config, material.folds, material.labels, material.prepared, folder, progress)[0].honest


def mean_and_spread(values: Sequence[float], scale: float = 100, digits: int = 1) -> str:
    """``61.5 ± 0.8``: mean and sample standard deviation over the seeds.

    >>> mean_and_spread([0.61, 0.62]), mean_and_spread([0.5], 1, 2)
    ('61.5 ± 0.7', '0.50')
    """
    found = spread([scale * value for value in values])
    return f"{found.mean:.{digits}f}" + ("" if np.isnan(found.sd) else f" ± {found.sd:.{digits}f}")


@dataclass(frozen=True)
class Panel:
    """One measure of all arms.

    Attributes:
        title: what is measured.
        values: an array for each row, a value for each seed.
        digits: of the numbers behind the dots.
        note: under the axis, such as which side is better.
    """

    title: str
    values: Sequence[Sequence[float]]
    digits: int = 1
    note: str = ""


def dot_figure(rows: Sequence[str], groups: Sequence[int], panels: Sequence[Panel]) -> Figure:
    """A row for each arm: a dot for each seed, a line at their mean, and both as numbers.

    Args:
        rows: names of the arms, from above.
        groups: number of the group of each row, which is its colour.
        panels: side by side.
    """
    names = LETTER * max(map(len, rows))
    size = names + PANEL_WIDE * len(panels), ROW_HIGH * len(rows) + AROUND
    with style():
        figure = Figure(figsize=size, layout="constrained")
        for number, (axes, panel) in enumerate(
            zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True)
        ):
            _draw_panel(axes, panel, groups)
            axes.set_yticks(range(len(rows)), rows if number == 0 else [""] * len(rows))
            axes.tick_params(axis="y", labelcolor=INK)
    return figure


def _draw_panel(axes: Axes, panel: Panel, groups: Sequence[int]) -> None:
    """The dots on the left, the numbers on the right of where the axis ends."""
    means = [float(np.mean(values)) for values in panel.values]
    least, most = (extreme(value for values in panel.values for value in values) for extreme in (min, max))
    room = (most - least) or abs(most) or 1.0
    begin, end = least - 0.12 * room, most + 0.12 * room
    axes.set_xlim(begin, end + 0.8 * room)
    for row, (values, mean, group) in enumerate(zip(panel.values, means, groups, strict=True)):
        colour = PALETTE[group]
        axes.hlines(row, begin, end, color=FAINT, linewidth=0.6, zorder=0)
        axes.plot(values, [row] * len(values), "o", markersize=4.5, color=colour, alpha=0.55, markeredgewidth=0)
        axes.plot([mean, mean], [row - 0.26, row + 0.26], color=colour, linewidth=2)
        axes.text(end + 0.06 * room, row, mean_and_spread(values, 1, panel.digits), va="center", fontsize=8, color=INK)
        if row and group != groups[row - 1]:
            axes.axhline(row - 0.5, color=MUTED, linewidth=0.6)
    axes.set_ylim(len(means) - 0.5, -0.5)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.note, loc="left")
    axes.set_xticks([tick for tick in MaxNLocator(4).tick_values(begin, end) if begin <= tick <= end])
    axes.spines["bottom"].set_bounds(begin, end)
    axes.spines["left"].set_visible(False)
