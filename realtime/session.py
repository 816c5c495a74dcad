"""LiveSession: from a camera, a stream or a file to expressions, frame by frame, with or without a screen."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stgt.errors import StgtError
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.video import FrameSource

from .cores import ANY, keep_to, kept_to, shared_out
from .frames import LiveFace, LiveFrame, PassedOver
from .reading import FaceReading
from .readings import Readings, Request
from .schedule import DropWarning, RateMeter, Schedule
from .sources.capture import CapturedFrame, Capturing, is_live, open_capture, open_live_source
from .sources.handover import Handover
from .window import SlidingWindow

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

#: Frames with landmarks that may wait for the model; of a live source all but the newest only go into the windows.
_WAITING = 8


#: How often someone is asked whether to go on waiting for a source that gives nothing, seconds.
_WAIT_S = 0.5


class _Tracked(NamedTuple):
    """A frame whose faces were found."""

    frame: CapturedFrame
    number: int
    found: list[Landmarks]
    waited_s: float
    landmarks_s: float


def session_landmarker(faces: int = 1, shared: bool = False) -> FaceLandmarker:
    """A landmarker whose threads run where a `LiveSession` wants them; ``shared`` as there."""
    with kept_to(ANY if shared else shared_out()[0]):
        landmarker = FaceLandmarker(faces=faces)
        # The first time is slow, and MediaPipe's is noisy.
        landmarker.detect(0.0, np.zeros((64, 64, 3), np.uint8))
    return landmarker


class LiveSession:
    """Iterate over it to get a `LiveFrame` for every frame that is analysed; use it as a context manager to close it.

    Three threads work at once: one reads the source, one finds the landmarks (MediaPipe works outside of Python's
    lock), and the one that iterates keeps the windows and runs the model. A camera or stream always gives its newest
    frame; a file gives all of them. Where the model is slower than a camera, the frames it has no time for still go
    into the windows, but are not given to anyone, and count as dropped.

    With one face (the default) a `LiveFrame` holds at most one person, and another one who sits down gets a new number,
    a new window and a new neutral face.

    Args:
        reader: the model.
        source: what `open_live_source` takes, or an open source (which then stays open).
        faces: people that are followed at once.
        every_s: seconds of the source's clock between two predictions.
        every_frames: predict at every so many frames instead.
        smoothing_s: time constant of the smoothed probabilities, seconds; 0 for none.
        hysteresis: by how much more probable another label must be to take over, as a probability; 0 for none.
        least_valid_share: share of a window that must show a face before it is said to be read.
        in_real_time: let a file run at its own speed, not as fast as it can be analysed.
        newest_only: pass over frames when newer ones are there; by default for cameras and streams only.
        frame_rate: Hz, of a folder of images, or to ask of a camera.
        landmarker: one to use, which then stays open; it is reset first. By default one is made.
        attention: say for each prediction where the model looked.
        shared: other sessions, or whoever looks at this one, need the processor, too: every thread runs where there is
            room, and nobody is warned that frames were passed over.

    Attributes:
        reader: the model.
        source: the open source.
        faces: as given.
        on_wait: called twice a second while no frame comes, by whoever iterates; if it gives False, that was it.

    Raises:
        SourceError: the source cannot be opened.
        StgtError: a setting that makes no sense.
    """

    def __init__(
        self,
        reader: "ExpressionReader",
        source: FrameSource | str | int | Path,
        *,
        faces: int = 1,
        every_s: float = 0.2,
        every_frames: int | None = None,
        smoothing_s: float = 0.5,
        hysteresis: float = 0.1,
        least_valid_share: float = 0.5,
        in_real_time: bool = False,
        newest_only: bool | None = None,
        frame_rate: float | None = None,
        landmarker: FaceLandmarker | None = None,
        attention: bool = False,
        shared: bool = False,
    ) -> None:
        if not every_s >= 0:
            raise StgtError(f"the time between predictions is {every_s} s; it must be 0 (every frame) or more")
        if every_frames is not None and every_frames < 1:
            raise StgtError(f"every_frames is {every_frames}; it must be 1 (every frame) or more")
        if faces < 1:
            raise StgtError(f"faces is {faces}; it must be 1 or more")
        if landmarker is not None and landmarker.faces < faces:
            raise StgtError(f"the landmarker finds {landmarker.faces} faces at most, but {faces} are to be followed")
        self.reader = reader
        self.faces = faces
        self.on_wait: Callable[[], object] | None = None
        self.every_s = every_s
        self.every_frames = every_frames
        self.in_real_time = in_real_time
        self._reading_settings = (smoothing_s, hysteresis, least_valid_share)
        FaceReading(0, reader, *self._reading_settings)  # complains about them before anything is opened
        self._attention = attention
        self._shared = shared
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._going_on = threading.Event()
        self._going_on.set()
        self._closed = threading.Event()
        self._capture: Capturing | None = None
        self._tracking: Handover[_Tracked] | None = None
        self._source_is_free = True
        with contextlib.ExitStack() as stack:
            if not isinstance(source, FrameSource):
                source = open_live_source(source, frame_rate)
                stack.callback(self._close_source)
            self.source = source
            self.newest_only = is_live(source) if newest_only is None else newest_only
            self._landmark_cores, self._model_cores = (ANY, ANY) if shared else shared_out()
            if landmarker is None:
                landmarker = stack.enter_context(session_landmarker(faces, shared))
            self._landmarker = landmarker
            self._begin()
            self._warm_up()
            self._resources = stack.pop_all()

    def __iter__(self) -> Iterator[LiveFrame]:
        """From the source's first frame (or the camera's next) to its end. It ends early when the session is closed."""
        self._stop_threads()
        self._begin()
        self._landmarker.reset()
        self._closed.clear()
        self._capture = open_capture(self.source, newest_only=self.newest_only, in_real_time=self.in_real_time)
        tracked = self._tracked(self._capture)
        if self.newest_only:
            self._tracking = Handover(tracked, capacity=_WAITING, newest_only=True)
        else:
            self._tracking = Handover(tracked, capacity=1)
        try:
            yield from self._frames(self._tracking)
        finally:
            self._stop_threads()

    def run(self, callback: Callable[[LiveFrame], object]) -> None:
        """Call ``callback`` with every frame until it returns False, the source ends, or the session is closed."""
        for frame in self:
            if callback(frame) is False:
                break

    def calibrate_neutral(self, face: int | None = None, seconds: float = 1.5) -> None:
        """Take the mean face of the next seconds for the person's neutral face, from then on and until asked again.

        It begins with the next frame that shows the face. Any thread may call this.

        Args:
            face: number of the person; by default everyone who is in sight then, or whoever comes first.
            seconds: of the source's clock.

        Raises:
            StgtError: seconds that are not positive.
        """
        if not 0 < seconds < float("inf"):
            raise StgtError(f"a neutral face is collected for {seconds} s; it must be more than 0")
        self._requests.put(Request(face, seconds))

    @property
    def is_calibrating(self) -> bool:
        """Whether a neutral face was asked for and is not there yet."""
        return self._readings.is_calibrating

    def pause(self) -> None:
        """Analyse nothing until `resume`. What a camera gives meanwhile is passed over; a file waits."""
        self._going_on.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._going_on.set()

    @property
    def is_paused(self) -> bool:
        """Whether `pause` was called, and `resume` not yet."""
        return not self._going_on.is_set()

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

    def _begin(self) -> None:
        """Know nobody, as before the first frame."""
        self._readings = Readings(
            self.reader,
            faces=self.faces,
            smooth=self._landmarker.faces > 1,
            attention=self._attention,
            source=self.source.name,
            requests=self._requests,
            settings=self._reading_settings,
        )
        self._passed_over = self._newest = 0

    def _frames(self, tracked: Handover[_Tracked]) -> Iterator[LiveFrame]:
        schedule = Schedule(self.every_s, self.every_frames)
        rate, warning = RateMeter(), DropWarning()
        passed_over: list[PassedOver] = []
        index = 0
        for item in self._arriving(tracked):
            frame = item.frame
            began_s = time.monotonic()
            with kept_to(self._model_cores):
                landmarks = self._readings.take_in(frame.timestamp_s, item.found, frame.rgb)
                if self.newest_only and item.number < self._newest and len(passed_over) < _WAITING:
                    self._passed_over += 1  # a newer one is there already
                    passed_over.append(PassedOver(frame.timestamp_s, frame.rgb, landmarks))
                    continue
                windows_s = time.monotonic()
                faces = self._predict(schedule.is_due(frame.timestamp_s))
            now_s = time.monotonic()
            stages = {
                "capture": item.waited_s,
                "landmarks": item.landmarks_s,
                "window": windows_s - began_s,
                "model": now_s - windows_s,
            }
            dropped = frame.dropped + tracked.dropped + self._passed_over
            if not self._shared:
                warning.count(dropped, stages, self.source.name)
            yield LiveFrame(
                timestamp_s=frame.timestamp_s,
                wall_s=time.time() - (now_s - frame.arrived_s),
                index=index,
                rgb=frame.rgb,
                faces=faces,
                labels=self.reader.labels,
                frame_rate=rate.tick(now_s),
                latency_s=now_s - frame.arrived_s,
                dropped=dropped,
                stages=stages,
                passed_over=tuple(passed_over),
            )
            passed_over.clear()
            index += 1
            with kept_to(self._model_cores):
                self._readings.tidy()

    def _predict(self, is_due: bool) -> tuple[LiveFace, ...]:
        """What is known of everyone in sight, asked anew where it ``is_due`` or somebody waits for it."""
        in_sight = self._readings.in_sight
        asked = [reading for reading in in_sight if is_due or reading.is_waiting]
        if asked:
            self._readings.predict(asked)
        return tuple(reading.live_face(is_new=reading in asked) for reading in in_sight)

    def _arriving(self, tracked: Handover[_Tracked]) -> Iterator[_Tracked]:
        """What is tracked; while nothing comes, ``on_wait`` is asked whether to go on."""
        while True:
            try:
                yield tracked.take(_WAIT_S)
            except TimeoutError:
                if self.on_wait is not None and self.on_wait() is False:
                    return
            except EOFError:
                return

    def _tracked(self, frames: Capturing) -> Iterator[_Tracked]:
        """Find the faces in each frame; runs in a thread of its own."""
        number = 0
        keep_to(self._landmark_cores)
        for frame in frames:
            if not self._going_on.is_set():
                if self.newest_only:
                    continue
                while not (self._going_on.wait(0.1) or self._closed.is_set()):
                    pass
                frame = frame._replace(arrived_s=time.monotonic())
            began_s = time.monotonic()
            found = self._landmarker.detect_all(frame.timestamp_s, frame.rgb)
            number += 1
            self._newest = number
            yield _Tracked(frame, number, found, began_s - frame.arrived_s, time.monotonic() - began_s)

    def _warm_up(self) -> None:
        """Let all run once: the first time is slow, and OpenCV's threads must start where no core is forbidden."""
        import cv2

        cv2.warpAffine(np.zeros((512, 512, 3), np.uint8), np.eye(2, 3), (512, 512))
        reading = FaceReading(0, self.reader, *self._reading_settings)
        reading.enter(SlidingWindow(self.reader.windows), [0.0])
        reading.see(0.1, None, None)
        self._readings.predict([reading])

    def _stop_threads(self) -> None:
        self._closed.set()
        if self._capture is not None:
            self._source_is_free = self._capture.close()
        if self._tracking is not None:
            self._tracking.close()
        self._capture = self._tracking = None

    def _close_source(self) -> None:
        if self._source_is_free:
            self.source.close()
