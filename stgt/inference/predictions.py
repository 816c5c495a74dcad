"""What a model says about a window, and about all windows of a source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from stgt.evaluation.pooling import peak_class, pool_clips
from stgt.evaluation.predictions import NO_LABEL, UNCERTAIN

if TYPE_CHECKING:
    from stgt.data.clips import WindowSample
    from stgt.faces.tracks import LandmarkTrack
    from stgt.graphs.aligned import AlignedTrack


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about one window.

    Attributes:
        source: the video, folder or camera.
        start_s: time of the window's first frame.
        end_s: time of its last frame; at most that of the last frame there is.
        labels: the K label names.
        probabilities: (K,) float64 summing to one; NaN if no frame of the window holds a face.
        valid_share: share of the window's frames that hold a face.
        face: number of the face, from 0.
        min_confidence: the label is ``"uncertain"`` if its probability is lower.
    """

    source: str
    start_s: float
    end_s: float
    labels: tuple[str, ...]
    probabilities: np.ndarray
    valid_share: float
    face: int = 0
    min_confidence: float = 0.0

    @property
    def label(self) -> str:
        """The most probable label, ``"uncertain"`` if it is not probable enough, or ``"none"`` without a face."""
        return top_label(self.labels, self.probabilities, self.min_confidence)

    @property
    def confidence(self) -> float:
        """The highest probability; NaN without a face."""
        return float(self.probabilities.max())

    @property
    def middle_s(self) -> float:
        """The time in the middle of the window, for which it speaks best."""
        return (self.start_s + self.end_s) / 2


@dataclass(frozen=True, eq=False)
class PreparedWindow:
    """A window of one face as the model takes it.

    Attributes:
        sample: the model's inputs.
        track: the frames it was cut from, or more of them; at least all that lie within the window.
        start_s: time of its first frame.
        face: number of the face.
        speed: how many times the model's own time it spans; see ``stgt.data.sampling.Cut``.
    """

    sample: "WindowSample"
    track: "AlignedTrack"
    start_s: float
    face: int = 0
    speed: float = 1.0


@dataclass(frozen=True, eq=False)
class Reading(Sequence[Prediction]):
    """The windows of one source in the order of time, and the track that they were cut from.

    Attributes:
        predictions: one per window.
        track: landmarks and validity of every frame.
        labels: the K label names.
        min_confidence: as of its predictions.
        pooling: the model's, how windows become a clip.
    """

    predictions: tuple[Prediction, ...]
    track: "LandmarkTrack"
    labels: tuple[str, ...]
    min_confidence: float = 0.0
    pooling: str = "mean"

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, index):
        return self.predictions[index]

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    @property
    def times(self) -> np.ndarray:
        """(N,) the middles of the windows, in seconds."""
        return np.array([prediction.middle_s for prediction in self.predictions])

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K); NaN rows for windows without a face."""
        return np.array([prediction.probabilities for prediction in self.predictions]).reshape(-1, len(self.labels))

    @property
    def clip_probabilities(self) -> np.ndarray:
        """(K,) of the whole source, as a clip of a dataset is scored; NaN if it holds no face."""
        return clip_probabilities(self.predictions, self.labels, self.pooling)

    @property
    def label(self) -> str:
        """The label of the whole source, ``"uncertain"``, or ``"none"`` without a face."""
        return top_label(self.labels, self.clip_probabilities, self.min_confidence)


def top_label(labels: Sequence[str], probabilities: np.ndarray, min_confidence: float = 0.0) -> str:
    """The most probable label; ``"none"`` if the probabilities are NaN, ``"uncertain"`` if all are too low."""
    if not np.isfinite(probabilities).all():
        return NO_LABEL
    best = int(probabilities.argmax())
    return labels[best] if probabilities[best] >= min_confidence else UNCERTAIN


def clip_probabilities(
    predictions: Sequence[Prediction], labels: Sequence[str] | None = None, pooling: str = "mean"
) -> np.ndarray:
    """(K,) of all windows together, as ``pool_clips`` puts them; NaN if there is none with a face.

    ``labels`` is only needed where there may be no prediction at all; ``pooling`` is the model's.
    """
    names = tuple(labels or predictions[0].labels)
    values = np.array([prediction.probabilities for prediction in predictions]).reshape(-1, len(names))
    shares = np.array([prediction.valid_share for prediction in predictions])
    one = np.zeros(len(predictions), dtype=np.int64)
    return pool_clips(values, shares, one, 1, peak_class(pooling, names))[0]
