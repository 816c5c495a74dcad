"""The torch dataset: windows of prepared clips as a model takes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from stgt.config import ModelConfig, WindowConfig, parse_streams
from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepare import Prepared
from stgt.errors import DatasetError
from stgt.faces.crops import CROP_SIZE, CropSequence, cut_patches, to_crop
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.actions import action_stream
from stgt.graphs.aligned import AlignedTrack, align_track
from stgt.graphs.batch import WindowBatch
from stgt.graphs.geometry import geometry_stream
from stgt.graphs.layout import load_layout
from stgt.graphs.neutral import NeutralEstimator, NeutralFace
from stgt.graphs.windows import cut_window, window_starts

if TYPE_CHECKING:
    from stgt.learning.augmentation import Augmentation

#: Random starts that are tried for a training window before one around a frame with a face is taken.
TRIED_STARTS = 4


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

    @property
    def needs_crops(self) -> bool:
        """Whether the model reads pixels."""
        return bool(self.patch_size or self.stream_frames)

    def read(
        self,
        track: LandmarkTrack,
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
                ones do not matter.
            crops: of the same frames; only needed if the model reads pixels.
            start_s: on the track's clock.
            augmentation: for training; draws from ``generator``.
            generator: of all randomness.
            speed: factor by which the face is made to move faster: the window then spans more time of the track.
            neutral: the person's neutral face, where it is known; none: as estimated from the track's frames up to the
                end of the window.
            aligned: what ``align`` makes of the track, for whoever reads many windows of it; none: made here.
        """
        config = sped(self.window, speed)
        if aligned is None:
            aligned = self.align(track)
        window = cut_window(aligned, start_s, config)
        if neutral is None:
            neutral = self.neutral(aligned, start_s + config.duration_s)
        sample, mirrored = self.features(window.points, window.actions, window.valid, neutral, augmentation, generator)
        if not self.needs_crops:
            return sample
        if crops is None:
            raise ValueError("the model reads pixels, so crops are needed")
        return self.with_pixels(sample, track, crops, window.frame_index, mirrored)

    def align(self, track: LandmarkTrack) -> AlignedTrack:
        """The model's nodes on the aligned faces of a track."""
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
        track: LandmarkTrack,
        crops: CropSequence,
        frame_index: NDArray[np.int64],
        mirrored: bool,
    ) -> WindowSample:
        """``sample`` with the appearance streams; ``frame_index`` (T,) says which frames of the track it shows."""
        valid, picked = sample.mask, self.picked
        read = valid if self.patch_size else valid & np.isin(np.arange(len(valid)), picked)
        # Invalid frames stay black, and so do their patches.
        pixels = np.zeros((len(valid), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        pixels[read] = crops.decode(frame_index[read])
        patches = frames = None
        if self.patch_size:
            patches = self.patches(pixels, track.points[frame_index])
            if mirrored:
                patches = patches[:, self.layout.mirror, :, ::-1]
        if self.stream_frames:
            frames = pixels[picked, :, ::-1] if mirrored else pixels[picked]
            frames = frames.transpose(0, 3, 1, 2)
        return replace(
            sample, patches=patches, frames=frames, frames_mask=valid[picked] if frames is not None else None
        )


class WindowDataset(Dataset[WindowSample]):
    """Windows of prepared clips.

    For training (with ``augmentation``) an item is a clip, and each visit reads another window of it; a clip without
    any face is no item. For evaluation an item is a window: together they cover every clip, and ``WindowBatch.clip``
    says which windows belong together. Where the card says that the apex comes last, the only window is the one that
    ends with the clip, in training and evaluation alike.

    Args:
        clips: prepared ones.
        prepared: their tracks and crops.
        labels: class names in the order of the model's outputs.
        model: whose inputs are made.
        window: how windows are cut.
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
        self._last: tuple[int, AlignedTrack] | None = None
        order = {label: number for number, label in enumerate(labels)}
        # A model can be asked about clips whose label it does not know: they have no target.
        self.targets = [order.get(clip.label, -1) for clip in self.clips]
        if augmentation is None:
            self.items = [
                (number, start_s)
                for number, clip in enumerate(self.clips)
                for start_s in evaluation_starts(clip, prepared.track(clip), window)
            ]
        else:
            self.items = [
                (number, 0.0) for number, clip in enumerate(self.clips) if prepared.valid_share(clip.clip_id) > 0
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

    def __getitem__(self, key: int | tuple[int, int]) -> WindowSample:
        """An item; for training the key is ``(epoch, index)``."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        number, start_s = self.items[index]
        clip = self.clips[number]
        track = self.prepared.track(clip)
        crops = self.prepared.crops(clip) if self.reader.needs_crops else None
        if self.augmentation is None:
            sample = self.reader.read(track, crops, start_s, aligned=self.aligned(number, track))
        else:
            generator = np.random.default_rng([self.seed, epoch, number])
            speed = self.augmentation.playing_speed(generator)
            start_s = training_start(clip, track, sped(self.reader.window, speed), generator)
            sample = self.reader.read(track, crops, start_s, self.augmentation, generator, speed)
        return replace(sample, target=self.targets[number], clip=number)

    def aligned(self, number: int, track: LandmarkTrack) -> AlignedTrack:
        """The aligned faces of a clip; the last one is kept, because its next window is mostly asked for next."""
        if self._last is None or self._last[0] != number:
            self._last = (number, self.reader.align(track))
        return self._last[1]


def sped(window: WindowConfig, speed: float) -> WindowConfig:
    """The window of the track's own time that becomes ``window`` when the track is played ``speed`` times as fast."""
    if speed == 1.0:
        return window
    return replace(window, frame_rate=window.frame_rate / speed, max_gap_s=window.max_gap_s * speed)


def evaluation_starts(clip: Clip, track: LandmarkTrack, window: WindowConfig) -> list[float]:
    """Where the evaluation windows of a clip start, in seconds of its track."""
    starts = window_starts(track, window)
    return starts[-1:] if clip.apex == "last" else starts


def training_start(clip: Clip, track: LandmarkTrack, window: WindowConfig, generator: np.random.Generator) -> float:
    """Where a training window of a clip starts: at random, but with at least one frame that holds a face."""
    first, last = float(track.times[0]), window_starts(track, window)[-1]
    if clip.apex == "last" or last <= first:
        return last
    faces = track.times[track.valid]
    for _ in range(TRIED_STARTS):
        start_s = generator.uniform(first, last)
        inside = np.searchsorted(faces, (start_s, start_s + window.duration_s))
        if inside[1] > inside[0]:
            return start_s
    return float(np.clip(generator.choice(faces) - window.duration_s / 2, first, last))


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
