"""``stgt bench web``: what the server does for one camera and for several at once, and what a video costs in it.

The server runs in a process of its own. Cameras are plain WebSocket clients here, which send pictures of a rendered
face that were coded beforehand, as the page does: no more than two are unanswered. A browser on the same machine takes
cores for itself besides; the tests of the page measure that.
"""

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stgt.command import argument_parser, run
from stgt.config import from_dict
from stgt.errors import StgtError

from ..bench import load_frames

SIZE = (640, 480)
_UNANSWERED = 2
_ANSWER_S = 1.0  # a frame that was not answered for so long was passed over
_START_S = 120.0
_SETTLED_S = 1.5
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


@dataclass
class CameraTiming:
    """What one camera got.

    Attributes:
        latencies_s: of each result, from sending its frame to receiving it.
        seconds: that the measurement took.
        sent: frames.
    """

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    sent: int = 0

    @property
    def rate(self) -> float:
        """Results per second."""
        return len(self.latencies_s) / self.seconds if self.seconds else 0.0


class WebServer:
    """``stgt web`` in a process of its own; a context manager.

    Attributes:
        port: where it listens on this machine.

    Raises:
        StgtError: it does not start.
    """

    def __init__(self) -> None:
        import psutil

        self._process = subprocess.Popen(
            [sys.executable, "-m", "stgt", "web", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "STGT_WEB_TOKEN"},
        )
        said = self._process.stdout.readline()
        found = re.search(r"http://[\w.]+:(\d+)/", said)
        if found is None:
            self.close()
            raise StgtError(f"stgt web does not start; it says {said.strip()!r}")
        self.port = int(found[1])
        self._memory = psutil.Process(self._process.pid).memory_info

    @property
    def memory_mb(self) -> float:
        """Resident memory of the process."""
        return self._memory().rss / 2**20

    def settled_memory_mb(self) -> float:
        """The same, when whoever has just left has left for good."""
        time.sleep(_SETTLED_S)
        return self.memory_mb

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> dict[str, Any]:
        """The JSON that is answered.

        Raises:
            StgtError: it was not done.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_START_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status >= 400:
            raise StgtError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        return json.loads(content) if content else {}

    def read_video(self, path: Path) -> float:
        """Let it read a video as a job; seconds from the upload's begin to the job's end."""
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        began_s = time.perf_counter()
        job = self.ask("POST", "/api/predict", body, f"multipart/form-data; boundary={boundary}")
        address = f"/api/jobs/{job['id']}"
        while job["status"] in ("waiting", "running"):
            time.sleep(0.05)
            job = self.ask("GET", address)
        took_s = time.perf_counter() - began_s
        if job["status"] != "done":
            raise StgtError(f"the video was not read: {job['error']}")
        self.ask("DELETE", address)
        return took_s

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "WebServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Camera:
    """A client as the page is one.

    Args:
        port: of the server.
        jpegs: its pictures, shown in their order again and again.
        frame_rate: Hz.
        mesh: whether results are to tell nodes and attention.
    """

    def __init__(self, port: int, jpegs: Sequence[bytes], frame_rate: float, mesh: bool) -> None:
        self._port = port
        self._jpegs = itertools.cycle(jpegs)
        self._step_s = 1 / frame_rate
        self._hello = {"type": "hello", "width": SIZE[0], "height": SIZE[1], "mesh": mesh}
        self._sent: dict[int, float] = {}
        self._answered = asyncio.Event()
        self.timing = CameraTiming()

    async def run(self, seconds: float, together: asyncio.Barrier) -> None:
        """Send and listen for so long, from when all have a place."""
        from websockets.asyncio.client import connect

        address = f"ws://127.0.0.1:{self._port}/api/live"
        async with connect(address, compression=None, max_size=None) as socket:
            await socket.send(json.dumps(self._hello))
            while json.loads(await socket.recv())["type"] != "ready":
                pass
            await together.wait()
            listening = asyncio.create_task(self._listen(socket))
            began_s = time.perf_counter()
            await self._send(socket, began_s + seconds)
            self.timing.seconds = time.perf_counter() - began_s
            listening.cancel()

    async def _send(self, socket: Any, until_s: float) -> None:
        from .live.messages import pack_frame

        due_s = time.perf_counter()
        while (now_s := time.perf_counter()) < until_s:
            while len(self._sent) >= _UNANSWERED:
                self._answered.clear()
                try:
                    await asyncio.wait_for(self._answered.wait(), _ANSWER_S)
                except TimeoutError:
                    self._sent.clear()
            now_s = time.perf_counter()
            await asyncio.sleep(max(0.0, due_s - now_s))
            # A camera shows its frames whether or not anyone takes them: the next one comes on the same grid.
            now_s = max(now_s, due_s)
            due_s += self._step_s * (1 + (now_s - due_s) // self._step_s)
            number = self.timing.sent
            self._sent[number] = time.perf_counter()
            await socket.send(pack_frame(number, self._sent[number], next(self._jpegs)))
            self.timing.sent += 1

    async def _listen(self, socket: Any) -> None:
        async for message in socket:
            now_s = time.perf_counter()
            said = json.loads(message)
            if said["type"] != "result":
                continue
            sent_s = self._sent.get(said["frame"])
            if sent_s is not None:
                self.timing.latencies_s.append(now_s - sent_s)
            self._sent = {number: sent_s for number, sent_s in self._sent.items() if number > said["frame"]}
            self._answered.set()


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
