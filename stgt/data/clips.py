"""The torch dataset: windows of prepared clips as a model takes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from stgt.config import ModelConfig, WindowConfig, is_frame_model, parse_streams
from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepared import Prepared
from stgt.data.sampling import Cut, evaluation_cuts, lengthened, sped, training_cut
from stgt.errors import DatasetError
from stgt.faces.crops import CROP_SIZE, CropSequence, cut_patches, to_crop
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.actions import action_stream
from stgt.graphs.aligned import AlignedTrack, align_track
from stgt.graphs.batch import WindowBatch
from stgt.graphs.geometry import GEOMETRY_CHANNELS, geometry_stream
from stgt.graphs.layout import load_layout
from stgt.graphs.neutral import NeutralEstimator, NeutralFace, average_neutral
from stgt.graphs.windows import TIME_TOLERANCE_S, cut_window

if TYPE_CHECKING:
    from stgt.learning.augmentation import Augmentation

#: A training set keeps aligned faces in memory up to this many bytes, and aligns anew what does not go into them; of
#: the other sets there are two in a fit, and each of them keeps a quarter as much.
ALIGNED_MEMORY_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class WindowSample:
    """One window; the fields are those of ``WindowBatch`` without the batch dimension."""

    geometry: NDArray[np.float32]
    mask: NDArray[np.bool_]
    actions: NDArray[np.float32] | None = None
    patches: NDArray[np.uint8] | None = None
    frames: NDArray[np.uint8] | None = None
    frames_mask: NDArray[np.bool_] | None = None
    target: int | NDArray[np.float32] = -1
    clip: int = -1


class WindowReader:
    """Cuts windows from tracks and crops and turns them into a model's inputs.

    Args:
        model: its layout, streams, patch size and number of appearance frames count here.
        window: length and rate of the windows.
    """

    def __init__(self, model: ModelConfig, window: WindowConfig) -> None:
        self.window = window
        self.layout = load_layout(model.layout)
        streams = parse_streams(model.streams)
        self.reads_actions = "actions" in streams
        self.patch_size = model.patch_size if "patches" in streams else 0
        self.stream_frames = model.stream_frames if "frames" in streams else 0
        # Landmarks then only say where faces are: they need no alignment, and the geometry stream stays zero.
        self.frames_alone = is_frame_model(model.name)

    @property
    def needs_crops(self) -> bool:
        """Whether the model reads pixels."""
        return bool(self.patch_size or self.stream_frames)

    def read(
        self,
        track: LandmarkTrack | None,
        crops: CropSequence | None,
        start_s: float,
        augmentation: "Augmentation | None" = None,
        generator: np.random.Generator | None = None,
        speed: float = 1.0,
        neutral: NeutralFace | None = None,
        aligned: AlignedTrack | None = None,
    ) -> WindowSample:
        """The window of a track that starts at ``start_s``.

        Args:
            track: any track that covers the window; frames before it serve to know the person's neutral face, later
                ones do not matter. None: ``aligned`` is given, and the model reads no patches.
            crops: of the same frames; only needed if the model reads pixels.
            start_s: on the track's clock.
            augmentation: for training; draws from ``generator``.
            generator: of all randomness.
            speed: factor by which the face is made to move faster: the window then spans more time of the track.
                What ``window.short`` says happens where the whole track is shorter than that.
            neutral: the person's neutral face, where it is known; none: as estimated from the track's frames up to the
                end of the window.
            aligned: what ``align`` makes of the track, for whoever reads many windows of it; none: made here.
        """
        config = sped(self.window, speed)
        end_s = start_s + config.duration_s
        if aligned is None:
            aligned = self.align(track.slice(None, end_s) if len(track) and track.times[-1] > end_s else track)
        if neutral is None:
            neutral = average_neutral(self.layout) if self.frames_alone else self.neutral(aligned, end_s)
        shown = None
        if self.window.short != "mask" and len(aligned) and start_s <= aligned.times[0]:
            aligned, shown = lengthened(aligned, end_s, self.window)
        window = cut_window(aligned, start_s, config)
        sample, mirrored = self.features(window.points, window.actions, window.valid, neutral, augmentation, generator)
        if not self.needs_crops:
            return sample
        if crops is None:
            raise ValueError("the model reads pixels, so crops are needed")
        frame_index = window.frame_index if shown is None else shown[window.frame_index]
        sample = self.with_pixels(sample, track, crops, frame_index, mirrored)
        if self.stream_frames and not window.valid.any() and len(aligned):
            apart_s = np.abs(aligned.times[window.frame_index] - window.times)
            near = apart_s <= self.window.max_gap_s + TIME_TOLERANCE_S
            return self.with_pictures(sample, crops, frame_index, near, mirrored)
        return sample

    def align(self, track: LandmarkTrack) -> AlignedTrack:
        """The model's nodes on the aligned faces of a track; zeros for a model of frames alone."""
        if self.frames_alone:
            zeros = np.zeros((), np.float32)  # as wide as it needs to be, and without memory
            points = np.broadcast_to(zeros, (len(track), len(self.layout), 3))
            actions = np.broadcast_to(zeros, track.blendshapes.shape)
            return AlignedTrack(points, actions, track.times, track.valid)
        return align_track(track, self.layout)

    def neutral(self, track: AlignedTrack, until_s: float) -> NeutralFace:
        """The person's neutral face as the frames of a track up to a time show it."""
        return self.follow(NeutralEstimator(self.layout), track, -np.inf, until_s)

    @staticmethod
    def follow(estimator: NeutralEstimator, track: AlignedTrack, after_s: float, until_s: float) -> NeutralFace:
        """Take the frames of a track later than ``after_s`` and up to ``until_s`` into an estimate."""
        new = track.between(after_s, until_s)
        return estimator.update(new.points, new.blendshapes, new.times, new.valid)

    def features(
        self,
        points: NDArray[np.float32],
        actions: NDArray[np.float32],
        valid: NDArray[np.bool_],
        neutral: NeutralFace,
        augmentation: "Augmentation | None" = None,
        generator: np.random.Generator | None = None,
    ) -> tuple[WindowSample, bool]:
        """The streams that come from landmarks, and whether augmentation has mirrored them.

        Args:
            points: (T, V, 3) aligned nodes of a window.
            actions: (T, 52) blendshapes.
            valid: (T,) which frames hold a face.
            neutral: the person's neutral face.
            augmentation: for training; draws from ``generator``.
            generator: of all randomness.
        """
        if self.frames_alone:
            mirrored = False
            if augmentation is not None:
                mirrored = augmentation.draw_mirrored(generator)
                valid = augmentation.drop_frames(valid, generator)
            geometry = np.zeros((len(valid), len(self.layout), GEOMETRY_CHANNELS), np.float32)
            return WindowSample(geometry, valid), mirrored
        mirrored, rest, rest_actions = False, neutral.nodes, neutral.actions
        if augmentation is not None:
            augmented = augmentation(points, actions, valid, neutral, generator)
            points, actions, valid, mirrored = augmented.points, augmented.actions, augmented.valid, augmented.mirrored
            rest, rest_actions = augmented.neutral.nodes, augmented.neutral.actions
        geometry = geometry_stream(points, valid, self.layout, self.window.frame_rate, neutral=rest, aligned=True)
        stream = action_stream(actions, rest_actions, valid) if self.reads_actions else None
        return WindowSample(geometry, valid, stream), mirrored

    @property
    def picked(self) -> NDArray[np.int64]:
        """(F,) the frames of a window that the frames stream looks at."""
        return np.linspace(0, self.window.frames - 1, self.stream_frames).round().astype(np.int64)

    def patches(self, crops: NDArray[np.uint8], points: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(N, V, P, P, 3) around the nodes; of (N, S, S, 3) aligned crops and (N, 478, 3) landmarks in image pixels."""
        return cut_patches(crops, to_crop(points)[:, self.layout.landmarks], self.patch_size)

    def with_pixels(
        self,
        sample: WindowSample,
        track: LandmarkTrack | None,
        crops: CropSequence,
        frame_index: NDArray[np.int64],
        mirrored: bool,
    ) -> WindowSample:
        """``sample`` with the appearance streams; ``frame_index`` (T,) says which frames of the track it shows."""
        valid, picked = sample.mask, self.picked
        if not self.patch_size:
            return self.with_frames(sample, crops, frame_index[picked], valid[picked], mirrored)
        # Invalid frames stay black, and so do their patches.
        pixels = np.zeros((len(valid), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        pixels[valid] = crops.decode(frame_index[valid])
        patches = self.patches(pixels, track.points[frame_index])
        if mirrored:
            patches = patches[:, self.layout.mirror, :, ::-1]
        sample = replace(sample, patches=patches)
        if not self.stream_frames:
            return sample
        return replace(sample, frames=channels_first(pixels[picked], mirrored), frames_mask=valid[picked])

    def with_frames(
        self,
        sample: WindowSample,
        crops: CropSequence,
        index: NDArray[np.int64],
        shown: NDArray[np.bool_],
        mirrored: bool,
    ) -> WindowSample:
        """``sample`` with the crops (F,) of the frames stream; those that are not shown stay black."""
        pixels = np.zeros((len(index), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        pixels[shown] = crops.decode(index[shown])
        return replace(sample, frames=channels_first(pixels, mirrored), frames_mask=shown)

    def with_pictures(
        self,
        sample: WindowSample,
        crops: CropSequence,
        frame_index: NDArray[np.int64],
        near: NDArray[np.bool_],
        mirrored: bool,
    ) -> WindowSample:
        """``sample``, a window without any face, with the crops of pictures that show one all the same.

        In a picture that was cut around a face (``Clip.aligned``) the landmarks may not be found: the frames stream
        then sees the picture, and everything else that there is no face. ``near`` (T,) says which frames of the window
        have a frame of the track at their time.
        """
        index = frame_index[self.picked]
        shown = near[self.picked] & (np.diff(crops.offsets)[index] > 0)
        return self.with_frames(sample, crops, index, shown, mirrored) if shown.any() else sample


class WindowDataset(Dataset[WindowSample]):
    """Windows of prepared clips; ``stgt.data.sampling`` says which.

    For training (with ``augmentation``) an item is a clip, and each visit reads another window of it; a clip without
    any face is no item, unless it is an aligned picture and the model reads frames. For evaluation an item is a
    window, and ``WindowBatch.clip`` says which windows belong together.

    Args:
        clips: prepared ones.
        prepared: their tracks and crops; only those that an item shows are read.
        labels: class names in the order of the model's outputs.
        model: whose inputs are made.
        window: how windows are cut and chosen.
        augmentation: what training does to a window; none: evaluation.
        seed: with the epoch and the clip it decides everything random about a training window.

    Raises:
        DatasetError: for training, a clip whose label is not among ``labels``, or no clip with a face.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        prepared: Prepared,
        labels: Sequence[str],
        model: ModelConfig,
        window: WindowConfig,
        augmentation: "Augmentation | None" = None,
        seed: int = 0,
    ) -> None:
        self.clips = list(clips)
        self.prepared = prepared
        self.reader = WindowReader(model, window)
        self.augmentation = augmentation
        self.seed = seed
        self._aligned = self.empty_memory()
        order = {label: number for number, label in enumerate(labels)}
        # A model can be asked about clips whose label it does not know: they have no target.
        self.targets = [order.get(clip.label, -1) for clip in self.clips]
        for clip in self.clips:
            if clip.clip_id not in prepared:
                prepared.track(clip)  # says why
        self.items: list[tuple[int, Cut]]
        if augmentation is None:
            self.items = [
                (number, cut)
                for number, clip in enumerate(self.clips)
                for cut in evaluation_cuts(*prepared.span(clip.clip_id)[:2], window, clip.apex)
            ]
        else:
            self.items = [
                (number, Cut(0.0))
                for number, clip in enumerate(self.clips)
                if prepared.valid_share(clip.clip_id) > 0 or (clip.aligned and self.reader.stream_frames)
            ]
            self.check_trainable(labels)

    def check_trainable(self, labels: Sequence[str]) -> None:
        """Raise DatasetError when the clips cannot be trained on."""
        unknown = next((clip for clip, target in zip(self.clips, self.targets, strict=True) if target < 0), None)
        if unknown:
            raise DatasetError(f"clip {unknown.clip_id} is labelled {unknown.label}, not one of {', '.join(labels)}")
        if not self.items:
            raise DatasetError(f"no face was found in any of the {len(self.clips)} training clips")

    def __len__(self) -> int:
        return len(self.items)

    def __getstate__(self) -> dict:
        # Another process aligns the faces that it needs itself.
        return {**self.__dict__, "_aligned": self.empty_memory()}

    def empty_memory(self) -> "AlignedMemory":
        """A place for aligned faces."""
        return AlignedMemory(ALIGNED_MEMORY_BYTES // (4 if self.augmentation is None else 1))

    def __getitem__(self, key: int | tuple[int, ...]) -> WindowSample:
        """An item; for training the key is ``(epoch, index)``, with a third number for another visit in the epoch."""
        epoch, index, *visit = key if isinstance(key, tuple) else (0, key)
        number, cut = self.items[index]
        clip, reader = self.clips[number], self.reader
        aligned = self.aligned(number)
        track = self.prepared.track(clip) if aligned is None or reader.patch_size else None
        crops = self.prepared.crops(clip) if reader.needs_crops else None
        if self.augmentation is None:
            sample = reader.read(track, crops, cut.start_s, speed=cut.speed, aligned=aligned)
        else:
            generator = np.random.default_rng([self.seed, epoch, number, *visit])
            speed = self.augmentation.playing_speed(generator)
            frames = track if aligned is None else aligned
            cut = training_cut(frames, reader.window, clip.apex, speed, generator)
            sample = reader.read(track, crops, cut.start_s, self.augmentation, generator, cut.speed, aligned=aligned)
            if sample.frames is not None:
                changed = self.augmentation.pictures(sample.frames, sample.frames_mask, generator)
                sample = replace(sample, frames=changed)
        return replace(sample, target=self.targets[number], clip=number)

    def aligned(self, number: int) -> AlignedTrack | None:
        """The aligned faces of a clip, if they are or can be kept in memory.

        In evaluation the last clip's are always: its next window is mostly asked for next.
        """
        kept = self._aligned.get(number)
        if kept is None and (self.augmentation is None or not self._aligned.full):
            kept = self.reader.align(self.prepared.track(self.clips[number]))
            self._aligned.keep(number, kept)
        return kept


class AlignedMemory:
    """Aligned tracks by number, kept until they take up a number of bytes; of those that come later, the last one."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = limit_bytes
        self.full = False
        self._kept: dict[int, AlignedTrack] = {}
        self._last: tuple[int, AlignedTrack] | None = None

    def get(self, number: int) -> AlignedTrack | None:
        """The track of this number, if it is here."""
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        return self._kept.get(number)

    def keep(self, number: int, track: AlignedTrack) -> None:
        """Keep a track that is not here yet."""
        arrays = (track.points, track.blendshapes, track.times, track.valid)
        size_bytes = sum(array.nbytes for array in arrays if any(array.strides))  # else one number, seen many times
        self.full = self.full or size_bytes > self.left_bytes
        if self.full:
            self._last = number, track
        else:
            self._kept[number] = track
            self.left_bytes -= size_bytes


def channels_first(pixels: NDArray[np.uint8], mirrored: bool) -> NDArray[np.uint8]:
    """(F, S, S, 3) crops -> (F, 3, S, S), left and right exchanged if they are to be mirrored."""
    return (pixels[:, :, ::-1] if mirrored else pixels).transpose(0, 3, 1, 2)


def collate(samples: Sequence[WindowSample]) -> WindowBatch:
    """Samples of the same model -> a batch."""

    def stacked(name: str) -> torch.Tensor | None:
        values = [getattr(sample, name) for sample in samples]
        return None if values[0] is None else torch.from_numpy(np.stack(values))

    return WindowBatch(
        geometry=stacked("geometry"),
        mask=stacked("mask"),
        actions=stacked("actions"),
        patches=stacked("patches"),
        frames=stacked("frames"),
        frames_mask=stacked("frames_mask"),
        target=torch.from_numpy(np.stack([sample.target for sample in samples])),
        clip=torch.tensor([sample.clip for sample in samples]),
    )
