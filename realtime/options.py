"""The options of ``stgt live``."""

import re
from dataclasses import dataclass, fields
from typing import Any

from stgt.command import argument_parser
from stgt.errors import StgtError

from .painting.hints import KEYS

DESCRIPTION = """Watch a camera, a stream, a file or frames from another program through a sliding window, and say what
faces show. A window opens; --headless works without one."""

EPILOG = (
    "Keys in the window: "
    + ", ".join(f"{key} {does}" for key, does in KEYS.items())
    + """; Esc quits, too. Ctrl-C and
SIGTERM end the session as well. Recordings are finished in every case."""
)


@dataclass(frozen=True)
class LiveOptions:
    """What was asked for; `parse` says what each of it means."""

    source: str
    checkpoint: str | None
    device: str
    engine: str
    faces: int
    every: float
    stride: int | None
    smoothing: float
    hysteresis: float
    min_confidence: float
    record: str | None
    video: str
    replay: str | None
    headless: bool
    json: bool
    mesh: str
    timelines: str
    realtime: bool
    frame_rate: float | None
    size: tuple[int, int] | None
    list_cameras: bool


def parse(arguments: list[str]) -> LiveOptions:
    """The options of a command line.

    Raises:
        StgtError: an unknown option, or a value that makes no sense.
    """
    given = _parser().parse_args(arguments)
    values = {field.name: getattr(given, field.name) for field in fields(LiveOptions) if field.name != "size"}
    options = LiveOptions(**values, size=None if given.size is None else parse_size(given.size))
    _check(options)
    return options


def parse_size(text: str) -> tuple[int, int]:
    """``"640x480"`` -> (640, 480).

    Raises:
        StgtError: anything else.
    """
    match = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", text)
    if match is None or not (0 < int(match[1]) <= 16384 and 0 < int(match[2]) <= 16384):
        raise StgtError(f"--size is {text!r}; it takes the width and height of the frames in pixels, as 640x480")
    return int(match[1]), int(match[2])


def _check(options: LiveOptions) -> None:
    """Say at once what is wrong, before anything is loaded."""
    if options.faces < 1:
        raise StgtError(f"--faces is {options.faces}; it is the most people that are followed, at least 1")
    if options.stride is not None and options.stride < 1:
        raise StgtError(f"--stride is {options.stride}; a prediction can be made at every frame (1) or less often")
    for name in ("every", "smoothing", "hysteresis"):
        value = getattr(options, name)
        if not 0 <= value < float("inf"):
            raise StgtError(f"--{name} is {value}; it must be 0 or more")
    if not 0 <= options.min_confidence <= 1:
        raise StgtError(f"--min-confidence is {options.min_confidence}; it is a probability, from 0 to 1")
    if options.frame_rate is not None and not options.frame_rate > 0:
        raise StgtError(f"--frame-rate is {options.frame_rate}; frames per second must be positive")
    if options.source == "-" and options.size is None and options.replay is None and not options.list_cameras:
        raise StgtError(
            "--source - takes bare frames, which say nothing about themselves; give their --size, as 640x480"
        )


def _parser() -> Any:
    parser = argument_parser("live", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add(
        "--source",
        default="0",
        help="Camera by its index, video file, folder of images, address of a stream (rtsp://, http://), or - for "
        "bare rgb24 frames on standard input.",
    )
    add(
        "--checkpoint",
        metavar="FILE",
        help="Trained model (.safetensors), or an exported one; none: the one that comes with stgt.",
    )
    add("--faces", type=int, default=1, metavar="N", help="The most people that are followed at once.")
    add("--every", type=float, default=0.2, metavar="S", help="Seconds between two predictions; 0: at every frame.")
    add("--stride", type=int, metavar="N", help="Frames from one prediction to the next, instead of --every.")
    add(
        "--smoothing",
        type=float,
        default=0.5,
        metavar="S",
        help="Time constant in seconds with which probabilities are smoothed; 0: not at all.",
    )
    add(
        "--hysteresis",
        type=float,
        default=0.1,
        metavar="P",
        help="A label gives way to another that is more probable by this much; 0: at once.",
    )
    add(
        *("--min-confidence", "--min_confidence"),
        type=float,
        default=0.0,
        metavar="P",
        help="Below this smoothed probability no label is named, and the face is called uncertain.",
    )
    add("--device", default="auto", help="Where the model runs: auto, cpu, cuda, mps.")
    add(
        "--engine",
        default="auto",
        choices=("auto", "torch", "onnxruntime"),
        help="What runs the model; auto: the faster one.",
    )
    add(
        "--record",
        metavar="FOLDER|FILE.mp4",
        help="Keep everything in a new folder: video, predictions, tracks, summary; or the annotated video alone.",
    )
    add(
        "--video",
        default="annotated",
        choices=("annotated", "clean", "both", "none"),
        help="What a recording folder shows: the painted picture, the bare frames, both, or no picture at all.",
    )
    add("--replay", metavar="FOLDER", help="Make the predictions of a recording again, and compare.")
    add("--headless", action="store_true", help="Without a window.")
    add("--json", action="store_true", help="Print one line of JSON per prediction and face.")
    add("--mesh", default="mesh", choices=("mesh", "graph", "off"), help="How faces are drawn, at first.")
    add("--timelines", default="beside", choices=("beside", "below", "off"), help="Where timelines are, at first.")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--realtime", dest="realtime", action="store_true", default=True, help="Read a file at its own speed."
    )
    pace.add_argument(
        *("--as-fast-as-possible", "--as_fast_as_possible"),
        dest="realtime",
        action="store_false",
        help="Read a file as fast as it can be analysed.",
    )
    add(
        *("--frame-rate", "--frame_rate"),
        type=float,
        metavar="HZ",
        help="Of a folder of images (none: 25) or of frames from standard input, or to ask of a camera.",
    )
    add("--size", metavar="WxH", help="Of frames from standard input, in pixels.")
    add(*("--list-cameras", "--list_cameras"), action="store_true", help="Say which cameras there are.")
    return parser
