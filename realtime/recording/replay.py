"""The predictions of a recording, made again from the landmarks that it keeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stgt.errors import CheckpointError, SourceError
from stgt.files import read_json
from stgt.graphs.neutral import NeutralEstimator
from stgt.inference import PreparedWindow

from .description import DESCRIPTION, FORMAT, FORMAT_VERSION, RECORDS, TRACKS
from .records import read_records, values_of
from .track_store import load_neutrals, load_tracks

if TYPE_CHECKING:
    from stgt.faces.crops import CropSequence
    from stgt.faces.tracks import LandmarkTrack
    from stgt.graphs.neutral import NeutralFace
    from stgt.inference import ExpressionReader, Prediction

#: Probabilities that differ by less are the same.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Replayed:
    """How the predictions of a recording compare with those made again.

    Attributes:
        predictions: how many can be made again.
        agreeing: how many of them agree to ``TOLERANCE`` in every probability, and in what could not be read.
        most: the largest difference of a probability.
        faces: how many people they speak of.
        begun_before: how many others there are, of windows that begin before the recording does.
        same_model: whether the weights are those of the recording; ``None`` if it does not say.
    """

    predictions: int
    agreeing: int
    most: float
    faces: int
    begun_before: int
    same_model: bool | None

    def __str__(self) -> str:
        if not self.predictions:
            return "the recording holds no prediction that can be made again"
        one = self.faces == 1
        text = f"{self.agreeing} of {self.predictions} predictions, of {self.faces} {'face' if one else 'faces'}, "
        text += f"agree to {TOLERANCE:g}; the largest difference is {self.most:.1e}"
        if self.begun_before:
            text += f"; {self.begun_before} more are of windows that begin before the recording does"
        return text + ("; but this is not the model of the recording" if self.same_model is False else "")


def read_recording(folder: Path | str) -> dict[str, Any]:
    """What a recording folder says about itself.

    Raises:
        SourceError: it is no recording, or one of another format version.
    """
    path = Path(folder) / DESCRIPTION
    try:
        description = read_json(path)
        if description["format"] != FORMAT:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise SourceError(
            f"{folder} is not a recording of stgt live (there is no proper {DESCRIPTION} in it); give such a folder"
        ) from None
    if description["format_version"] != FORMAT_VERSION:
        raise SourceError(
            f"{folder} has format version {description['format_version']}, and this version of stgt reads "
            f"{FORMAT_VERSION}; replay it with stgt {description.get('stgt_version', 'of its time')}"
        )
    return description


def replay(folder: Path | str, reader: "ExpressionReader", checkpoint_sha256: str | None = None) -> Replayed:
    """Make the predictions of a recording again: the same windows, at the same times, of the same landmarks.

    Args:
        folder: of the recording.
        reader: the model.
        checkpoint_sha256: of its weights, to compare with those of the recording.

    Raises:
        SourceError: the folder is no recording, or the model has other labels or windows.
    """
    folder = Path(folder)
    description = read_recording(folder)
    if tuple(description["labels"]) != reader.labels:
        raise SourceError(
            f"{folder} was made with a model of the labels {', '.join(description['labels'])}, but this one knows "
            f"{', '.join(reader.labels)}; give the model of the recording with --checkpoint"
        )
    try:
        records = [record for record in read_records(folder / RECORDS) if record["start_s"] is not None]
        tracks = load_tracks(folder / TRACKS, tuple(description["image_size"]), description["source"])
    except (OSError, KeyError, CheckpointError) as error:
        raise SourceError(f"{folder} is damaged: {error}") from None
    # What is neutral for a person is estimated again if the recording shows all that it was estimated from.
    is_whole = bool(description.get("from_the_start")) and not description["notes"]
    attention = bool(description["settings"].get("attention"))
    begun_before = 0
    if not description.get("from_the_start"):
        begin_s = description.get("start_s")
        begin_s = min((track.times[0] for track, _ in tracks.values()), default=0.0) if begin_s is None else begin_s
        count = len(records)
        records = [record for record in records if record["start_s"] >= begin_s]
        begun_before = count - len(records)
    differences = []
    for number, (track, crops) in tracks.items():
        of_face = [record for record in records if record["face"] == number]
        neutrals = {} if is_whole else load_neutrals(folder / TRACKS, number, len(reader.layout))
        differences += _differences(of_face, _made_again(reader, of_face, track, crops, neutrals, attention))
    differences += [np.inf] * (len(records) - len(differences))  # those whose face has no track
    known = description.get("checkpoint_sha256")
    return Replayed(
        predictions=len(records),
        agreeing=sum(difference <= TOLERANCE for difference in differences),
        most=max(differences, default=0.0),
        begun_before=begun_before,
        faces=len({record["face"] for record in records}),
        same_model=None if None in (known, checkpoint_sha256) else known == checkpoint_sha256,
    )


def _differences(records: Sequence[Mapping[str, Any]], again: Iterator["Prediction"]) -> list[float]:
    """The largest difference of a probability, for each prediction of one face."""
    differences = []
    for record, prediction in zip(records, again, strict=True):
        then, now = values_of(record["raw_probabilities"]), prediction.probabilities
        if not np.array_equal(np.isnan(then), np.isnan(now)):
            differences.append(np.inf)
        else:
            differences.append(float(np.abs(then - now).max()) if np.isfinite(then).all() else 0.0)
    return differences


def _made_again(
    reader: "ExpressionReader",
    records: Sequence[Mapping[str, Any]],
    track: "LandmarkTrack",
    crops: "CropSequence | None",
    neutrals: Mapping[float, "NeutralFace"],
    attention: bool,
) -> Iterator["Prediction"]:
    """One by one, as a session makes them: in larger batches the last digits would differ."""
    aligned = reader.windows.align(track)
    estimator, known_s = NeutralEstimator(reader.layout), -np.inf
    times = np.array(list(neutrals))
    for record in records:
        start_s = record["start_s"]
        if neutrals:
            neutral = neutrals[times[np.abs(times - record["time_s"]).argmin()]]
        else:
            end_s = start_s + reader.window.duration_s
            neutral = reader.windows.follow(estimator, aligned, known_s, end_s)
            known_s = end_s
        sample = reader.windows.read(track, crops, start_s, neutral=neutral, aligned=aligned)
        yield reader.predict_prepared([PreparedWindow(sample, aligned, start_s)], track.source, attention)[0][0]
