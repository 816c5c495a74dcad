"""How fast clips are prepared, against a loop that only decodes and calls MediaPipe."""

import shutil
import tempfile
from pathlib import Path

import cv2

from stgt.benchmarks.timing import interleaved
from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepare import prepare_clips
from stgt.faces.landmarker import FaceLandmarker


def bare_loop(videos: list[Path]) -> int:
    """Decode every video with OpenCV and call MediaPipe on every frame, in one process; gives the number of frames.

    What one writes in ten lines: it keeps nothing, so it is the least that preparation could cost.
    """
    frames = 0
    with FaceLandmarker() as landmarker:
        for video in videos:
            reader = cv2.VideoCapture(str(video))
            rate = reader.get(cv2.CAP_PROP_FPS) or 25.0
            shown, bgr = reader.read()
            index = 0
            while shown:
                landmarker.detect(index / rate, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
                index += 1
                shown, bgr = reader.read()
            reader.release()
            landmarker.reset()
            frames += index
    return frames


def preparation_rates(video: Path, copies: int, workers: int | None, rounds: int = 3) -> tuple[float, float]:
    """Frames per second of ``prepare_clips`` and of the bare loop, over ``copies`` of a video.

    The worker processes start anew each time, so their start-up counts.
    """
    with tempfile.TemporaryDirectory(prefix="stgt-bench-") as name:
        folder = Path(name)
        videos = [distinct_copy(video, folder, index) for index in range(copies)]
        clips = [Clip(path.stem, path, "nobody", "neutral") for path in videos]

        def prepare() -> None:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            prepare_clips(clips, cache=folder / "cache", workers=workers, progress=False)

        frames = bare_loop(videos)
        seconds = interleaved({"prepare": prepare, "bare": lambda: bare_loop(videos)}, rounds, warmup=0)
    return frames / seconds["prepare"], frames / seconds["bare"]


def distinct_copy(video: Path, folder: Path, index: int) -> Path:
    """A copy whose content differs in what players skip: the cache, which goes by content, must not know it."""
    copy = folder / f"copy_{index}{video.suffix}"
    payload = index.to_bytes(8, "big")
    # An MP4 box of the type "free": length, type, payload.
    copy.write_bytes(video.read_bytes() + (8 + len(payload)).to_bytes(4, "big") + b"free" + payload)
    return copy
