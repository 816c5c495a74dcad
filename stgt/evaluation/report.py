"""One self-contained HTML page about a training or evaluation run: no script, no link to anything outside the file."""

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stgt.errors import StgtError
from stgt.evaluation import plots
from stgt.evaluation.calibration import BINS
from stgt.evaluation.calibration_plots import calibration_figure
from stgt.evaluation.distributions import distribution_scores
from stgt.evaluation.metrics import Difference, Interval, Scores, Spread, Summary, chance, paired_difference, summarise
from stgt.evaluation.predictions import PredictionTable
from stgt.evaluation.recipe import recipe_sentences
from stgt.files import write_text

if TYPE_CHECKING:
    from stgt.graphs.layout import NodeLayout

#: Packages whose versions decide the numbers of a run.
_PACKAGES = ("stgt", "torch", "lightning", "torchmetrics", "torch-geometric", "timm", "mediapipe", "numpy")


@dataclass(frozen=True, eq=False)
class Attention:
    """Where a model looked, averaged over test clips.

    Attributes:
        nodes: label name -> (V,) attention of the nodes in clips of that label; None for a model without it.
        frames: (T,) attention of the frames of a window; None for a model without it.
        frame_rate: Hz, the rate of those frames.
    """

    nodes: Mapping[str, np.ndarray] | None = None
    frames: np.ndarray | None = None
    frame_rate: float | None = None


@dataclass(frozen=True, eq=False)
class ModelResult:
    """What one model did on the test clips of all folds; whatever is None or empty is left out of the page.

    Attributes:
        name: such as "stgt".
        honest: predictions at the epoch chosen without the test clips.
        description: one line about the model.
        parameters: number of weights.
        best_on_test: predictions at the epoch that was best on the test clips of each fold.
        curves: per fold, one mapping per epoch with ``epoch`` and any of ``train_loss``, ``validation_loss``,
            ``train_uar``, ``validation_uar``, ``test_uar``.
        chosen_epochs: the honest epoch of each fold.
        attention: where the model looked.
        layout: the nodes on which it looked.
        seconds: time for training all folds.
        temperatures: what each fold's logits were divided by, fitted without the test clips.
        labels: where the dataset's classes are not the model's, what becomes of each label: mappings with ``dataset``,
            ``clips``, ``model``, ``fate``.
        shares: clip id -> class -> true share of it, of the test clips that have shares.
    """

    name: str
    honest: PredictionTable
    description: str = ""
    parameters: int | None = None
    best_on_test: PredictionTable | None = None
    curves: Sequence[Sequence[Mapping[str, Any]]] = ()
    chosen_epochs: Sequence[int | None] = ()
    attention: Attention | None = None
    layout: "NodeLayout | None" = None
    seconds: float | None = None
    temperatures: Sequence[float] = ()
    labels: Sequence[Mapping[str, Any]] = ()
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ReportInput:
    """Everything that a report says.

    Attributes:
        title: heading of the page.
        dataset: name of the dataset.
        protocol: one sentence: how clips were split, and how the epoch was chosen.
        models: the first is the one that the others are compared with.
        command: the command line that makes the same run again.
        seed: of the run; None if nothing was drawn.
        versions: package -> version.
        config: all settings, nested as they are.
        published: mappings with ``method``, ``war``, ``uar`` (per cent or None), ``source``, ``note``.
        citation: how to cite the dataset.
        licence: of the dataset.
        skipped: clip id -> why it could not be used.
        created: when, as text.
    """

    title: str
    dataset: str
    protocol: str
    models: Sequence[ModelResult]
    command: str = ""
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=lambda: software_versions())
    config: Mapping[str, Any] = field(default_factory=dict)
    published: Sequence[Mapping[str, Any]] = ()
    citation: str = ""
    licence: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)
    created: str = field(default_factory=lambda: f"{datetime.datetime.now().astimezone():%d %B %Y, %H:%M %Z}")


