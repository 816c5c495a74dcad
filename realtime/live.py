"""``stgt live``: watch a camera, a stream or a file through a sliding window."""

import contextlib
import json
import math
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, run
from stgt.config import from_dict
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.faces.drawing import VideoWriter

    from .overlay import Overlay
    from .screen import Screen
    from .session import LiveFrame, LiveSession

EPILOG = """Keys in the window: q quits, p pauses, m shows and hides the mesh. Ctrl-C ends the session, too; a recording
is kept either way."""

#: Options without a value.
FLAGS = {
    "headless": "Without a window.",
    "json": "Print one line of JSON per prediction.",
    "as_fast_as_possible": "Read a file as fast as it can be analysed, not at its own speed.",
}


@dataclass(frozen=True)
class LiveConfig:
    """A live session; the other options are in ``FLAGS``."""

    checkpoint: str = "pretrained"
    """Trained model: a .safetensors file with its .json beside it; pretrained: the one that comes with stgt."""
    source: str = "0"
    """Camera by its index, video file, folder of images, or address of a stream (rtsp://, http://)."""
    every: float = 0.2
    """Seconds between two predictions; 0: at every frame."""
    smoothing: float = 0.5
    """Time constant in seconds with which the probabilities are smoothed; 0: not at all."""
    min_confidence: float = 0.0
    """From 0 to 1; a most probable label with a lower smoothed probability is called uncertain."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, mps."""
    record: str | None = None
    """Write what the window shows, also with --headless, to this .mp4 file."""
    frame_rate: float | None = None
    """Frames per second of a folder of images (none: 25), or to ask of a camera."""
    headless: bool = False
    json: bool = False
    as_fast_as_possible: bool = False


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("live", "Watch a camera, a stream or a file through a sliding window.", EPILOG)
    parser.add_class_arguments(LiveConfig, as_group=False, skip=set(FLAGS))
    for name, text in FLAGS.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    config = from_dict(LiveConfig, parser.parse_args(arguments).as_dict())
    # What is wrong with these is said at once, before anything is loaded.
    if config.record is not None and Path(config.record).suffix.lower() != ".mp4":
        raise StgtError(f"--record {config.record}: videos are written as .mp4; choose a name that ends so")
    if not config.headless:
        from .screen import require_display

        require_display()
    reader_left: BrokenPipeError | None = None
    with contextlib.ExitStack() as stack:
        program = open_program(config, stack)
        try:
            with interrupted_by_termination():
                program.run()
        except BrokenPipeError as error:  # raised again when the recording is finished
            reader_left = error
    if reader_left is not None:
        raise reader_left


def open_program(config: LiveConfig, stack: contextlib.ExitStack) -> "Program":
    """Open the source, the model and the outputs; ``stack`` closes them."""
    from stgt.inference import ExpressionReader

    from .capture import is_live, open_live_source
    from .session import LiveSession

    source = stack.enter_context(open_live_source(config.source, config.frame_rate))
    reader = ExpressionReader(config.checkpoint, config.device, config.min_confidence)
    overlay = writer = screen = None
    if config.record or not config.headless:
        from .overlay import Overlay

        overlay = Overlay(reader.labels, source.image_size)
    session = LiveSession(
        reader,
        source,
        every_s=config.every,
        smoothing_s=config.smoothing,
        in_real_time=not (config.as_fast_as_possible or is_live(source)),
    )
    stack.enter_context(session)
    if config.record:
        from stgt.faces.drawing import VideoWriter

        writer = stack.enter_context(VideoWriter(config.record, source.frame_rate, overlay.image_size))
    if not config.headless:
        from .screen import Screen

        screen = stack.enter_context(Screen("stgt live", overlay.image_size))
    return Program(session, overlay, writer, screen, config.json)


@dataclass
class Program:
    """A session, and where its results go.

    Attributes:
        session: what is watched.
        overlay: paints the frames; none: nobody looks at them.
        writer: records what is painted; none: nothing is recorded.
        screen: shows what is painted; none: headless.
        json: print each prediction as a line of JSON. If not, and without a screen, changes of the label are printed.
    """

    session: "LiveSession"
    overlay: "Overlay | None" = None
    writer: "VideoWriter | None" = None
    screen: "Screen | None" = None
    json: bool = False
    _said: str = ""

    def run(self) -> None:
        """Until the source ends, q is pressed, or Ctrl-C. Nothing is raised then, so that a recording is kept."""
        last: LiveFrame | None = None
        frames = predictions = 0
        with contextlib.suppress(KeyboardInterrupt):
            for last in self.session:
                frames += 1
                predictions += last.is_new
                self.say(last)
                if not self.show(last):
                    break
        if last is None:
            print("stgt live: not one frame came", file=sys.stderr)
            return
        dropped = f", {last.dropped} passed over" if last.dropped else ""
        print(
            f"stgt live: {frames} frames{dropped}, {predictions} predictions; at the end {last.frame_rate:.1f} "
            f"frames/s, {1000 * last.latency_s:.0f} ms from frame to result",
            file=sys.stderr,
        )

    def say(self, live: "LiveFrame") -> None:
        """Print what is new in a frame."""
        known = math.isfinite(live.confidence)
        if self.json:
            if live.is_new:
                print(json.dumps(as_record(live), ensure_ascii=False, allow_nan=False), flush=True)
        elif self.screen is None:
            what = live.label if known else live.state.value
            if what != self._said:
                self._said = what
                confidence = f"  {live.confidence:.2f}" if known else ""
                print(f"{live.timestamp_s:8.1f} s  {what}{confidence}", flush=True)

    def show(self, live: "LiveFrame") -> bool:
        """Paint, record and show a frame, and obey the keys; whether to go on."""
        if self.overlay is None:
            return True
        picture = self.overlay.paint(live)
        if self.writer is not None:
            self.writer.write(picture, live.timestamp_s)
        if self.screen is None:
            return True
        self.screen.show(picture)
        key = self.screen.key()
        paused = key == "p"
        while paused or key == "m":
            if key == "m":
                self.overlay.show_mesh = not self.overlay.show_mesh
                self.screen.show(self.overlay.paint(live))
            key = self.screen.key(wait_ms=50 if paused else 1)
            paused = paused and key not in ("p", "q")
        return key != "q"


def as_record(live: "LiveFrame") -> dict[str, object]:
    """A prediction as plain values for JSON; what is not known is null."""
    known = math.isfinite(live.confidence)
    return {
        "time_s": round(live.timestamp_s, 4),
        "start_s": round(live.prediction.start_s, 4),
        "end_s": round(live.prediction.end_s, 4),
        "face": live.prediction.face,
        "state": live.state.value,
        "label": live.label if known else None,
        "confidence": round(live.confidence, 6) if known else None,
        "valid_share": round(live.prediction.valid_share, 4),
        "probabilities": {
            name: round(float(p), 6) if known else None for name, p in zip(live.labels, live.probabilities, strict=True)
        },
        "latency_ms": round(1000 * live.latency_s, 1),
        "frame_rate": round(live.frame_rate, 1),
        "dropped": live.dropped,
    }


@contextlib.contextmanager
def interrupted_by_termination() -> Iterator[None]:
    """Let SIGTERM (a service manager, ``timeout``) end the block as Ctrl-C does, so that a recording is finished."""
    if threading.current_thread() is not threading.main_thread():  # only it receives signals
        yield
        return

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of a handler
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    run(main)
