"""Training windows out of nothing: streams of synthetic people on the direct road, and windows of them.

A stream is what a camera would have seen until now: some seconds of history, in which the person may have rested,
talked or shown something else, and the window. The person's neutral face is estimated from it as from any other stream.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from stgt.config import ModelConfig, WindowConfig
from stgt.data.clips import WindowReader, WindowSample
from stgt.graphs.neutral import NeutralEstimator
from stgt.graphs.windows import TIME_TOLERANCE_S, sample_window
from stgt.learning.augmentation import Augmentation
from stgt.pretraining.config import StreamConfig
from stgt.synthetic.actions import LABELS
from stgt.synthetic.direct import Distortion, View, person, track
from stgt.synthetic.expressions import sample_event
from stgt.synthetic.motion import ActionCurve, Event, perform
from stgt.synthetic.settings import PerformanceSettings

#: Seeds of the people: nobody is in two of them.
TRAINING_SEED, VALIDATION_SEED, TEST_SEED = 7_301_001, 7_301_002, 7_301_003
#: An expression of this intensity, shown all the time, is fully there for a label.
VISIBLE = 0.45
#: Share of a window that must show an expression before it counts at all, and from which on it counts fully.
NOTICED, CERTAIN = 0.1, 0.6


def shares(shown: NDArray[np.floating]) -> NDArray[np.float32]:
    """What a window shows, as a distribution over ``LABELS``.

    Args:
        shown: ``(T, 8)`` of the window's frames, as in ``ActionCurve``.
    """
    visible = np.minimum(shown[:, 1:] / VISIBLE, 1).mean(axis=0)
    level = np.clip((visible - NOTICED) / (CERTAIN - NOTICED), 0, 1)
    level = level**2 * (3 - 2 * level)
    level /= max(1.0, level.sum())
    return np.concatenate([[1 - level.sum()], level]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Stream:
    """What was seen of a person until now: ``times (T,)`` s, ``points (T, V, 3)`` aligned nodes, ``actions (T, 52)``,
    ``valid (T,)`` and ``shown (T, 8)`` as in ``ActionCurve``."""

    times: NDArray[np.float64]
    points: NDArray[np.float32]
    actions: NDArray[np.float32]
    valid: NDArray[np.bool_]
    shown: NDArray[np.float32]


class StreamDataset(Dataset[list[WindowSample]]):
    """Windows of synthetic streams; an item depends on the seed, the epoch and its index alone.

    Args:
        config: what the streams are like.
        model: whose inputs are made.
        window: how windows are cut.
        augmentation: what is done to a window besides.
        length: streams per epoch.
        seed: of everything random.
    """

    def __init__(
        self,
        config: StreamConfig,
        model: ModelConfig,
        window: WindowConfig,
        augmentation: Augmentation | None,
        length: int,
        seed: int,
    ) -> None:
        self.config = config
        self.window = window
        self.reader = WindowReader(model, window)
        self.augmentation = augmentation
        self.length = length
        self.seed = seed
        self.settings = PerformanceSettings(least_intensity=config.least_intensity, speaking=0.0)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> list[WindowSample]:
        """Windows of one stream, their targets the shares of the classes ``(8,)``; the key is ``(epoch, index)``."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        rng = np.random.default_rng([self.seed, epoch, index])
        config = self.config
        who = person(TRAINING_SEED, int(rng.integers(config.subjects)))
        history_s = 0.0 if rng.random() < 0.3 else rng.uniform(0.3, config.most_history_s)
        if rng.random() < 0.1:  # the stream has only begun: the window is not full yet
            history_s = -rng.uniform(0.1, 0.7) * self.window.duration_s
        rate = float(rng.choice((10.0, 12.5, 15.0, 25.0), p=(0.4, 0.3, 0.2, 0.1)))
        frames = max(2, int(np.ceil((history_s + self.window.duration_s) * rate)) + 1)
        label = LABELS[0] if rng.random() < config.neutral else self.draw_label(rng)
        still = rng.random() < config.still
        curve = self.curve(rng, label, who.identity.resting, frames, rate, history_s, still)
        index_shown = freeze(rng, curve, still)
        view = View(rng.uniform(0.35, 1.6), rng.normal(2, 6), rng.normal(0, 6), rng.normal(0, 2))
        faces = track(who, curve, view, rng, rate, self.distortion(rng, still))
        stream = Stream(
            times=np.arange(len(index_shown)) / rate,
            points=faces.points[index_shown][:, self.reader.layout.landmarks],
            actions=faces.actions[index_shown],
            valid=lose_frames(rng, np.arange(len(index_shown)) / rate),
            shown=curve.shown[index_shown],
        )
        last_s = stream.times[-1]
        ends = [last_s]
        if history_s < 0 and rng.random() < 0.5:
            ends = [self.window.duration_s]  # a clip shorter than a window
        elif last_s > self.window.duration_s + 0.5:
            ends += rng.uniform(0.3, last_s, config.windows - 1).tolist()
        return [self.read(stream, end_s, rng) for end_s in sorted(ends)]

    def read(self, stream: "Stream", end_s: float, rng: np.random.Generator) -> WindowSample:
        """The window of a stream that ends at ``end_s``."""
        start_s = end_s - self.window.duration_s
        seen = stream.times <= end_s + TIME_TOLERANCE_S
        past = [array[seen] for array in (stream.points, stream.actions, stream.times, stream.valid)]
        neutral = NeutralEstimator(self.reader.layout).update(*past)
        window = sample_window(*past[:3], past[3], start_s, self.window)
        sample, _ = self.reader.features(window.points, window.actions, window.valid, neutral, self.augmentation, rng)
        inside = seen & (stream.times >= start_s - TIME_TOLERANCE_S)
        return WindowSample(sample.geometry, sample.mask, sample.actions, target=shares(stream.shown[inside]), clip=0)

    def curve(
        self,
        rng: np.random.Generator,
        label: str,
        resting: NDArray[np.float32],
        frames: int,
        rate: float,
        history_s: float,
        still: bool,
    ) -> ActionCurve:
        """What the person does: what the window is about, and what came before. Nobody talks on photographs."""
        config, duration_s = self.config, frames / rate
        events: list[Event] = []
        begin = max(history_s, 0.0)
        if label != LABELS[0]:
            event = sample_event(label, rng, self.settings, duration_s=self.window.duration_s)
            events.append(_place(rng, event, begin, duration_s))
        if rng.random() < config.earlier and begin > 1.0:
            other = sample_event(self.draw_label(rng), rng, self.settings, duration_s=begin)
            end = begin - 0.3 - other.fall_s
            hold = max(0.1, min(other.hold_s, end - other.onset_s - other.rise_s))
            onset = min(other.onset_s, end - other.rise_s - hold)
            events.append(
                Event(other.label, other.units, onset, other.rise_s, hold, other.fall_s, 0.0, other.intensity)
            )
        speaking: tuple[tuple[float, float], ...] = ()
        if rng.random() < config.speaking and not still:
            start = 0.0 if rng.random() < 0.6 else rng.uniform(0, duration_s)
            speaking = ((start, duration_s if rng.random() < 0.6 else rng.uniform(start, duration_s)),)
        return perform(label, events, rng, frames, rate, resting=resting, speaking=speaking, settings=self.settings)

    def draw_label(self, rng: np.random.Generator) -> str:
        """An expression; contempt, which a tracker hardly sees, less often than the others, happiness more often."""
        frequencies = {"contempt": self.config.contempt, "happiness": self.config.happiness}
        shares = np.array([frequencies.get(label, 1.0) for label in LABELS[1:]])
        return LABELS[1 + int(rng.choice(len(shares), p=shares / shares.sum()))]

    def distortion(self, rng: np.random.Generator, still: bool) -> Distortion:
        """How this stream's tracker differs from the measured one."""
        return Distortion(
            undamping=float(rng.uniform(0, 0.7)) if rng.random() < self.config.undamped else 0.0,
            clip_error=float(rng.uniform(0.7, 2.6)),
            face_error=float(rng.uniform(0.4, 1.2)),
            jitter=0.0 if still else float(rng.uniform(1, 8)),
            bias=rng.normal(0, rng.uniform(0.2, 1.4), 52).astype(np.float32),
        )


