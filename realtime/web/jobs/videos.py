"""Videos: one person as `stgt predict` reads them, or everybody in sight with a track each."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stgt.errors import SourceError
from stgt.faces.crops import CropSequence, crop_face, encode_crop
from stgt.faces.extract import build_track
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.inference import Reading

from ...people.following import People
from .job import Job

if TYPE_CHECKING:
    from stgt.faces.tracks import LandmarkTrack
    from stgt.graphs.neutral import NeutralFace
    from stgt.inference import ExpressionReader

    from ..decoding import ChildSource

#: Who is seen for less is not read, but said to be left out.
LEAST_SEEN_S = 0.5


class VideoReading(NamedTuple):
    """A video that was read.

    Attributes:
        times: of its frames, s.
        readings: what was said of each person, in the order in which they appear; of one, also if nobody was seen.
    """

    times: np.ndarray
    readings: list[Reading]


def read(job: Job, source: "ChildSource", reader: "ExpressionReader", landmarker: FaceLandmarker) -> VideoReading:
    """What is said of each person.

    With one face it is what `stgt predict` says, to the last digit.

    Raises:
        SourceError: it cannot be read, or the only person is not seen in the neutral part.
        Cancelled: nobody wants it any more.
    """
    if landmarker.faces == 1:
        windows = _WindowsProgress(job)
        reading = reader.read(
            source,
            landmarker=landmarker,
            progress=job.count,
            neutral_s=job.neutral_s,
            windows_progress=windows,
        )
        if not reading.track.valid.any():
            job.notes.append("no face was found in any of its frames")
        return VideoReading(reading.track.times, [reading])
    return _read_people(job, source, reader, landmarker)


class _WindowsProgress:
    """After the frames: says how long the windows of all people will still take."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._people_left = 0
        self._began_s: float | None = None

    def begin(self, people_left: int) -> None:
        """The windows of a person begin; so many people follow."""
        self._people_left = people_left
        self._began_s = time.monotonic()

    def __call__(self, done: int, expected: int) -> None:
        self._job.check()
        self._job.progress.all_frames_are_done()
        now_s = time.monotonic()
        if self._began_s is None:  # the first batch is not measured
            self._began_s = now_s
        pace_s = (now_s - self._began_s) / done
        self._job.progress.after_s = pace_s * (expected - done + self._people_left * expected)


def _read_people(
    job: Job, source: "ChildSource", reader: "ExpressionReader", landmarker: FaceLandmarker
) -> VideoReading:
    crowd = _Crowd(landmarker.faces, reader.windows.needs_crops)
    for time_s, rgb, found in _faces(source, landmarker):
        crowd.take_in(time_s, found, rgb)
        job.count(len(crowd.times), source.frame_count)
    people = crowd.seen_for(LEAST_SEEN_S)
    left_out = len(crowd.people) - len(people)
    if left_out:
        who = "someone was" if left_out == 1 else f"{left_out} people were"
        job.notes.append(f"{who} seen for less than {LEAST_SEEN_S:g} s and left out")
    if not people:
        job.notes.append("no face was found for long enough to be read")
    windows = _WindowsProgress(job)
    readings = []
    for number, person in enumerate(people):
        windows.begin(len(people) - number - 1)
        faces, jpegs = crowd.people.pop(person)
        count = len(crowd.times)
        track = build_track(crowd.times, [faces.get(index) for index in range(count)], source.image_size, source.name)
        crops = CropSequence.from_jpegs([jpegs.get(index, b"") for index in range(count)]) if jpegs else None
        faces.clear()
        neutral = _neutral(job, reader, track, number)
        predictions = reader.predict_windows(track, crops, neutral=neutral, face=number, progress=windows)
        readings.append(Reading(tuple(predictions), track, reader.labels, reader.min_confidence, reader.pooling))
    return VideoReading(np.array(crowd.times), readings)


def _faces(source: "ChildSource", landmarker: FaceLandmarker) -> Iterable[tuple[float, np.ndarray, list[Landmarks]]]:
    landmarker.reset()
    for time_s, rgb in source:
        yield time_s, rgb, landmarker.detect_all(time_s, rgb)


def _neutral(job: Job, reader: "ExpressionReader", track: "LandmarkTrack", number: int) -> "NeutralFace | None":
    """The person's face at rest, if it was said when it is seen and they are there then."""
    if job.neutral_s is None:
        return None
    try:
        return reader.neutral_face(track, *job.neutral_s)
    except SourceError:
        start_s, end_s = job.neutral_s
        job.notes.append(
            f"person {number + 1} is not seen from {start_s:g} to {end_s:g} s: their neutral face was estimated"
        )
        return None


class _Crowd:
    """Who was seen in which frame.

    Args:
        most: people at once.
        with_crops: keep their aligned crops, for a model that reads pixels.

    Attributes:
        times: of all frames, s.
        people: number -> (index of the frame -> landmarks, index of the frame -> crop).
    """

    def __init__(self, most: int, with_crops: bool) -> None:
        self.times: list[float] = []
        self.people: dict[int, tuple[dict[int, Landmarks], dict[int, bytes]]] = {}
        self._following = People(most, smooth=True)
        self._with_crops = with_crops

    def take_in(self, time_s: float, found: list[Landmarks], rgb: np.ndarray) -> None:
        """The next frame and the faces in it."""
        index = len(self.times)
        self.times.append(time_s)
        for sighting in self._following.update(time_s, found, rgb):
            faces, jpegs = self.people.setdefault(sighting.person, ({}, {}))
            faces[index] = sighting.landmarks
            if self._with_crops:
                jpegs[index] = encode_crop(crop_face(rgb, sighting.landmarks.points))
        self._following.look_again()

    def seen_for(self, least_s: float) -> list[int]:
        """Numbers of those who were seen for so long, or for most of a shorter video, in the order of appearance."""
        if not self.times:
            return []
        each_s = np.diff(self.times, append=self.times[-1])
        if len(each_s) > 1:
            each_s[-1] = np.median(each_s[:-1])
        least_s = min(least_s, 0.5 * float(each_s.sum()))
        return [
            person
            for person, (faces, _) in sorted(self.people.items(), key=lambda item: next(iter(item[1][0])))
            if each_s[list(faces)].sum() >= least_s
        ]
