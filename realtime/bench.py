"""``stgt bench live``: what a live session costs beside a bare MediaPipe loop, on the same frames in the same run.

The frames lie in memory, so that nobody waits for a decoder. All take turns over short stretches of them, so that a
machine whose speed drifts treats all alike: as fast as they can, and at the video's own rate, as a camera gives frames.
Models that read pixels have random weights here: they cost the same.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stgt.command import argument_parser, run
from stgt.config import from_dict
from stgt.errors import SourceError, StgtError
from stgt.faces.landmarker import FaceLandmarker, create_task, find_model
from stgt.faces.video import FrameSource, open_source

from .session import LiveSession, session_landmarker

if TYPE_CHECKING:
    from mediapipe.tasks.python import vision

    from stgt.inference import ExpressionReader

#: Frames of each turn that are not counted: threads start, caches fill.
UNCOUNTED = 10
PERCENTILES = (50, 95, 99)


class MemorySource(FrameSource):
    """Frames that lie in memory, as a file of them would be read.

    Args:
        frames: ``(H, W, 3)`` uint8, all of one size.
        frame_rate: Hz.
        name: for tables.
        repeats: how often they are shown; the clock goes on.
        is_paced: give each frame when a camera would, or later if nobody takes it, instead of as fast as possible.

    Attributes:
        frames: as given, once.
    """

    def __init__(
        self,
        frames: Sequence[np.ndarray],
        frame_rate: float,
        name: str,
        repeats: int = 1,
        is_paced: bool = False,
    ) -> None:
        self.name = name
        self.image_size = (frames[0].shape[1], frames[0].shape[0])
        self.frame_rate = frame_rate
        self.frame_count = len(frames) * repeats
        self.frames = frames
        self.is_paced = is_paced

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        started_s = time.monotonic()
        for index in range(self.frame_count):
            if self.is_paced:
                time.sleep(max(0.0, started_s + index / self.frame_rate - time.monotonic()))
            yield index / self.frame_rate, self.frames[index % len(self.frames)]

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Timing:
    """What was measured of one contestant.

    Attributes:
        latencies_s: of every counted frame, from its arrival to what is known of it.
        seconds: that the counted frames took.
        stages: seconds per stage over all counted frames.
    """

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Frames per second."""
        return len(self.latencies_s) / self.seconds if self.seconds else float("nan")

    def percentiles_ms(self) -> list[float]:
        """Of the latency, in milliseconds, at ``PERCENTILES``."""
        return (1000 * np.percentile(self.latencies_s, PERCENTILES)).tolist()

    def count(self, turn: Iterator[tuple[float, Mapping[str, float]]]) -> None:
        """Work through a turn, whose items are latencies and stages of its frames."""
        started = None
        for index, (latency_s, stages) in enumerate(turn):
            if index + 1 == UNCOUNTED:
                started = time.perf_counter()
            elif started is not None:
                self.latencies_s.append(latency_s)
                for name, seconds in stages.items():
                    self.stages[name] = self.stages.get(name, 0.0) + seconds
        if started is not None:
            self.seconds += time.perf_counter() - started


Turn = Callable[[MemorySource], Iterator[tuple[float, Mapping[str, float]]]]


def bare_turn(task: "vision.FaceLandmarker") -> Turn:
    """Ten lines that anyone would write: MediaPipe on every frame, and nothing else."""
    import mediapipe

    milliseconds = itertools.count(1000, 33)

    def turn(source: MemorySource) -> Iterator[tuple[float, Mapping[str, float]]]:
        for _, rgb in source:
            started = time.perf_counter()
            task.detect_for_video(mediapipe.Image(mediapipe.ImageFormat.SRGB, rgb), next(milliseconds))
            yield time.perf_counter() - started, {}

    return turn


def session_turn(reader: "ExpressionReader", landmarker: FaceLandmarker, faces: int) -> Turn:
    """Our session, which predicts at every frame; what is paced it takes for a camera."""

    def turn(source: MemorySource) -> Iterator[tuple[float, Mapping[str, float]]]:
        with LiveSession(
            reader, source, faces=faces, every_frames=1, landmarker=landmarker, newest_only=source.is_paced
        ) as session:
            for frame in session:
                yield frame.latency_s, frame.stages

    return turn


@dataclass
class Contestant:
    """What was measured of one contestant: as fast as possible, and at the video's own rate."""

    fast: Timing = field(default_factory=Timing)
    paced: Timing = field(default_factory=Timing)


def measure(turns: Mapping[str, Turn], source: MemorySource, stretch: int, rounds: int) -> dict[str, Contestant]:
    """Let everyone take turns over stretches of ``stretch`` frames, ``rounds`` times."""
    contestants = {name: Contestant() for name in turns}
    frames = source.frames
    for number in range(rounds):
        first = number * stretch % max(1, len(frames) - stretch + 1)
        for is_paced in (False, True):
            part = MemorySource(frames[first : first + stretch], source.frame_rate, source.name, is_paced=is_paced)
            for name, turn in turns.items():
                contestant = contestants[name]
                (contestant.paced if is_paced else contestant.fast).count(turn(part))
    return contestants


def load_frames(video: str | None, most: int, least: int) -> MemorySource:
    """The first frames of a video, or of the one of stgt; short ones go back and forth to ``least`` frames.

    Raises:
        SourceError: it cannot be read, or is a single picture.
    """
    from stgt.bench import sample_video

    path = Path(video) if video else sample_video()
    with open_source(path) as source:
        frames = [rgb for _, (_, rgb) in zip(range(most), source, strict=False)]
        if len(frames) < 2:
            raise SourceError(f"{path} is a single picture; give a video")
        while len(frames) < least:
            frames += frames[::-1]
        return MemorySource(frames, source.frame_rate, source.name)


