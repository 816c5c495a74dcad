"""What is known of one person from frame to frame: their window, their neutral face, and what is said of them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from stgt.evaluation.predictions import NO_LABEL, UNCERTAIN
from stgt.graphs.neutral import NeutralEstimator, NeutralFace
from stgt.inference import PreparedWindow

from .frames import FaceState, LiveFace
from .smoothing import ExponentialSmoother, SteadyLabel
from .window import FrameEncoder, PreparedFace, SlidingWindow

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader, Prediction

    from .people.following import Sighting


class FaceReading:
    """One person. While they are away nothing is kept but their neutral face.

    Args:
        number: of the face.
        reader: the model.
        smoothing_s: time constant of the probabilities, seconds.
        hysteresis: margin of the label, a probability.
        least_valid_share: share of a window that must show the face before it is said to be read.
    """

    def __init__(
        self, number: int, reader: "ExpressionReader", smoothing_s: float, hysteresis: float, least_valid_share: float
    ) -> None:
        self.number = number
        self.window: SlidingWindow | None = None
        self._reader = reader
        self._least_valid_share = least_valid_share
        self._smoother = ExponentialSmoother(smoothing_s)
        self._steady = SteadyLabel(hysteresis, reader.min_confidence)
        self._estimator = NeutralEstimator(reader.layout)
        self._estimated: NeutralFace | None = None
        self._given: NeutralFace | None = None
        self._calibration: _Calibration | None = None
        self._sighting: Sighting | None = None
        self._box = (0.0, 0.0, 0.0, 0.0)
        self._unknown = np.full(len(reader.labels), np.nan)
        self.leave()

    @property
    def in_sight(self) -> bool:
        """Whether they were seen within the gap that a window tolerates."""
        return self.window is not None and not self.window.face_lost

    @property
    def is_waiting(self) -> bool:
        """Whether they have come into sight and nothing was said of them since: they are not kept waiting."""
        return self._state is FaceState.NO_FACE and self.in_sight

    @property
    def is_calibrating(self) -> bool:
        """Whether frames are being collected for a neutral face."""
        return self._calibration is not None

    def enter(self, window: SlidingWindow, times: Iterable[float]) -> None:
        """Begin a window, with the frames of the last seconds, at ``times``, in which they were not seen."""
        self.window = window
        window.clear()
        for time_s in times:
            window.push(time_s, None)
        if len(window):
            self._learn(window.end_s, None)

    def leave(self) -> SlidingWindow | None:
        """They are away; gives back the window."""
        window, self.window = self.window, None
        self._fall_silent()
        self._prediction: Prediction | None = None
        self._attention: np.ndarray | None = None
        self._neutral: NeutralFace | None = None
        return window

    def begin_anew(self) -> SlidingWindow | None:
        """Another recording has begun; gives back the window. A neutral face that was given stays."""
        self._estimator.reset()
        self._estimated = None
        return self.leave()

    def see(self, timestamp_s: float, sighting: "Sighting | None", face: PreparedFace | None) -> None:
        """The next frame; ``None``: they are not in it."""
        self._sighting = sighting
        if sighting is not None:
            self._box = sighting.box
        self.window.push(timestamp_s, face)
        self._learn(timestamp_s, face)
        if self._calibration is not None and face is not None:
            self._given = self._calibration.update(timestamp_s, face) or self._given
            if self._calibration.is_done:
                self._calibration = None
        if not self.in_sight:
            self._fall_silent()

    def calibrate(self, seconds: float) -> None:
        """From the next frame that shows them, collect so many seconds: their mean is the neutral face from then on."""
        self._calibration = _Calibration(seconds)

    def prepared(self, encode_frames: FrameEncoder | None) -> PreparedWindow:
        """The window that ends with the newest frame, as the model takes it."""
        self._neutral = self._estimated if self._given is None else self._given
        sample = self.window.sample(self._neutral, encode_frames)
        return PreparedWindow(sample, self.window.track(), self.window.start_s, self.number)

    def say(self, prediction: "Prediction", attention: np.ndarray | None) -> None:
        """What the model said of the newest window."""
        self._prediction, self._attention = prediction, attention
        if prediction.valid_share < self._least_valid_share or not np.isfinite(prediction.probabilities).all():
            self._fall_silent(FaceState.WARMING_UP)
            return
        self._probabilities = self._smoother.update(self.window.end_s, prediction.probabilities)
        self._named = self._steady.update(self._probabilities)
        self._state = FaceState.UNCERTAIN if self._named is None else FaceState.READING

    def live_face(self, is_new: bool) -> LiveFace:
        """All that is known now; ``is_new``: the prediction was made at this frame."""
        label, confidence = NO_LABEL, float("nan")
        if self._state is FaceState.UNCERTAIN:
            label, confidence = UNCERTAIN, float(self._probabilities.max())
        elif self._state is FaceState.READING:
            label, confidence = self._reader.labels[self._named], float(self._probabilities[self._named])
        return LiveFace(
            face=self.number,
            landmarks=None if self._sighting is None else self._sighting.landmarks,
            state=self._state,
            labels=self._reader.labels,
            probabilities=self._probabilities,
            label=label,
            confidence=confidence,
            prediction=self._prediction,
            is_new=is_new,
            attention=self._attention,
            box=self._box,
            neutral=self._neutral,
        )

    def _fall_silent(self, state: FaceState = FaceState.NO_FACE) -> None:
        self._state = state
        self._probabilities = self._unknown
        self._named: int | None = None
        self._smoother.reset()
        self._steady.reset()

    def _learn(self, timestamp_s: float, face: PreparedFace | None) -> None:
        """Take a frame into the estimate of the neutral face."""
        valid = np.array([face is not None])
        if face is None:
            nodes, actions = np.zeros((1, len(self._reader.layout), 3)), np.zeros((1, 52))
        else:
            nodes, actions = face.nodes[None], face.blendshapes[None]
        self._estimated = self._estimator.update(nodes, actions, np.array([timestamp_s]), valid)


class _Calibration:
    """The mean face of some seconds, in constant memory."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._start_s: float | None = None
        self._count = 0
        self._nodes = self._actions = np.zeros(1)
        self.is_done = False

    def update(self, timestamp_s: float, face: PreparedFace) -> NeutralFace | None:
        """The neutral face, once there are enough frames."""
        if self._start_s is None or timestamp_s < self._start_s:
            self._start_s, self._count = timestamp_s, 0
            self._nodes = self._actions = np.zeros(1)
        self._count += 1
        self._nodes = self._nodes + face.nodes.astype(np.float64)
        self._actions = self._actions + face.blendshapes.astype(np.float64)
        self.is_done = timestamp_s - self._start_s >= self._seconds
        if not self.is_done:
            return None
        return NeutralFace(
            (self._nodes / self._count).astype(np.float32), (self._actions / self._count).astype(np.float32)
        )
