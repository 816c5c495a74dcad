"""The predictions of a recording, made again from the landmarks that it keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stgt.errors import CheckpointError, SourceError
from stgt.files import read_json
from stgt.graphs.neutral import NeutralFace, resting_mean

from .recorder import DESCRIPTION, FORMAT, FORMAT_VERSION, RECORDS, TRACKS
from .records import read_records, values_of
from .track_store import load_tracks

if TYPE_CHECKING:
    from stgt.faces.crops import CropSequence
    from stgt.faces.tracks import LandmarkTrack
    from stgt.inference import ExpressionReader

#: Probabilities that differ by less are the same.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Replayed:
    """How the predictions of a recording compare with those made again.

    Attributes:
        predictions: how many there are.
        agreeing: how many of them agree to ``TOLERANCE`` in every probability, and in what could not be read.
        most: the largest difference of a probability.
        faces: how many people they speak of.
        same_model: whether the weights are those of the recording; ``None`` if it does not say.
    """

    predictions: int
    agreeing: int
    most: float
    faces: int
    same_model: bool | None

    def __str__(self) -> str:
        if not self.predictions:
            return "the recording holds no prediction"
        one = self.faces == 1
        text = f"{self.agreeing} of {self.predictions} predictions, of {self.faces} {'face' if one else 'faces'}, "
        text += f"agree to {TOLERANCE:g}; the largest difference is {self.most:.1e}"
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
    notes = [note for note in description.get("notes", []) if note["what"] == "neutral"]
    given = given_neutrals(reader, tracks, notes)
    differences = []
    for number, (track, crops) in tracks.items():
        of_face = [record for record in records if record["face"] == number]
        differences += _differences(reader, of_face, track, crops, given[number])
    differences += [np.inf] * (len(records) - len(differences))  # those whose face has no track
    known = description.get("checkpoint_sha256")
    return Replayed(
        predictions=len(records),
        agreeing=sum(difference <= TOLERANCE for difference in differences),
        most=max(differences, default=0.0),
        faces=len({record["face"] for record in records}),
        same_model=None if None in (known, checkpoint_sha256) else known == checkpoint_sha256,
    )


def given_neutrals(
    reader: "ExpressionReader",
    tracks: Mapping[int, tuple["LandmarkTrack", "CropSequence | None"]],
    notes: Sequence[Mapping[str, Any]],
) -> dict[int, list[tuple[float, NeutralFace]]]:
    """Neutral faces that were asked for in a session: for each face, from when on which one counts.

    Whoever is in sight in the first frame after the wish with anyone in it is meant.
    """
    given: dict[int, list[tuple[float, NeutralFace]]] = {number: [] for number in tracks}
    for note in notes:
        seen = {
            number: track.times[track.valid & (track.times > note["time_s"])] for number, (track, _) in tracks.items()
        }
        first_s = min((times[0] for times in seen.values() if len(times)), default=np.inf)
        for number, times in seen.items():
            if not len(times) or times[0] > first_s:
                continue
            done = times[times - times[0] >= note["seconds"]]
            if len(done):
                part = reader.windows.align(tracks[number][0].slice(times[0], done[0]))
                neutral = resting_mean(part.points, part.blendshapes, part.valid)
                given[number].append((float(done[0]), neutral))
    return given


def _differences(
    reader: "ExpressionReader",
    records: Sequence[Mapping[str, Any]],
    track: "LandmarkTrack",
    crops: "CropSequence | None",
    given: Sequence[tuple[float, NeutralFace]],
) -> list[float]:
    """The largest difference of a probability, for each prediction of one face."""
    differences = []
    froms = [-np.inf, *(from_s for from_s, _ in given), np.inf]
    for index, neutral in enumerate([None, *(face for _, face in given)]):
        part = [record for record in records if froms[index] <= record["time_s"] < froms[index + 1]]
        if not part:
            continue
        predictions = reader.predict_windows(track, crops, [record["start_s"] for record in part], neutral)
        for record, prediction in zip(part, predictions, strict=True):
            then, now = values_of(record["raw_probabilities"]), prediction.probabilities
            if not np.array_equal(np.isnan(then), np.isnan(now)):
                differences.append(np.inf)
            else:
                differences.append(float(np.nanmax(np.abs(then - now))) if np.isfinite(then).all() else 0.0)
    return differences
