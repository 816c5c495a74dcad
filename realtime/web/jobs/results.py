"""Results: what clients are told of a file that was read, as files in the job's folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from stgt.evaluation import readings as tables
from stgt.evaluation.predictions import NO_LABEL
from stgt.faces.tracks import LandmarkTrack
from stgt.inference import Prediction, Reading

from ...people.person import box_of
from .job import Job

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

    from ..decoding import ChildSource
    from .photos import PhotoFace
    from .videos import VideoReading

#: Names of the files in a job's folder.
RESULT, CSV, JSON, ANNOTATED = "result.json", "predictions.csv", "predictions.json", "annotated.mp4"
#: In a mesh: where there is no face.
NOWHERE = -32768

Box = Annotated[list[float], Field(min_length=4, max_length=4, description="x0, y0, x1, y1 in pixels of the picture.")]


class WindowResult(BaseModel):
    """What is said of one window of time."""

    start_s: float
    end_s: float
    time_s: float = Field(description="The middle, for which it speaks best.")
    label: str
    confidence: float | None
    probabilities: list[float] | None
    valid_share: float = Field(description="Share of its frames that hold the face.")


class PersonResult(BaseModel):
    """What is said of a person in a video; null where they are not seen."""

    face: int
    label: str
    confidence: float | None
    probabilities: list[float] | None = Field(description="Of the whole video.")
    first_s: float
    last_s: float
    seen_s: float
    seconds: dict[str, float] = Field(description="Of seen_s, how long each label was the one that was said.")
    windows: list[WindowResult]
    boxes: list[Box | None] = Field(description="Per frame.")


class VideoResult(BaseModel):
    """What was read in a video."""

    kind: Literal["video"] = "video"
    name: str
    labels: list[str]
    image_size: tuple[int, int]
    duration_s: float
    frame_rate: float
    times: list[float] = Field(description="Of each frame, in seconds.")
    notes: list[str]
    people: list[PersonResult]


class PhotoFaceResult(BaseModel):
    """What is said of a face in a photo."""

    face: int
    box: Box
    label: str
    confidence: float | None
    probabilities: list[float] | None
    nodes: list[tuple[float, float]] = Field(description="x, y of the model's nodes, in pixels of the picture.")


class PhotoResult(BaseModel):
    """What was read in a photo."""

    kind: Literal["photo"] = "photo"
    name: str
    labels: list[str]
    image_size: tuple[int, int]
    notes: list[str]
    people: list[PhotoFaceResult]


def mesh_name(face: int) -> str:
    """The file of a face's mesh."""
    return f"mesh-{face}.bin"


def keep_video(job: Job, source: "ChildSource", reader: "ExpressionReader", video: "VideoReading") -> None:
    """Write what was read in a video: the result, the tables, a mesh for each person, and the tracks."""
    times, readings = video
    seen = [reading for reading in readings if reading.track.valid.any()]
    job.readings = [list(reading) for reading in seen]
    result = VideoResult(
        name=source.name,
        labels=list(reader.labels),
        image_size=source.image_size,
        duration_s=float(times[-1] - times[0]) if len(times) else 0.0,
        frame_rate=source.frame_rate,
        times=np.round(times, 4).tolist(),
        notes=list(job.notes),
        people=[_person(number, reading) for number, reading in enumerate(seen)],
    )
    (job.folder / RESULT).write_text(result.model_dump_json(), encoding="utf-8")
    _write_tables(job, reader, [prediction for reading in readings for prediction in reading])
    for number, reading in enumerate(seen):
        job.check()
        (job.folder / mesh_name(number)).write_bytes(mesh_bytes(reading.track, reader.layout.landmarks))
        reading.track.save(_track_path(job, number))


def keep_photo(job: Job, source: "ChildSource", reader: "ExpressionReader", faces: Sequence["PhotoFace"]) -> None:
    """Write what was read in a photo."""
    result = PhotoResult(
        name=source.name,
        labels=list(reader.labels),
        image_size=source.image_size,
        notes=list(job.notes),
        people=[_photo_face(face, reader.layout.landmarks) for face in faces],
    )
    (job.folder / RESULT).write_text(result.model_dump_json(), encoding="utf-8")
    _write_tables(job, reader, [face.prediction for face in faces])


