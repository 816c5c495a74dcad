"""LiveSession: from a camera, a stream or a file to expressions, frame by frame, with or without a screen."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stgt.errors import StgtError
from stgt.faces.crops import crop_face, encode_crop
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS
from stgt.faces.video import FrameSource
from stgt.graphs.geometry import aligned_nodes
from stgt.graphs.neutral import NeutralEstimator, average_neutral
from stgt.inference import Prediction, top_label

from .capture import Capture, CapturedFrame, Handover, is_live, open_live_source
from .smoothing import ExponentialSmoother
from .window import SlidingWindow

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

#: Seconds over which the frame rate is measured.
_RATE_SPAN_S = 2.0


class LiveState(str, Enum):
    """What the probabilities of a frame mean."""

    READING = "reading"
    """They speak of the face that is seen."""
    WARMING_UP = "warming up"
    """A face is seen, but not yet for long enough; they are NaN."""
    NO_FACE = "no face"
    """No face is seen; they are NaN."""


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """One frame, and what is known when it has been analysed.

    Attributes:
        timestamp_s: time of the frame on the source's clock.
        rgb: ``(H, W, 3)`` uint8, exactly the picture in which the landmarks were found.
        landmarks: of this frame; ``None`` without a face.
        state: what the probabilities mean.
        labels: the K label names.
        probabilities: (K,) smoothed, as of the last prediction; NaN unless the state is ``READING``.
        prediction: the last one that was made, unsmoothed; its window ends at or before this frame.
        is_new: whether that prediction was made at this frame.
        frame_rate: analysed frames per second of late, Hz.
        latency_s: from the arrival of the frame until now.
        dropped: frames passed over until now, because newer ones were there already.
    """

    timestamp_s: float
    rgb: np.ndarray
    landmarks: Landmarks | None
    state: LiveState
    labels: tuple[str, ...]
    probabilities: np.ndarray
    prediction: Prediction
    is_new: bool
    frame_rate: float
    latency_s: float
    dropped: int

    @property
    def label(self) -> str:
        """The label with the highest smoothed probability, ``"uncertain"`` if it is too low, or ``"none"``."""
        return top_label(self.labels, self.probabilities, self.prediction.min_confidence)

    @property
    def confidence(self) -> float:
        """The highest smoothed probability; NaN without one."""
        return float(self.probabilities.max())


class _Tracked(NamedTuple):
    frame: CapturedFrame
    landmarks: Landmarks | None
    crop: bytes


class LiveSession:
    """Iterate over it to get a `LiveFrame` for every frame that is analysed; use it as a context manager to close it.

    Three threads work at once: one reads the source, one finds the landmarks (MediaPipe works outside of Python's
    lock), and the one that iterates keeps the window and runs the model. A camera or stream always gives its newest
    frame; a file gives all of them.

    Args:
        reader: the model.
        source: what `open_live_source` takes, or an open source (which then stays open).
        every_s: seconds of the source's clock between two predictions.
        every_frames: predict at every so many frames instead.
        smoothing_s: time constant of the smoothed probabilities, seconds; 0 for none.
        least_valid_share: share of a window that must hold a face before it is said to be read.
        in_real_time: let a file run at its own speed, not as fast as it can be analysed.
        newest_only: pass over frames when newer ones are there; by default for cameras and streams only.
        frame_rate: Hz, of a folder of images, or to ask of a camera.
        landmarker: one to use, which then stays open; it is reset first. By default one is made.

    Raises:
        SourceError: the source cannot be opened.
        StgtError: a setting that makes no sense.
    """

    def __init__(
        self,
        reader: "ExpressionReader",
        source: FrameSource | str | int | Path,
        *,
        every_s: float = 0.2,
        every_frames: int | None = None,
        smoothing_s: float = 0.5,
        least_valid_share: float = 0.5,
        in_real_time: bool = False,
        newest_only: bool | None = None,
        frame_rate: float | None = None,
        landmarker: FaceLandmarker | None = None,
    ) -> None:
        if not every_s >= 0:
            raise StgtError(f"the time between predictions is {every_s} s; it must be 0 (every frame) or more")
        if every_frames is not None and every_frames < 1:
            raise StgtError(f"every_frames is {every_frames}; it must be 1 (every frame) or more")
        self.reader = reader
        self.every_s = every_s
        self.every_frames = every_frames
        self.least_valid_share = least_valid_share
        self.in_real_time = in_real_time
        self._smoother = ExponentialSmoother(smoothing_s)
        self._needs_crops = reader.windows.needs_crops
        self._capture: Capture | None = None
        self._tracking: Handover[_Tracked] | None = None
        self._source_is_free = True
        with contextlib.ExitStack() as stack:
            if not isinstance(source, FrameSource):
                source = open_live_source(source, frame_rate)
                stack.callback(self._close_source)
            self.source = source
            self.newest_only = is_live(source) if newest_only is None else newest_only
            self._landmarker = stack.enter_context(FaceLandmarker()) if landmarker is None else landmarker
            self.window = SlidingWindow(reader.window, source.image_size, source.name, with_crops=self._needs_crops)
            self._warm_up()
            self._resources = stack.pop_all()

    def __iter__(self) -> Iterator[LiveFrame]:
        """From the source's first frame (or the camera's next) to its end. It ends early when the session is closed."""
        self._stop_threads()
        self.window.clear()
        self._forget()
        self._smoother.reset()
        self._landmarker.reset()
        self._capture = Capture(self.source, newest_only=self.newest_only, in_real_time=self.in_real_time)
        self._tracking = Handover(self._tracked(self._capture), capacity=1)
        try:
            yield from self._frames(self._tracking)
        finally:
            self._stop_threads()

    def close(self) -> None:
        """End the threads and give back the source and the landmarker. Nothing can be iterated afterwards."""
        self._stop_threads()
        self._resources.close()

    def __enter__(self) -> "LiveSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _frames(self, tracked: Handover[_Tracked]) -> Iterator[LiveFrame]:
        state = LiveState.NO_FACE
        prediction: Prediction | None = None
        unknown = np.full(len(self.reader.labels), np.nan)
        probabilities = unknown
        schedule = _Schedule(self.every_s, self.every_frames)
        rate = _RateMeter()
        for frame, landmarks, crop in tracked:
            self.window.push(frame.timestamp_s, landmarks, crop)
            self._know(frame.timestamp_s, landmarks)
            lost = self.window.face_lost
            returned = state is LiveState.NO_FACE and not lost  # whoever comes into view is not kept waiting
            is_new = schedule.is_due(frame.timestamp_s) or returned or prediction is None
            if is_new:
                prediction = self._predict()
            if lost:
                state = LiveState.NO_FACE
            elif is_new:
                enough = prediction.valid_share >= self.least_valid_share
                state = LiveState.READING if enough else LiveState.WARMING_UP
            if state is not LiveState.READING:
                self._smoother.reset()
                probabilities = unknown
            elif is_new:
                probabilities = self._smoother.update(frame.timestamp_s, prediction.probabilities)
            now_s = time.monotonic()
            yield LiveFrame(
                timestamp_s=frame.timestamp_s,
                rgb=frame.rgb,
                landmarks=landmarks,
                state=state,
                labels=self.reader.labels,
                probabilities=probabilities,
                prediction=prediction,
                is_new=is_new,
                frame_rate=rate.tick(now_s),
                latency_s=now_s - frame.arrived_s,
                dropped=frame.dropped,
            )

    def _tracked(self, frames: Capture) -> Iterator[_Tracked]:
        """Find the face in each frame; runs in a thread of its own."""
        for frame in frames:
            landmarks = self._landmarker.detect(frame.timestamp_s, frame.rgb)
            seen = landmarks is not None and self._needs_crops
            crop = encode_crop(crop_face(frame.rgb, landmarks.points)) if seen else b""
            yield _Tracked(frame, landmarks, crop)

    def _forget(self) -> None:
        """Know nothing of the person's neutral face."""
        self._estimator = NeutralEstimator(self.reader.layout)
        self._neutral = average_neutral(self.reader.layout)
        self._known_s = -np.inf

    def _know(self, timestamp_s: float, landmarks: Landmarks | None) -> None:
        """Take a frame into the estimate of the person's neutral face."""
        if timestamp_s < self._known_s:  # another recording, as for the window
            self._forget()
        valid = np.array([landmarks is not None])
        points = np.zeros((1, LANDMARKS, 3)) if landmarks is None else landmarks.points[None]
        actions = np.zeros((1, BLENDSHAPES)) if landmarks is None else landmarks.blendshapes[None]
        nodes = aligned_nodes(points, valid, self.reader.layout)
        self._neutral = self._estimator.update(nodes, actions, np.array([timestamp_s]), valid)
        self._known_s = timestamp_s

    def _predict(self) -> Prediction:
        track, crops = self.window.track(), self.window.crops()
        with one_torch_thread():
            return self.reader.predict_windows(track, crops, [self.window.start_s], self._neutral)[0]

    def _warm_up(self) -> None:
        """Let both networks run once: their first time is slow, and MediaPipe's is noisy."""
        self._forget()
        self._landmarker.detect(0.0, np.zeros((64, 64, 3), np.uint8))
        self.window.push(0.0, None)
        self._predict()
        self.window.clear()

    def _stop_threads(self) -> None:
        if self._capture is not None:
            self._source_is_free = self._capture.close()
        if self._tracking is not None:
            self._tracking.close()
        self._capture = self._tracking = None

    def _close_source(self) -> None:
        if self._source_is_free:
            self.source.close()


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch on one core in the block.

    The others find landmarks meanwhile. With more threads each waits actively for its share of the work, and takes from
    the landmarks what it cannot use for a single small window.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Schedule:
    """When the next prediction is due: on a grid of times, so that an irregular frame rate does not make it drift."""

    def __init__(self, every_s: float, every_frames: int | None) -> None:
        self._every_s = every_s
        self._every_frames = every_frames
        self._frames = 0
        self._next_s: float | None = None
        self._last_s = -np.inf

    def is_due(self, timestamp_s: float) -> bool:
        """Whether a prediction is due at the next frame, which has this time."""
        if self._every_frames is not None:
            self._frames += 1
            return (self._frames - 1) % self._every_frames == 0
        begins_anew = self._next_s is None or timestamp_s < self._last_s
        self._last_s = timestamp_s
        slack_s = 1e-6  # times are sums of float steps
        if not begins_anew and timestamp_s < self._next_s - slack_s:
            return False
        # After a gap the grid starts again, instead of many predictions in a row.
        late = begins_anew or timestamp_s > self._next_s + self._every_s
        self._next_s = (timestamp_s if late else self._next_s) + self._every_s
        return True


class _RateMeter:
    """Frames per second over the last seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1024)

    def tick(self, now_s: float) -> float:
        """Count a frame; the rate with it, 0 at the first."""
        self._times.append(now_s)
        while now_s - self._times[0] > _RATE_SPAN_S:
            self._times.popleft()
        elapsed_s = now_s - self._times[0]
        return (len(self._times) - 1) / elapsed_s if elapsed_s > 0 else 0.0
