"""The last seconds of a face: a ring buffer by time, read as if it were a track."""

from math import ceil, isfinite

import numpy as np

from stgt.config import WindowConfig
from stgt.faces.crops import CropSequence
from stgt.faces.landmarker import Landmarks
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS, TIME_TOLERANCE_S, LandmarkTrack

#: Hz; frames of a faster source are thinned to between this rate and twice it.
MAX_FRAME_RATE = 120.0


class SlidingWindow:
    """What was seen during the last window of a live source, as a track that offline functions read.

    Frames come at any rate and with any gaps. They are kept by time: as long as a window can reach back to them. All
    memory is taken once, for the most frames that a window can hold, and stays the same for ever.

    A window of the track that this gives is, to the last bit, the one of a recording of the whole source.

    Args:
        config: the model's windows.
        image_size: ``(width, height)`` of the source's frames in pixels.
        source: name of the source, for the tracks.
        with_crops: whether face crops are kept, for models that read pixels.
        max_frame_rate: Hz; a frame that comes sooner than half a period after the one before is left out.
    """

    def __init__(
        self,
        config: WindowConfig,
        image_size: tuple[int, int],
        source: str = "",
        *,
        with_crops: bool = False,
        max_frame_rate: float = MAX_FRAME_RATE,
    ) -> None:
        self.duration_s = config.duration_s
        self._max_gap_s = config.max_gap_s
        self._image_size = image_size
        self._source = source
        self._with_crops = with_crops
        self._least_step_s = 0.5 / max_frame_rate
        # Frames that are at least one step apart, both ends of the window included, and one for the tolerance of times.
        capacity = ceil(config.duration_s / self._least_step_s) + 2
        self._times = np.zeros(capacity)
        self._valid = np.zeros(capacity, bool)
        self._points = np.zeros((capacity, LANDMARKS, 3), np.float32)
        self._blendshapes = np.zeros((capacity, BLENDSHAPES), np.float32)
        self._transforms = np.zeros((capacity, 4, 4), np.float32)
        self._jpegs: list[bytes] = [b""] * capacity
        self.clear()

    def clear(self) -> None:
        """Forget everything, as before another recording."""
        self._first = self._count = 0
        self._end_s: float | None = None
        self._last_face_s: float | None = None

    def __len__(self) -> int:
        """How many frames are held; never more than `capacity`."""
        return self._count

    @property
    def capacity(self) -> int:
        """The most frames that are held at once."""
        return len(self._times)

    @property
    def end_s(self) -> float:
        """Time of the newest frame.

        Raises:
            ValueError: nothing was pushed yet.
        """
        if self._end_s is None:
            raise ValueError("a window has no time before its first frame")
        return self._end_s

    @property
    def start_s(self) -> float:
        """Where the window starts that ends with the newest frame; before the first frame while the window fills."""
        return self.end_s - self.duration_s

    @property
    def face_lost(self) -> bool:
        """Whether no face was seen for longer than the gap that a window tolerates."""
        last_s = self._last_face_s
        return last_s is None or self.end_s - last_s > self._max_gap_s + TIME_TOLERANCE_S

    def push(self, timestamp_s: float, landmarks: Landmarks | None, crop: bytes = b"") -> None:
        """Add the next frame.

        Args:
            timestamp_s: seconds on the source's clock. If it runs backwards, another recording has begun and the
                window starts anew.
            landmarks: what the landmarker found; ``None`` for a frame without a face.
            crop: the JPEG of the aligned face (`stgt.faces.crops.encode_crop`); only kept with ``with_crops``.

        Raises:
            ValueError: a time that is no number.
        """
        if not isfinite(timestamp_s):
            raise ValueError(f"a frame's time must be a finite number of seconds, not {timestamp_s}")
        if self._end_s is not None and timestamp_s < self._end_s:
            self.clear()
        self._end_s = timestamp_s
        if landmarks is not None:
            self._last_face_s = timestamp_s
        self._expire()
        slot = self._slot_for(timestamp_s, landmarks is not None)
        if slot is None:
            return
        self._times[slot] = timestamp_s
        self._valid[slot] = landmarks is not None
        self._jpegs[slot] = crop if self._with_crops and landmarks is not None else b""
        for array, value in zip(
            (self._points, self._blendshapes, self._transforms), landmarks or (0.0, 0.0, 0.0), strict=True
        ):
            array[slot] = value

    def track(self) -> LandmarkTrack:
        """The frames from `start_s` to `end_s`, copied.

        Cut it at `start_s` like any track; frames that are not there yet, or that had no face, are invalid.
        """
        order = self._order()
        return LandmarkTrack(
            self._points[order],
            self._times[order],
            self._valid[order],
            self._blendshapes[order],
            self._transforms[order],
            self._image_size,
            self._source,
        )

    def crops(self) -> CropSequence | None:
        """The crops of the frames of `track`; ``None`` if none are kept."""
        return CropSequence.from_jpegs([self._jpegs[slot] for slot in self._order()]) if self._with_crops else None

    def _order(self) -> np.ndarray:
        """The slots in use in the order of time."""
        return (self._first + np.arange(self._count)) % self.capacity

    def _expire(self) -> None:
        """Give up the frames that the window has left behind."""
        horizon_s = self.start_s - 2 * TIME_TOLERANCE_S
        while self._count and self._times[self._first] < horizon_s:
            self._first = (self._first + 1) % self.capacity
            self._count -= 1

    def _slot_for(self, timestamp_s: float, valid: bool) -> int | None:
        """Where the next frame goes; ``None`` if it came too soon after the one before to be kept."""
        if self._count:
            last = (self._first + self._count - 1) % self.capacity
            step_s = timestamp_s - self._times[last]
            # A face is kept rather than its absence, and of two frames with the same time the later one, as windows do.
            if step_s < self._least_step_s:
                better = valid and (step_s <= TIME_TOLERANCE_S or not self._valid[last])
                return last if better else None
        self._count += 1
        return (self._first + self._count - 1) % self.capacity
