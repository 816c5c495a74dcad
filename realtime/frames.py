"""What a live session gives: the frames that were analysed, and what is known of every face in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from stgt.faces.landmarker import Landmarks
from stgt.graphs.neutral import NeutralFace
from stgt.inference import Prediction


class FaceState(StrEnum):
    """What a session knows about a face at a frame."""

    READING = "reading"
    """The face's window is filled enough to be read."""
    UNCERTAIN = "uncertain"
    """It is read, but no label is probable enough to be named."""
    WARMING_UP = "warming up"
    """There is a face, but its window does not reach back far enough yet."""
    NO_FACE = "no face"
    """Nobody was seen for longer than a window tolerates."""


@dataclass(frozen=True, eq=False)
class LiveFace:
    """One person at one frame.

    Attributes:
        face: number of the person, from 0; never given to anyone else in the same session.
        landmarks: of this frame, as they were analysed; ``None`` while the face is out of sight.
        state: see `FaceState`; never ``NO_FACE``.
        labels: the K label names.
        probabilities: (K,) float64, smoothed by a time constant; NaN unless the state is reading or uncertain.
        label: one of ``labels``, which changes only when another is clearly more probable; ``"uncertain"`` or
            ``"none"`` where the state says so.
        confidence: smoothed probability of ``label``, or of the most probable class while uncertain; NaN without.
        prediction: the last one, unsmoothed, ``prediction.face`` being ``face``; ``None`` before the first.
        is_new: whether the prediction was made at this frame.
        attention: (V,) float32, share of each node of the model's layout in the last prediction, summing to one;
            ``None`` unless the session was asked for it, and before the first prediction.
        box: ``(x0, y0, x1, y1)`` in pixels of the picture, around the landmarks where they were last seen.
        neutral: the person's face at rest that the prediction was read against; ``None`` before the first.
    """

    face: int
    landmarks: Landmarks | None
    state: FaceState
    labels: tuple[str, ...]
    probabilities: np.ndarray
    label: str
    confidence: float
    prediction: Prediction | None
    is_new: bool
    attention: np.ndarray | None
    box: tuple[float, float, float, float]
    neutral: NeutralFace | None = None


class PassedOver(NamedTuple):
    """A frame that went into the windows, but for which there was no time besides: a newer one was there already.

    Attributes:
        timestamp_s: on the source's clock.
        rgb: ``(H, W, 3)`` uint8.
        landmarks: of those who are in it, by their numbers.
    """

    timestamp_s: float
    rgb: np.ndarray
    landmarks: Mapping[int, Landmarks]


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame, and who is in it.

    Attributes:
        timestamp_s: on the source's clock, which starts near 0.
        wall_s: when it arrived, in seconds since 1970 (``time.time``).
        index: number of the frame among those analysed, from 0.
        rgb: ``(H, W, 3)`` uint8, exactly the picture that was analysed.
        faces: in the order of their numbers; without people who have been out of sight for longer than a window
            tolerates, and empty with nobody in sight.
        labels: the K label names.
        frame_rate: frames analysed per second, over the last two seconds.
        latency_s: from the frame's arrival to the end of its analysis.
        dropped: frames of a live source that were passed over so far, because nothing had time for them.
        stages: seconds that this frame spent in each stage: ``capture`` (waiting to be taken), ``landmarks``,
            ``window`` (who is who, alignment and buffers) and ``model`` (0 where no prediction was due).
        passed_over: frames since the last one that only went into the windows; of a live source alone.
    """

    timestamp_s: float
    wall_s: float
    index: int
    rgb: np.ndarray
    faces: tuple[LiveFace, ...]
    labels: tuple[str, ...]
    frame_rate: float
    latency_s: float
    dropped: int
    stages: Mapping[str, float] = field(default_factory=dict)
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def state(self) -> FaceState:
        """That of the first face, or ``NO_FACE``."""
        return self.faces[0].state if self.faces else FaceState.NO_FACE
