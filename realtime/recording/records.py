"""Predictions as plain values: lines of ``--json`` and of recordings."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..frames import FaceState, LiveFace, LiveFrame

_NAMED = (FaceState.READING, FaceState.UNCERTAIN)


def face_record(live: LiveFrame, face: LiveFace) -> dict[str, Any]:
    """A prediction of one face as values for JSON; what is not known is null. The face must have a prediction."""
    prediction, labels = face.prediction, face.labels
    known = face.state in _NAMED
    return {
        "wall_s": round(live.wall_s, 3),
        "time_s": round(live.timestamp_s, 9),
        "start_s": round(prediction.start_s, 9),
        "end_s": round(prediction.end_s, 9),
        "face": face.face,
        "state": face.state.value,
        "label": face.label if known else None,
        "confidence": _number(face.confidence, 6),
        "valid_share": round(prediction.valid_share, 4),
        "probabilities": dict(zip(labels, (_number(p, 8) for p in face.probabilities), strict=True)),
        "raw_probabilities": dict(zip(labels, (_number(p, 8) for p in prediction.probabilities), strict=True)),
    }


class Records:
    """Turns frames into records: one for each prediction, and one when a face is lost."""

    def __init__(self) -> None:
        self._present: frozenset[int] = frozenset()

    def of(self, live: LiveFrame) -> list[dict[str, Any]]:
        """The records of the next frame."""
        present = frozenset(face.face for face in live.faces)
        lost = [_lost_record(live, face) for face in sorted(self._present - present)]
        self._present = present
        return lost + [face_record(live, face) for face in live.faces if face.is_new and face.prediction is not None]


def _lost_record(live: LiveFrame, face: int) -> dict[str, Any]:
    unknown = dict.fromkeys(live.labels)
    return {
        "wall_s": round(live.wall_s, 3),
        "time_s": round(live.timestamp_s, 9),
        "start_s": None,
        "end_s": None,
        "face": face,
        "state": FaceState.NO_FACE.value,
        "label": None,
        "confidence": None,
        "valid_share": None,
        "probabilities": unknown,
        "raw_probabilities": unknown,
    }


def json_line(record: dict[str, Any]) -> str:
    """A record as one line of JSON."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def csv_header(labels: Sequence[str]) -> str:
    """The first line of a table of records: smoothed probabilities are ``p_<label>``, bare ones ``raw_<label>``."""
    fields = ["wall_s", "time_s", "start_s", "end_s", "face", "state", "label", "confidence", "valid_share"]
    return _csv_line([*fields, *(f"p_{label}" for label in labels), *(f"raw_{label}" for label in labels)])


def csv_line(record: dict[str, Any]) -> str:
    """A record as a line of that table; what is not known is an empty cell."""
    values = [value for value in record.values() if not isinstance(value, dict)]
    return _csv_line([*values, *record["probabilities"].values(), *record["raw_probabilities"].values()])


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a ``.jsonl`` file; a last line that was cut off is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return


def values_of(probabilities: dict[str, float | None]) -> np.ndarray:
    """(K,) of a record's probabilities, NaN where they are not known."""
    return np.array([np.nan if value is None else value for value in probabilities.values()], np.float64)


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _csv_line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return buffer.getvalue()
