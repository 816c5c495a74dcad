"""``stgt bench web``: what the server does for one camera and for several at once, and what a video costs in it.

The server runs in a process of its own. Cameras are plain WebSocket clients here, which send pictures of a rendered
face that were coded beforehand, as the page does: no more than two are unanswered. A browser on the same machine takes
cores for itself besides; the tests of the page measure that.
"""

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stgt.command import argument_parser, run
from stgt.config import from_dict
from stgt.errors import StgtError

from ..bench import load_frames
from .bench_cameras import SIZE, Camera, CameraTiming
from .bench_server import WebServer

_VIDEO_RATE = 30
_JPEG_QUALITY = 80  # of the page: canvas.toBlob(…, "image/jpeg", 0.8)


@dataclass(frozen=True)
class WebBenchConfig:
    """What to measure."""

    seconds: float = 10.0
    """How long cameras are read in each measurement."""
    cameras: int = 4
    """Cameras at once, in the second measurement."""
    frame_rate: float = 30.0
    """Of each camera, frames per second."""
    mesh: bool = True
    """Whether results tell nodes and attention."""
    video_seconds: float = 20.0
    """Length of the video that is read as a job and by stgt predict; 0: none is."""
    rounds: int = 3
    """How often either reads it."""
    video: str | None = None
    """Video of one face; none: the short rendered one that comes with stgt."""


def measure_cameras(port: int, jpegs: Sequence[bytes], count: int, config: WebBenchConfig) -> list[CameraTiming]:
    """Read so many cameras at once, each of which begins elsewhere in the pictures."""

    async def measure() -> list[CameraTiming]:
        together = asyncio.Barrier(count)
        shift = len(jpegs) // count
        cameras = [
            Camera(port, [*jpegs[index * shift :], *jpegs[: index * shift]], config.frame_rate, config.mesh)
            for index in range(count)
        ]
        async with asyncio.TaskGroup() as group:
            for camera in cameras:
                group.create_task(camera.run(config.seconds, together))
        return [camera.timing for camera in cameras]

    return asyncio.run(measure())


def camera_pictures(video: str | None) -> list[np.ndarray]:
    """RGB pictures of ``SIZE``, forth and back again, so that no jump is seen when they are repeated."""
    import cv2

    pictures = []
    for rgb in load_frames(video, most=120, least=2).frames:
        height, width = rgb.shape[:2]
        scale = min(SIZE[0] / width, SIZE[1] / height)
        scaled = cv2.resize(rgb, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        picture = np.full((SIZE[1], SIZE[0], 3), 96, np.uint8)
        top, left = (SIZE[1] - scaled.shape[0]) // 2, (SIZE[0] - scaled.shape[1]) // 2
        picture[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
        pictures.append(picture)
    return pictures + pictures[-2:0:-1]


def as_jpegs(pictures: Sequence[np.ndarray]) -> list[bytes]:
    """Pictures as the page sends them."""
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return [cv2.imencode(".jpg", rgb[..., ::-1], settings)[1].tobytes() for rgb in pictures]


@contextlib.contextmanager
def video_of(pictures: Sequence[np.ndarray], seconds: float) -> Iterator[Path]:
    """A video file of repeated pictures, as long as the block lasts."""
    from stgt.faces.drawing import VideoWriter

    with tempfile.TemporaryDirectory(prefix="stgt-bench-") as folder:
        path = Path(folder) / "bench.mp4"
        with VideoWriter(path, _VIDEO_RATE, SIZE) as writer:
            for rgb in itertools.islice(itertools.cycle(pictures), round(seconds * _VIDEO_RATE)):
                writer.write(rgb)
        yield path


def bench_cameras(server: WebServer, jpegs: Sequence[bytes], config: WebBenchConfig) -> None:
    """Print what one camera gets, what several get, and the server's memory meanwhile."""
    size = f"{SIZE[0]}x{SIZE[1]}, {config.frame_rate:g} frames/s"
    print(f"the server, before anyone came: {server.memory_mb:.1f} MB")
    for count in dict.fromkeys((1, config.cameras)):
        print(f"\n{count} camera{'s' if count > 1 else ''} ({size})")
        timings = measure_cameras(server.port, jpegs, count, config)
        for timing in timings:
            p50, p95 = 1000 * np.percentile(timing.latencies_s or [np.nan], (50, 95))
            print(f"  {timing.rate:6.1f} results/s{p50:9.1f} ms p50{p95:9.1f} ms p95{timing.sent:8} frames sent")
        if count > 1:
            rates = [timing.rate for timing in timings]
            print(f"  {sum(rates):6.1f} results/s in all; least over most {min(rates) / max(rates):.2f}")
            bench_memory(server, jpegs, config)


def bench_memory(server: WebServer, jpegs: Sequence[bytes], config: WebBenchConfig) -> None:
    """Print the server's memory when all cameras have gone, and when as many have come and gone again."""
    held_mb = [server.settled_memory_mb()]
    for _ in range(2):
        measure_cameras(server.port, jpegs, config.cameras, config)
        held_mb.append(server.settled_memory_mb())
    steps = ", ".join(f"{after - before:+.1f}" for before, after in itertools.pairwise(held_mb))
    print(f"  {held_mb[0]:6.1f} MB afterwards; {steps} MB when as many come and go again, twice")


def bench_video(server: WebServer, pictures: Sequence[np.ndarray], config: WebBenchConfig) -> None:
    """Print the speed of a video as a job, over that of ``stgt predict``, in turns."""
    from stgt.faces.landmarker import FaceLandmarker
    from stgt.inference import ExpressionReader

    reader = ExpressionReader()
    predicting, job = [], []
    with video_of(pictures, config.video_seconds) as path, FaceLandmarker() as landmarker:
        for _ in range(config.rounds):
            began_s = time.perf_counter()
            frames = len(reader.read(path, landmarker=landmarker).track)
            predicting.append(time.perf_counter() - began_s)
            job.append(server.read_video(path))
    print(
        f"\na video of {config.video_seconds:g} s, {frames} frames of {SIZE[0]}x{SIZE[1]}; without the start of either"
    )
    bare, ours = (frames / float(np.median(seconds)) for seconds in (predicting, job))
    print(f"  {'stgt predict':<36}{bare:9.1f} frames/s  1.00 x")
    print(f"  {'job, with its upload':<36}{ours:9.1f} frames/s{ours / bare:6.2f} x")


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("bench web", "Measure the server with cameras and videos, in a process of its own.")
    parser.add_class_arguments(WebBenchConfig, as_group=False)
    config = from_dict(WebBenchConfig, parser.parse_args(arguments).as_dict())
    if config.seconds <= 0 or config.cameras < 1 or config.frame_rate <= 0 or config.rounds < 1:
        raise StgtError("--seconds and --frame_rate must be positive, --cameras and --rounds at least 1")
    pictures = camera_pictures(config.video)
    with WebServer() as server:
        bench_cameras(server, as_jpegs(pictures), config)
        if config.video_seconds > 0:
            bench_video(server, pictures, config)


if __name__ == "__main__":
    run(main)