def software_versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide the numbers."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def write_report(path: Path | str, report: ReportInput, repeats: int = 1000, seed: int = 0) -> Path:
    """Write ``report`` as one HTML file, atomically.

    Args:
        path: the file, such as ``runs/x/report.html``.
        report: what to say.
        repeats: bootstrap draws behind every confidence interval.
        seed: of these draws.

    Raises:
        StgtError: there is no model, or a model without a test clip.
    """
    import jinja2

    if not report.models or any(not len(model.honest) for model in report.models):
        raise StgtError(f"{path}: a report needs at least one model with at least one test clip")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=percent, interval=interval, spread=spread_text, duration=duration)
    template = environment.from_string(resources.files("stgt.evaluation").joinpath("report.html").read_text("utf-8"))
    models = [_model_view(model, repeats, seed) for model in report.models]
    first = report.models[0]
    chance_war, chance_uar = chance(first.honest)
    page = template.render(
        report=report,
        models=models,
        labels=first.honest.labels,
        pooled=models[0]["summary"].pooled,
        folds=list(models[0]["summary"].folds),
        chance_war=chance_war,
        chance_uar=chance_uar,
        subjects=subjects_text(models[0]["summary"].pooled, first.honest.strangers),
        strangers=first.honest.strangers,
        recipe=recipe_sentences(report.config),
        parts=_parts(models[0]["summary"]),
        labels_matched=first.labels,
        differences=_differences(report.models, repeats, seed),
        config=flatten(report.config),
        repeats=repeats,
        bin_count=BINS,
    )
    write_text(path, page)
    return Path(path)


def _model_view(model: ModelResult, repeats: int, seed: int) -> dict[str, Any]:
    """What the template needs to know about one model."""
    summary = summarise(model.honest, repeats, seed)
    best = summarise(model.best_on_test, repeats, seed) if model.best_on_test is not None else None
    curves = plots.learning_curves(model.curves, model.chosen_epochs) if model.curves else None
    return {
        "result": model,
        "summary": summary,
        "best": best,
        "confusion": plots.to_svg(plots.confusion_matrix(summary.pooled), f"Confusion matrix of {model.name}"),
        "calibration": plots.to_svg(
            calibration_figure(summary.calibration), f"Reliability, and accuracy over coverage, of {model.name}"
        ),
        "distribution": distribution_scores(model.honest, model.shares),
        "mistakes": mistakes(summary.pooled),
        "curves": plots.to_svg(curves, f"Learning curves of {model.name}") if curves else "",
        "faces": _faces(model),
        "regions": _regions(model),
        "frames": _frames(model),
        "folds": _folds(model, summary, best),
    }


def _parts(summary: Summary) -> dict[str, dict[str, Any]]:
    """Dataset -> what is true of its test clips whatever a model says; empty if the clips are not of several."""
    return {
        name: {
            "clips": part.scores.clips,
            "subjects": subjects_text(part.scores, part.strangers),
            "present": len(part.scores.labels) - len(part.scores.absent),
            "commonest": part.scores.support.max() / part.scores.clips,
            "absent": part.scores.absent,
        }
        for name, part in summary.datasets.items()
    }


def subjects_text(scores: Scores, strangers: int) -> str:
    """How many people are seen, as far as it is known: of ``strangers`` clips it is not."""
    if not strangers:
        return str(scores.subjects)
    return "unknown" if strangers == scores.clips else f"{scores.subjects - strangers}, others unknown"


def mistakes(scores: Scores, most: int = 3) -> list[dict[str, Any]]:
    """The commonest confusions: ``{"truth", "predicted", "count", "of"}``, most frequent first."""
    counts = scores.confusion - np.diag(np.diag(scores.confusion))
    found = []
    for flat in np.argsort(-counts, axis=None, kind="stable")[:most]:
        truth, predicted = np.unravel_index(flat, counts.shape)
        if counts[truth, predicted]:
            found.append(
                {
                    "truth": scores.labels[truth],
                    "predicted": scores.labels[predicted],
                    "count": int(counts[truth, predicted]),
                    "of": int(scores.support[truth]),
                }
            )
    return found