def _place(rng: np.random.Generator, event: Event, begin_s: float, end_s: float) -> Event:
    """An event's timing against the window from ``begin_s`` to ``end_s``: on its way, all the time, or ending."""
    length, kind = end_s - begin_s, rng.random()
    rise, hold, fall = event.rise_s, 1e3, event.fall_s
    if kind < 0.45:  # it rises in the window
        onset = begin_s + rng.uniform(-0.8, 0.75) * length
    elif kind < 0.85:  # it has been there before, perhaps from the first frame
        onset = (begin_s if rng.random() < 0.6 else 0.0) - rise - rng.uniform(0, 3)
    else:  # it ends in the window
        hold = rng.uniform(0.2, 2.0)
        onset = begin_s + rng.uniform(0.1, 0.9) * length - rise - hold
    return Event(event.label, event.units, onset, rise, hold, fall, event.residue, event.intensity)


def freeze(rng: np.random.Generator, curve: ActionCurve, still: bool) -> NDArray[np.int64]:
    """Which frame of the curve each frame of the stream shows: itself, or while a photograph is shown that one."""
    index = np.arange(len(curve))
    if not still:
        return index
    if rng.random() < 0.3:
        return index[-1:]  # a single picture
    step = len(curve) if rng.random() < 0.5 else max(2, int(rng.uniform(0.3, 3.0) * len(curve) / curve.times[-1]))
    return index[-1] - (index[::-1] // step * step)


def lose_frames(rng: np.random.Generator, times: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which frames hold a face: some are lost one by one, some streams have a gap, but never all of it."""
    valid = rng.random(len(times)) >= (0.05 if rng.random() < 0.4 else 0.0)
    if rng.random() < 0.15:
        start = rng.uniform(times[0], times[-1] + 1e-3)
        valid &= (times < start) | (times > start + rng.uniform(0.1, 0.8))
    if not valid.any():
        valid[-1] = True
    return valid
