"""Everybody whom a session follows, brought up to date frame by frame."""

import contextlib
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stgt.faces.landmarker import Landmarks

from .people.following import People, Sighting
from .reading import FaceReading
from .window import SlidingWindow, prepare_faces

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

#: Times of past frames that are kept for whoever comes into sight.
_MOST_TIMES = 1024


class Request(NamedTuple):
    """A neutral face to be collected."""

    face: int | None
    seconds: float


class Readings:
    """A `FaceReading` for everyone whom `People` knows.

    Args:
        reader: the model.
        faces: people that are followed at once.
        smooth: whether landmarks are to be smoothed, see `People`.
        attention: whether the model is asked where it looks.
        source: name of the source, for predictions.
        requests: neutral faces that are asked for, by any thread.
        settings: of each `FaceReading`: smoothing, hysteresis, least share of valid frames.
    """

    def __init__(
        self,
        reader: "ExpressionReader",
        *,
        faces: int,
        smooth: bool,
        attention: bool,
        source: str,
        requests: "SimpleQueue[Request]",
        settings: tuple[float, float, float],
    ) -> None:
        self._reader = reader
        self._attention = attention
        self._source = source
        self._settings = settings
        self._encode_frames = reader.frame_encoder
        self._people = People(faces, smooth)
        self._readings: dict[int, FaceReading] = {}
        self._free_windows: list[SlidingWindow] = []
        self._requests = requests
        self._asked: list[Request] = []
        self._times: deque[float] = deque(maxlen=_MOST_TIMES)

    @property
    def in_sight(self) -> list[FaceReading]:
        """Those who were seen within the gap that a window tolerates, in the order of their numbers."""
        return [reading for _, reading in sorted(self._readings.items()) if reading.in_sight]

    @property
    def is_calibrating(self) -> bool:
        """Whether a neutral face was asked for and is not there yet."""
        waiting = bool(self._asked) or not self._requests.empty()
        return waiting or any(reading.is_calibrating for reading in self._readings.copy().values())

    def take_in(self, timestamp_s: float, found: list[Landmarks], rgb: np.ndarray) -> dict[int, Landmarks]:
        """Put a frame into everybody's window; the landmarks of those who are in it, as they were analysed."""
        if self._times and timestamp_s < self._times[-1]:
            self._begin_anew()
        sightings = {sighting.person: sighting for sighting in self._people.update(timestamp_s, found, rgb)}
        self._forget()
        prepared = prepare_faces(self._reader.windows, [sighting.landmarks for sighting in sightings.values()], rgb)
        faces = dict(zip(sightings, prepared, strict=True))
        for number in sightings:
            self._enter(number)
        self._pass_on_requests(sightings)
        for number, reading in self._readings.items():
            if reading.window is None:
                continue
            reading.see(timestamp_s, sightings.get(number), faces.get(number))
            if reading.window.is_over:
                self._give_back(reading.leave())
        self._times.append(timestamp_s)
        horizon_s = timestamp_s - self._reader.window.duration_s - 1.0
        while self._times[0] < horizon_s:
            self._times.popleft()
        return {number: sighting.landmarks for number, sighting in sightings.items()}

    def tidy(self) -> None:
        """What has to be done for a frame, but can wait until something was said of it."""
        self._people.look_again()

    def predict(self, readings: list[FaceReading]) -> None:
        """Ask the model about several people at once."""
        from stgt.engines.choice import one_thread

        windows = [reading.prepared(self._encode_frames) for reading in readings]
        # The other cores find landmarks meanwhile. With more threads each waits actively for its share of the work, and
        # takes from the landmarks what it cannot use for a single small window.
        with one_thread():
            predictions, nodes = self._reader.predict_prepared(windows, self._source, self._attention)
        for row, (reading, prediction) in enumerate(zip(readings, predictions, strict=True)):
            reading.say(prediction, None if nodes is None else nodes[row].astype(np.float32))

    def _enter(self, number: int) -> None:
        """Make sure that a person has a window."""
        reading = self._readings.get(number)
        if reading is None:
            reading = self._readings[number] = FaceReading(number, self._reader, *self._settings)
        if reading.window is None:
            window = self._free_windows.pop() if self._free_windows else SlidingWindow(self._reader.windows)
            reading.enter(window, self._times)

    def _give_back(self, window: SlidingWindow | None) -> None:
        if window is not None:
            self._free_windows.append(window)

    def _forget(self) -> None:
        """Drop those who would not be known again."""
        for number in self._readings.keys() - self._people.known:
            self._give_back(self._readings.pop(number).leave())

    def _begin_anew(self) -> None:
        """Another recording has begun."""
        self._times.clear()
        for reading in self._readings.values():
            self._give_back(reading.begin_anew())

    def _pass_on_requests(self, sightings: dict[int, Sighting]) -> None:
        """Pass on what was asked for, once the person is in sight."""
        with contextlib.suppress(Empty):
            while True:
                self._asked.append(self._requests.get_nowait())
        for request in self._asked.copy():
            numbers = list(sightings) if request.face is None else [request.face]
            numbers = [number for number in numbers if number in self._readings]
            for number in numbers:
                self._readings[number].calibrate(request.seconds)
            if numbers or request.face is not None:
                self._asked.remove(request)