def _node_attention(model: ModelResult) -> dict[str, np.ndarray]:
    """Label -> attention of the nodes, in the order of the model's labels; empty if there is nothing to show it on."""
    nodes = model.attention.nodes if model.attention else None
    if not nodes or model.layout is None:
        return {}
    known = [label for label in model.honest.labels if label in nodes]
    return {label: nodes[label] for label in (*known, *(label for label in nodes if label not in known))}


def _faces(model: ModelResult) -> list[dict[str, str]]:
    """A face per label, all on one scale."""
    nodes = _node_attention(model)
    if not nodes:
        return []
    top = plots.strongest_attention(list(nodes.values()))
    return [
        {"label": label, "svg": plots.attention_on_face(model.layout, weights, top), "top": f"{top:.1f}"}
        for label, weights in nodes.items()
    ]


def _regions(model: ModelResult) -> dict[str, Any] | None:
    """Mean attention per facial region as a multiple of even attention, one row per label."""
    nodes = _node_attention(model)
    if not nodes or not model.layout.regions:
        return None
    regions = {name: np.asarray(ids, dtype=int) for name, ids in model.layout.regions.items() if len(ids)}
    rows = {
        label: [float(plots.times_uniform(weights)[ids].mean()) for ids in regions.values()]
        for label, weights in nodes.items()
    }
    strongest = max(max(row) for row in rows.values())
    return {"names": list(regions), "rows": rows, "strongest": max(strongest, 1.5)}


def _frames(model: ModelResult) -> str:
    if model.attention is None or model.attention.frames is None:
        return ""
    figure = plots.attention_over_time(model.attention.frames, model.attention.frame_rate)
    return plots.to_svg(figure, f"Attention of {model.name} over time")


def _folds(model: ModelResult, summary: Summary, best: Summary | None) -> list[dict[str, Any]]:
    """One row per fold."""
    epochs = dict(zip(summary.folds, model.chosen_epochs, strict=False))
    return [
        {
            "fold": fold,
            "scores": scores,
            "epoch": epochs.get(fold),
            "best": best.folds.get(fold) if best else None,
        }
        for fold, scores in summary.folds.items()
    ]


def _differences(models: Sequence[ModelResult], repeats: int, seed: int) -> list[dict[str, Any]]:
    """The first model minus every other one, where both read the same clips."""
    rows: list[dict[str, Any]] = []
    for other in models[1:]:
        row: dict[str, Any] = {"first": models[0].name, "other": other.name, "why": ""}
        try:
            difference = paired_difference(models[0].honest, other.honest, repeats, seed)
            row |= {"difference": difference, "verdict": _verdict(difference)}
        except StgtError as error:
            row["why"] = str(error)
        rows.append(row)
    return rows


def _verdict(difference: Difference) -> str:
    """What the interval of the UAR difference allows to say."""
    found = difference.intervals.uar
    if found is None:
        return "too few subjects to say"
    if 0.0 in found:
        return "no difference shown: the interval holds zero"
    return "better" if difference.uar > 0 else "worse"


def percent(value: float | None, signed: bool = False) -> str:
    """A share of one as per cent with one decimal; a dash where there is none.

    >>> percent(0.7142), percent(float("nan")), percent(0.05, signed=True)
    ('71.4', '–', '+5.0')
    """
    if value is None or np.isnan(value):
        return "–"
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}") if signed else f"{100 * value:.1f}"


def interval(value: Interval | None, signed: bool = False) -> str:
    """An interval of shares as text in per cent, or nothing."""
    return "" if value is None else f"{percent(value.low, signed)} to {percent(value.high, signed)}"


def spread_text(value: Spread) -> str:
    """Mean ± standard deviation in per cent."""
    return percent(value.mean) if np.isnan(value.sd) else f"{percent(value.mean)} ± {percent(value.sd)}"


def duration(seconds: float | None) -> str:
    """A time as people say it.

    >>> duration(42), duration(600), duration(7300)
    ('42 s', '10 min', '2 h 2 min')
    """
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as ``{"model.width": "64", …}``, by the names that the command line takes."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) or "–"
        else:
            flat[f"{prefix}{key}"] = "–" if value is None else str(value)
    return flat
