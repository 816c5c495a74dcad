"""``stgt bench soak``: whether memory and latency stay where they are, over as many frames as an hour has, or more."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stgt.command import argument_parser, run
from stgt.config import from_dict
from stgt.errors import StgtError
from stgt.faces.landmarker import FaceLandmarker, Landmarks

from .bench import MemorySource, load_frames
from .session import LiveSession, session_landmarker

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

#: Parts of the run that are compared; the first one fills what is filled once.
PARTS = 10


@dataclass(frozen=True)
class SoakConfig:
    """How long, and with what."""

    video: str | None = None
    """Video that is looped; none: the short rendered one that comes with stgt."""
    checkpoint: str = "pretrained"
    """The model."""
    minutes: float = 10.0
    """How long, at most."""
    frames: int = 108_000
    """How many frames, at most; 108,000 are an hour at 30 frames a second."""
    track_once: bool = False
    """Find the landmarks of the looped video once, and measure all the rest of the session."""
    every_frames: int = 1
    """Frames between two predictions."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, mps."""


class RecordedLandmarker(FaceLandmarker):
    """Says again what another landmarker said of looped frames, in their order."""

    def __init__(self, source: MemorySource) -> None:
        with FaceLandmarker() as landmarker:
            self._found = [landmarker.detect_all(time_s, rgb) for time_s, rgb in source]
        self.faces = 1
        self.reset()

    def reset(self) -> None:
        """Begin again with the first frame."""
        self._next = itertools.cycle(self._found)

    def detect(self, timestamp_s: float, rgb: np.ndarray) -> Landmarks | None:
        """The first face of the next frame."""
        return next(iter(self.detect_all(timestamp_s, rgb)), None)

    def detect_all(self, timestamp_s: float, rgb: np.ndarray) -> list[Landmarks]:
        """The faces of the next frame."""
        del timestamp_s, rgb
        return next(self._next)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Part:
    """One stretch of the run: frames, resident memory at its end in MB, median and p95 latency in ms, frames per s."""

    frames: int
    memory_mb: float
    median_ms: float
    p95_ms: float
    rate: float


def bench_soak(config: SoakConfig) -> list[Part]:
    """Run, and print memory and latency part by part; Ctrl-C ends it early.

    Raises:
        StgtError: settings that measure nothing.
    """
    from stgt.inference import ExpressionReader

    if config.minutes <= 0 or config.frames < 100 * PARTS or config.every_frames < 1:
        raise StgtError(f"--minutes must be positive, --frames at least {100 * PARTS}, --every_frames at least 1")
    source = load_frames(config.video, most=600, least=100)
    once = len(source.frames)
    looped = MemorySource(source.frames, source.frame_rate, source.name, repeats=-(-config.frames // once))
    reader = ExpressionReader(config.checkpoint, config.device)
    landmarker = RecordedLandmarker(source) if config.track_once else session_landmarker()
    what = "landmarks found once" if config.track_once else "MediaPipe on every frame"
    print(f"{source.name} looped, {what}, a prediction every {config.every_frames} frames")
    print(f"  {'frames':>10}{'memory, MB':>13}{'p50, ms':>10}{'p95, ms':>10}{'frames/s':>11}")
    parts = []
    try:
        for part in run_parts(reader, looped, landmarker, config):
            parts.append(part)
            print(
                f"  {part.frames:10,}{part.memory_mb:13.1f}{part.median_ms:10.2f}{part.p95_ms:10.2f}{part.rate:11.1f}",
                flush=True,
            )
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        landmarker.close()
    if len(parts) > 1:
        first, last = parts[0], parts[-1]
        print(
            f"after the first part: memory {last.memory_mb - first.memory_mb:+.1f} MB over "
            f"{last.frames - first.frames:,} frames, p95 {last.p95_ms - first.p95_ms:+.2f} ms"
        )
    return parts


def run_parts(
    reader: "ExpressionReader", source: MemorySource, landmarker: FaceLandmarker, config: SoakConfig
) -> Iterator[Part]:
    """The run in ``PARTS`` parts, of frames or, if that is sooner, of minutes."""
    import psutil

    process = psutil.Process()
    # Numbers of a part lie in one array, taken once: what measures must not grow either.
    latencies = np.zeros(config.frames // PARTS + 1)
    started = part_started = time.monotonic()
    done = counted = 0
    with LiveSession(reader, source, every_frames=config.every_frames, landmarker=landmarker) as session:
        for frame in session:
            latencies[counted] = frame.latency_s
            done, counted = done + 1, counted + 1
            now = time.monotonic()
            over = now - started >= 60 * config.minutes or done >= config.frames
            if over or counted >= config.frames // PARTS or now - part_started >= 60 * config.minutes / PARTS:
                p50, p95 = 1000 * np.percentile(latencies[:counted], (50, 95))
                memory_mb = process.memory_info().rss / 2**20
                yield Part(done, memory_mb, float(p50), float(p95), counted / (now - part_started))
                counted, part_started = 0, time.monotonic()
            if over:
                return


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("bench soak", "Feed a live session for long, and watch its memory and latency.")
    parser.add_class_arguments(SoakConfig, as_group=False)
    bench_soak(from_dict(SoakConfig, parser.parse_args(arguments).as_dict()))


if __name__ == "__main__":
    run(main)
