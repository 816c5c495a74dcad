"""The last seconds of a face: a buffer by time, which windows are cut from as from a recording."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stgt.faces.crops import CROP_SIZE, CropSequence, crop_face, encode_crop
from stgt.faces.landmarker import Landmarks
from stgt.faces.tracks import BLENDSHAPES, TIME_TOLERANCE_S
from stgt.graphs.aligned import AlignedTrack
from stgt.graphs.geometry import aligned_nodes
from stgt.graphs.neutral import NeutralFace
from stgt.graphs.windows import cut_window

if TYPE_CHECKING:
    from stgt.data.clips import WindowReader, WindowSample

#: Hz; frames of a faster source are thinned to between this rate and twice it.
MAX_FRAME_RATE = 120.0

#: (N, 3, S, S) uint8 crops -> (N, D) float32, what the model reads of them.
FrameEncoder = Callable[[np.ndarray], np.ndarray]


class PreparedFace(NamedTuple):
    """All that a window keeps of a face in one frame.

    Attributes:
        nodes: (V, 3) float32, aligned.
        blendshapes: (52,) float32.
        jpeg: the aligned crop; empty if the model reads no pixels.
        patches: (V, P, P, 3) uint8; ``None`` if the model reads none.
    """

    nodes: np.ndarray
    blendshapes: np.ndarray
    jpeg: bytes = b""
    patches: np.ndarray | None = None


def prepare_faces(reader: "WindowReader", found: list[Landmarks], rgb: np.ndarray) -> list[PreparedFace]:
    """What has to be done once with the faces of a frame, however many windows show them.

    Args:
        reader: of the model.
        found: the faces.
        rgb: ``(H, W, 3)`` uint8, the frame.
    """
    if not found:
        return []
    nodes = aligned_nodes(np.stack([face.points for face in found]), np.ones(len(found), bool), reader.layout)
    prepared = []
    for face, own in zip(found, nodes, strict=True):
        jpeg, patches = b"", None
        if reader.needs_crops:
            # Through JPEG, because recordings keep crops so: the model is to see the same pixels.
            jpeg = encode_crop(crop_face(rgb, face.points))
            if reader.patch_size:
                patches = reader.patches(decode_crops([jpeg]), face.points[None])[0]
        prepared.append(PreparedFace(own, face.blendshapes, jpeg, patches))
    return prepared


def decode_crops(jpegs: list[bytes]) -> np.ndarray:
    """(N, CROP_SIZE, CROP_SIZE, 3) uint8 RGB."""
    return CropSequence.from_jpegs(jpegs).decode(range(len(jpegs)))


class SlidingWindow:
    """What was seen of one face during the last window of a live source.

    Frames come at any rate and with any gaps. They are kept by time: as long as a window can reach back to them. All
    memory is taken once, for the most frames that a window can hold, and stays the same for ever. What has to be done
    with a frame is done when it comes (`prepare_faces`), and a window is then no more than cut.

    A window cut here is that of a recording of the whole source.

    Args:
        reader: cuts windows as the model takes them.
        max_frame_rate: Hz; a frame that comes sooner than half a period after the one before is left out.
    """

    def __init__(self, reader: "WindowReader", *, max_frame_rate: float = MAX_FRAME_RATE) -> None:
        config, nodes = reader.window, len(reader.layout)
        self.duration_s = config.duration_s
        self._reader = reader
        self._least_step_s = 0.5 / max_frame_rate
        # Frames that are at least one step apart, both ends of the window included, and one for the tolerance of times.
        self.capacity = ceil(config.duration_s / self._least_step_s) + 2
        # Twice as long as needed: frames are appended, and moved to the front when the end is reached, so that those of
        # the window are always one piece and are cut without a copy.
        length = 2 * self.capacity
        self._times = np.zeros(length)
        self._valid = np.zeros(length, bool)
        self._nodes = np.zeros((length, nodes, 3), np.float32)
        self._blendshapes = np.zeros((length, BLENDSHAPES), np.float32)
        # Pixels are too many to be moved: they lie in a ring, at the frame's number modulo the capacity.
        size = reader.patch_size
        self._patches = np.zeros((self.capacity, nodes, size, size, 3), np.uint8) if size else None
        self._jpegs = [b""] * self.capacity
        self._features: np.ndarray | None = None
        self._is_encoded = np.zeros(self.capacity, bool)
        self.clear()

    def clear(self) -> None:
        """Forget everything, as before another recording."""
        self._first = self._stop = 0
        self._moved = 0  # frames moved to the front so far: the frame at index i has the number i + moved
        self._end_s: float | None = None
        self._last_face_s: float | None = None

    def __len__(self) -> int:
        """How many frames are held; never more than ``capacity``."""
        return self._stop - self._first

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
        return self._unseen_s > self._reader.window.max_gap_s + TIME_TOLERANCE_S

    @property
    def is_over(self) -> bool:
        """Whether no frame of the window, nor the next one's, can show the face."""
        return self._unseen_s > self.duration_s + 2 * TIME_TOLERANCE_S

    @property
    def _unseen_s(self) -> float:
        return np.inf if self._last_face_s is None else self.end_s - self._last_face_s

    def push(self, timestamp_s: float, face: PreparedFace | None) -> None:
        """Add the next frame.

        Args:
            timestamp_s: seconds on the source's clock. If it runs backwards, another recording has begun and the
                window starts anew.
            face: what `prepare_faces` made of it; ``None`` if it was not seen.

        Raises:
            ValueError: a time that is no number.
        """
        if not isfinite(timestamp_s):
            raise ValueError(f"a frame's time must be a finite number of seconds, not {timestamp_s}")
        if self._end_s is not None and timestamp_s < self._end_s:
            self.clear()
        self._end_s = timestamp_s
        if face is not None:
            self._last_face_s = timestamp_s
        self._expire()
        index = self._index_for(timestamp_s, face is not None)
        if index is None:
            return
        self._times[index] = timestamp_s
        self._valid[index] = face is not None
        slot = (index + self._moved) % self.capacity
        self._is_encoded[slot] = False
        if face is None:
            self._nodes[index] = self._blendshapes[index] = 0.0
            self._jpegs[slot] = b""
            return
        self._nodes[index], self._blendshapes[index], self._jpegs[slot] = face.nodes, face.blendshapes, face.jpeg
        if self._patches is not None:
            self._patches[slot] = face.patches

    def track(self) -> AlignedTrack:
        """The frames from `start_s` to `end_s`: views, which the next frame may change."""
        kept = slice(self._first, self._stop)
        return AlignedTrack(self._nodes[kept], self._blendshapes[kept], self._times[kept], self._valid[kept])

    def sample(self, neutral: NeutralFace, encode_frames: FrameEncoder | None = None) -> "WindowSample":
        """The window that ends with the newest frame, as the model takes it.

        Args:
            neutral: the person's neutral face.
            encode_frames: what the model reads of crops, for a model with a frames stream; each frame is given to it at
                most once. By default the model gets the crops themselves.
        """
        window = cut_window(self.track(), self.start_s, self._reader.window)
        sample, _ = self._reader.features(window.points, window.actions, window.valid, neutral)
        slots = (self._first + self._moved + window.frame_index) % self.capacity
        if self._patches is not None:
            patches = self._patches[slots]
            patches[~window.valid] = 0
            sample = replace(sample, patches=patches)
        if self._reader.stream_frames:
            picked = self._reader.picked
            valid, slots = window.valid[picked], slots[picked]
            frames = self._crops(slots, valid) if encode_frames is None else self._read(slots, valid, encode_frames)
            sample = replace(sample, frames=frames, frames_mask=valid)
        return sample

    def _crops(self, slots: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """(F, 3, S, S) uint8, black where invalid."""
        jpegs = [self._jpegs[slot] if seen else b"" for slot, seen in zip(slots, valid, strict=True)]
        return decode_crops(jpegs).transpose(0, 3, 1, 2)

    def _read(self, slots: np.ndarray, valid: np.ndarray, encode_frames: FrameEncoder) -> np.ndarray:
        """(F, D) float32 features, zeros where invalid; what is not known yet is read now."""
        new = np.unique(slots[valid & ~self._is_encoded[slots]])
        if self._features is None:
            width = encode_frames(np.zeros((1, 3, CROP_SIZE, CROP_SIZE), np.uint8)).shape[1]
            self._features = np.zeros((self.capacity, width), np.float32)
        if len(new):
            self._features[new] = encode_frames(self._crops(new, np.ones(len(new), bool)))
            self._is_encoded[new] = True
        return self._features[slots] * valid[:, None]

    def _expire(self) -> None:
        """Give up the frames that the window has left behind."""
        horizon_s = self.start_s - 2 * TIME_TOLERANCE_S
        while self._first < self._stop and self._times[self._first] < horizon_s:
            self._first += 1

    def _index_for(self, timestamp_s: float, valid: bool) -> int | None:
        """Where the next frame goes; ``None`` if it came too soon after the one before to be kept."""
        if len(self):
            last = self._stop - 1
            step_s = timestamp_s - self._times[last]
            # A face is kept rather than its absence, and of two frames with the same time the later one, as windows do.
            if step_s < self._least_step_s:
                better = valid and (step_s <= TIME_TOLERANCE_S or not self._valid[last])
                return last if better else None
        if self._stop == len(self._times):
            self._move_to_front()
        self._stop += 1
        return self._stop - 1

    def _move_to_front(self) -> None:
        count = len(self)
        for array in (self._times, self._valid, self._nodes, self._blendshapes):
            array[:count] = array[self._first : self._stop]
        self._moved += self._first
        self._first, self._stop = 0, count
