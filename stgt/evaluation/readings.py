"""What was read in videos, as tables, text and pictures."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stgt.evaluation.predictions import NO_LABEL, UNCERTAIN, number
from stgt.files import atomic_path
from stgt.files import write_json as write_json_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stgt.faces.tracks import LandmarkTrack
    from stgt.inference import Prediction, Reading

#: Columns of the table before the probabilities.
COLUMNS = ("source", "start_s", "end_s", "face", "label", "confidence", "valid_share")


def rows(predictions: Sequence["Prediction"]) -> list[dict[str, Any]]:
    """One mapping per window with ``COLUMNS`` and ``p_<label>`` for each label; NaN where there is no face."""
    return [
        {
            "source": prediction.source,
            "start_s": round(prediction.start_s, 4),
            "end_s": round(prediction.end_s, 4),
            "face": prediction.face,
            "label": prediction.label,
            "confidence": prediction.confidence,
            "valid_share": round(prediction.valid_share, 4),
            **{f"p_{name}": float(p) for name, p in zip(prediction.labels, prediction.probabilities, strict=True)},
        }
        for prediction in predictions
    ]


def write_csv(path: Path | str, labels: Sequence[str], predictions: Sequence["Prediction"]) -> None:
    """A line per window; what could not be read is an empty cell."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *(f"p_{label}" for label in labels)], lineterminator="\n")
        writer.writeheader()
        for row in rows(predictions):
            writer.writerow({key: number(value) if isinstance(value, float) else value for key, value in row.items()})


def write_json(path: Path | str, predictions: Sequence["Prediction"]) -> None:
    """A list with an object per window, with the columns of the CSV file; what could not be read is null."""
    cleaned = [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in rows(predictions)
    ]
    write_json_file(path, cleaned)


def no_face_spans(track: "LandmarkTrack") -> list[tuple[float, float]]:
    """The (start, end) in seconds in which a track has no face; a frame reaches halfway to its neighbours."""
    if not len(track):
        return []
    between = (track.times[1:] + track.times[:-1]) / 2
    edges = np.concatenate([track.times[:1], between, track.times[-1:]])
    changes = np.diff(np.concatenate([[0], (~track.valid).astype(np.int8), [0]]))
    firsts, ends = np.flatnonzero(changes == 1), np.flatnonzero(changes == -1)
    return [(float(edges[first]), float(edges[end])) for first, end in zip(firsts, ends, strict=True)]


def timeline_figure(reading: "Reading", title: str = "") -> "Figure":
    """Probabilities over the time of a source; times without a face are grey, uncertain ones hatched."""
    from stgt.evaluation import plots

    times = reading.track.times
    span = (float(times[0]), float(times[-1])) if len(times) else (0.0, 1.0)
    gaps = no_face_spans(reading.track)
    return plots.timeline(
        reading.labels, reading.times, reading.probabilities, gaps, title, span, reading.min_confidence
    )


def describe(reading: "Reading", most: int = 12) -> str:
    """A few lines for the terminal: neighbouring windows of one label together, then the whole source."""
    spans = label_spans(reading)
    width = max(map(len, (*reading.labels, "no face", UNCERTAIN)))
    lines = []
    for start, end, label, confidence, seen in spans[:most]:
        bar = "" if math.isnan(confidence) else f"{'█' * round(16 * confidence):<16} {confidence:.2f}"
        bar += f"  (a face in {100 * seen:.0f} % of it)" if 0 < seen < 0.5 else ""
        name = "no face" if label == NO_LABEL else label
        lines.append(f"  {start:7.1f} – {end:5.1f} s  {name:<{width}}  {bar}".rstrip())
    if len(spans) > most:
        lines.append(f"  … and {len(spans) - most} more")
    whole = reading.clip_probabilities
    if np.isfinite(whole).all():
        best = np.argsort(-whole)[:3]
        summary = ", ".join(f"{reading.labels[index]} {whole[index]:.2f}" for index in best)
        summary = f"{UNCERTAIN} ({summary})" if reading.label == UNCERTAIN else summary
    else:
        summary = "no face found"
    return "\n".join([*lines, f"  as a whole: {summary}"])


def label_spans(reading: "Reading") -> list[tuple[float, float, str, float, float]]:
    """``(start_s, end_s, label, mean confidence, mean valid share)`` of runs of windows with one label.

    A window speaks from halfway to the one before to halfway to the next, so that the runs leave no gap between them.
    """
    if not len(reading):
        return []
    times, labels = reading.times, [prediction.label for prediction in reading]
    edges = np.concatenate([[reading[0].start_s], (times[1:] + times[:-1]) / 2, [reading[-1].end_s]])
    breaks = [index for index in range(1, len(labels)) if labels[index] != labels[index - 1]]
    values = np.array([(prediction.confidence, prediction.valid_share) for prediction in reading])
    return [
        (float(edges[first]), float(edges[end]), labels[first], *map(float, values[first:end].mean(axis=0)))
        for first, end in zip([0, *breaks], [*breaks, len(labels)], strict=True)
    ]