def kept_readings(job: Job, reader: "ExpressionReader") -> list[Reading]:
    """The readings of a video, as they were when they were kept."""
    return [
        Reading(
            tuple(predictions),
            LandmarkTrack.load(_track_path(job, number)),
            reader.labels,
            reader.min_confidence,
            reader.pooling,
        )
        for number, predictions in enumerate(job.readings)
    ]


def mesh_bytes(track: LandmarkTrack, landmarks: np.ndarray) -> bytes:
    """(frames, V, 2) little-endian int16: x and y of the nodes in half pixels, `NOWHERE` where there is no face."""
    halves = np.round(2 * track.points[:, landmarks, :2])
    mesh = np.clip(halves, NOWHERE + 1, -(NOWHERE + 1)).astype("<i2")
    mesh[~track.valid] = NOWHERE
    return mesh.tobytes()


def _write_tables(job: Job, reader: "ExpressionReader", predictions: Sequence[Prediction]) -> None:
    tables.write_csv(job.folder / CSV, reader.labels, predictions)
    tables.write_json(job.folder / JSON, predictions)


def _track_path(job: Job, number: int) -> Path:
    return job.folder / f"track-{number}.safetensors"


def _person(number: int, reading: Reading) -> PersonResult:
    track = reading.track
    seen = np.flatnonzero(track.valid)
    whole = reading.clip_probabilities
    seen_s = np.diff(track.times, append=track.times[-1:]) * track.valid
    return PersonResult(
        face=number,
        label=reading.label,
        confidence=_known(float(whole.max())),
        probabilities=_known_all(whole),
        first_s=float(track.times[seen[0]]),
        last_s=float(track.times[seen[-1]]),
        seen_s=round(float(seen_s.sum()), 4),
        seconds=_seconds(reading, seen_s),
        windows=[_window(prediction) for prediction in reading],
        boxes=_boxes(track),
    )


def _window(prediction: Prediction) -> WindowResult:
    return WindowResult(
        start_s=round(prediction.start_s, 4),
        end_s=round(prediction.end_s, 4),
        time_s=round(prediction.middle_s, 4),
        label=prediction.label,
        confidence=_known(prediction.confidence),
        probabilities=_known_all(prediction.probabilities),
        valid_share=round(prediction.valid_share, 4),
    )


def _photo_face(face: "PhotoFace", landmarks: np.ndarray) -> PhotoFaceResult:
    prediction = face.prediction
    return PhotoFaceResult(
        face=prediction.face,
        box=_box(face.points),
        label=prediction.label,
        confidence=_known(prediction.confidence),
        probabilities=_known_all(prediction.probabilities),
        nodes=np.round(face.points[landmarks, :2].astype(np.float64), 1).tolist(),
    )


def _seconds(reading: Reading, seen_s: np.ndarray) -> dict[str, float]:
    """How long each label was said: a frame in which the person is seen belongs to the nearest window that says one.

    Args:
        reading: of a person.
        seen_s: of each frame, for how long it shows them.
    """
    seconds = dict.fromkeys(reading.labels, 0.0)
    spoken = [prediction for prediction in reading if prediction.label != NO_LABEL]
    if spoken:
        middles = np.array([prediction.middle_s for prediction in spoken])
        nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, reading.track.times)
        for prediction, value in zip(spoken, np.bincount(nearest, seen_s, len(spoken)), strict=True):
            seconds[prediction.label] = seconds.get(prediction.label, 0.0) + float(value)
    return {label: round(value, 4) for label, value in seconds.items()}


def _boxes(track: LandmarkTrack) -> list[list[float] | None]:
    return [_box(points) if valid else None for points, valid in zip(track.points, track.valid, strict=True)]


def _box(points: np.ndarray) -> list[float]:
    """Around landmarks, in pixels."""
    return np.round(box_of(points), 1).tolist()


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _known_all(values: np.ndarray) -> list[float] | None:
    return values.tolist() if np.isfinite(values).all() else None