def beside(frames: Sequence[np.ndarray], copies: int) -> list[np.ndarray]:
    """Each frame so many times in a grid: as many faces as copies, in a picture of the same size."""
    import cv2

    columns = int(np.ceil(np.sqrt(copies)))
    rows = int(np.ceil(copies / columns))
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    tiled = []
    for frame in frames:
        picture = np.zeros((height, width, 3), np.uint8)
        tile = cv2.resize(frame, (width // columns, height // rows), interpolation=cv2.INTER_AREA)
        for copy in range(copies):
            top, left = copy // columns * tile.shape[0], copy % columns * tile.shape[1]
            picture[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        tiled.append(picture)
    return tiled


def pixel_readers(reader: "ExpressionReader") -> dict[str, "ExpressionReader"]:
    """Readers like ``reader`` that read patches, and patches and frames; with random weights."""
    import torch

    from stgt.inference import ExpressionReader
    from stgt.models.checkpoint import LoadedModel, load_checkpoint
    from stgt.models.registry import create_model

    loaded = load_checkpoint("pretrained")
    readers = {}
    for name, streams in (("geometry, patches", "geometry,patches"), ("geometry, frames", "geometry,frames")):
        torch.manual_seed(0)
        config = replace(loaded.model_config, streams=streams)
        model = create_model(config, len(reader.labels), reader.window)
        made: LoadedModel = replace(loaded, model=model, model_config=config)
        readers[name] = ExpressionReader(made, str(reader.device))
    return readers


@dataclass(frozen=True)
class LiveBenchConfig:
    """What to measure with."""

    video: str | None = None
    """Video of one face; none: the short rendered one that comes with stgt."""
    checkpoint: str = "pretrained"
    """Model that reads geometry only."""
    faces: int = 1
    """Faces in the picture: from two on, the video is shown so many times side by side in a picture of its size."""
    frames: int = 600
    """Frames of the video that are held in memory, at most."""
    stretch: int = 100
    """Frames of one turn."""
    rounds: int = 6
    """Turns of everyone."""
    pixels: bool = True
    """Whether models that read pixels take part."""
    device: str = "auto"
    """Where the models run: auto, cpu, cuda, mps."""


def bench_live(config: LiveBenchConfig, peers: Mapping[str, Turn] | None = None) -> dict[str, Contestant]:
    """Measure and print; ``peers`` are other contestants.

    Raises:
        StgtError: settings that measure nothing.
    """
    from stgt.inference import ExpressionReader

    if config.stretch < 2 * UNCOUNTED or config.rounds < 1 or config.faces < 1:
        raise StgtError(f"--stretch must be at least {2 * UNCOUNTED}, --rounds and --faces at least 1")
    source = load_frames(config.video, config.frames, config.stretch)
    if config.faces > 1:
        source = MemorySource(beside(source.frames, config.faces), source.frame_rate, source.name)
    reader = ExpressionReader(config.checkpoint, config.device)
    readers = {"geometry": reader, **(pixel_readers(reader) if config.pixels else {})}
    with create_task(find_model(), config.faces) as task, session_landmarker(config.faces) as landmarker:
        turns: dict[str, Turn] = {"bare MediaPipe loop": bare_turn(task)}
        turns |= {f"live, {name}": session_turn(one, landmarker, config.faces) for name, one in readers.items()}
        contestants = measure({**turns, **(peers or {})}, source, config.stretch, config.rounds)
    report(contestants, source, config)
    return contestants


def report(contestants: Mapping[str, Contestant], source: MemorySource, config: LiveBenchConfig) -> None:
    """Print the tables: rates as ratios, latencies, shares of time per stage."""
    width, height = source.image_size
    many = f"{config.faces} faces" if config.faces > 1 else "one face"
    print(f"\n{source.name}, {width}x{height}, {many}; a prediction at every frame; {config.rounds} turns of")
    print(f"{config.stretch} frames each, the first {UNCOUNTED} of a turn not counted. Latency from a frame to what is")
    print("known of it, in ms, as fast as possible and at the video's own rate:")
    percentiles = "".join(f"{f'p{percentile}':>7}" for percentile in PERCENTILES)
    bare = next(iter(contestants.values())).fast
    rate = f"at {source.frame_rate:.4g}/s:"
    print(f"\n  {'':<26}{'frames/s':>10}{'':>9}{'fast:':>8}{percentiles}{rate:>13}{percentiles}")
    for name, one in contestants.items():
        fast, paced = ("".join(f"{ms:7.1f}" for ms in timing.percentiles_ms()) for timing in (one.fast, one.paced))
        print(f"  {name:<26}{one.fast.rate:10.1f}{one.fast.rate / bare.rate:7.2f} x{'':>8}{fast}{'':>13}{paced}")
    staged = {name: one.fast.stages for name, one in contestants.items() if one.fast.stages}
    stages = list(dict.fromkeys(stage for stage_times in staged.values() for stage in stage_times))
    print(f"\n  share of a frame's time    {''.join(f'{stage:>12}' for stage in stages)}")
    for name, stage_times in staged.items():
        total = sum(stage_times.values()) or 1.0
        shares = "".join(f"{100 * stage_times.get(stage, 0) / total:10.0f} %" for stage in stages)
        print(f"  {name:<26} {shares}")


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("bench live", "Measure a live session beside a bare MediaPipe loop, in one run.")
    parser.add_class_arguments(LiveBenchConfig, as_group=False)
    bench_live(from_dict(LiveBenchConfig, parser.parse_args(arguments).as_dict()))


if __name__ == "__main__":
    run(main)
