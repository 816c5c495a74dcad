"""``stgt predict``: the expressions in videos, as a table, a plot and an annotated video."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, fail, run
from stgt.errors import SourceError, StgtError

if TYPE_CHECKING:
    from stgt.faces.landmarker import FaceLandmarker
    from stgt.inference import ExpressionReader, Prediction, Reading

DESCRIPTION = """Read the expressions in videos. A SOURCE is a video file, a folder of images (one video, in the order
of their numbers), or a folder with any of these in it, at any depth."""

EPILOG = """A source that cannot be read is named and skipped; the exit code is 2 only if none could be read. Without
--out the timeline is printed and nothing is written, unless --format, --plot or --video asks for it (then into the
current folder)."""


#: How the names of annotated videos end.
ANNOTATED = ".annotated.mp4"


@dataclass(frozen=True)
class Outputs:
    """What is written, and where.

    Attributes:
        table: the CSV or JSON file of all windows; none: only printed.
        folder: of pictures and videos.
        plot: whether to write a picture of each timeline.
        video: whether to write annotated videos.
    """

    table: Path | None
    folder: Path
    plot: bool
    video: bool


def main(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    outputs = choose_outputs(options.out, options.format, options.plot, options.video)
    if options.frame_rate is not None and options.frame_rate <= 0:
        raise StgtError(f"--frame-rate is {options.frame_rate}; frames per second must be positive")
    neutral_s = None if options.neutral is None else parse_neutral(options.neutral)
    sources, failures = expand(options.sources, outputs.folder)
    from stgt.faces.landmarker import FaceLandmarker
    from stgt.inference import ExpressionReader

    reader = ExpressionReader(options.checkpoint, options.device, options.min_confidence, options.engine)
    windows: list[Prediction] = []
    read = 0
    try:
        with FaceLandmarker() as landmarker:
            for number, (source, name) in enumerate(zip(sources, file_names(sources), strict=True), start=1):
                position = f"[{number}/{len(sources)}] " if len(sources) > 1 else ""
                try:
                    reading = read_source(reader, landmarker, source, options.frame_rate, neutral_s, position)
                    windows += reading
                    read += 1
                    write_pictures(outputs, name, source, reading, options.frame_rate, position)
                except StgtError as error:
                    failures[str(source)] = str(error)
    finally:
        # Also after Ctrl-C: what was read is not lost.
        if read and outputs.table is not None:
            write_table(outputs.table, reader.labels, windows)
            print(f"wrote {outputs.table}: {len(windows)} windows of {read} {'source' if read == 1 else 'sources'}")
    if not read:
        return fail("; ".join(failures.values()))
    for sentence in failures.values():
        print(f"skipped: {sentence}", file=sys.stderr)
    return 0


def parser():  # noqa: ANN201 - jsonargparse is imported late
    """The command's options."""
    options = argument_parser("predict", DESCRIPTION, EPILOG)
    options.add_argument("sources", nargs="+", metavar="SOURCE", help="Video, folder of images, or folder of these.")
    options.add_argument(
        "--checkpoint",
        default="pretrained",
        metavar="FILE",
        help="Trained model (.safetensors, or .onnx from stgt export); pretrained: the one that comes with stgt.",
    )
    options.add_argument("--out", metavar="DIR|FILE", help="Folder for all results, or the .csv or .json file.")
    options.add_argument("--format", choices=("csv", "json"), help="Of the table; none: as --out ends, else csv.")
    for name, what in (("--plot", "a picture of each timeline"), ("--video", "annotated videos")):
        options.add_argument(
            name, action=argparse.BooleanOptionalAction, help=f"Whether to write {what}; none: if --out is a folder."
        )
    options.add_argument("--frame-rate", type=float, metavar="HZ", help="Of folders of images; none: 25.")
    options.add_argument(
        *("--min-confidence", "--min_confidence"),
        type=float,
        default=0.0,
        metavar="P",
        help="Windows whose most probable label has a lower probability are called uncertain.",
    )
    options.add_argument(
        "--neutral",
        metavar="START-END",
        help="Seconds in which the person is known to show a neutral face, as 0-1.5, in every source; none: what is "
        "neutral for a person is estimated as the video runs.",
    )
    options.add_argument("--device", default="auto", help="Where the model runs: auto, cpu, cuda, mps.")
    options.add_argument(
        "--engine",
        choices=("auto", "torch", "onnxruntime"),
        default="auto",
        help="What runs the model; auto: the faster on this machine.",
    )
    return options


def choose_outputs(out: str | None, table_format: str | None, plot: bool | None, video: bool | None) -> Outputs:
    """Where results go.

    Raises:
        StgtError: ``--format`` contradicts the ending of ``--out``, or the folder is a file.
    """
    if out is None:
        table = Path(f"predictions.{table_format}") if table_format else None
        return Outputs(table, Path(), bool(plot), bool(video))
    path = Path(out)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix in ("csv", "json") and not path.is_dir():
        if table_format not in (None, suffix):
            raise StgtError(f"--out {out} ends in .{suffix}, but --format is {table_format}; give one of them")
        return Outputs(path, path.parent, bool(plot), bool(video))
    if path.exists() and not path.is_dir():
        raise StgtError(f"--out {out} is a file; give a folder, or a name that ends in .csv or .json")
    return Outputs(path / f"predictions.{table_format or 'csv'}", path, plot is not False, video is not False)


def parse_neutral(text: str) -> tuple[float, float]:
    """``"0.5-2"`` -> (0.5, 2.0): start and end in seconds.

    Raises:
        StgtError: anything else, or an end that is not after the start.
    """
    number = r"\s*(\d+\.?\d*|\.\d+)\s*"
    match = re.fullmatch(f"{number}-{number}", text)
    if match is None:
        raise StgtError(f"--neutral is {text!r}; it takes the start and the end of a part in seconds, as 0-1.5")
    start_s, end_s = float(match[1]), float(match[2])
    if end_s <= start_s:
        raise StgtError(f"--neutral is {text!r}, an empty part; its end must be after its start")
    return start_s, end_s


def expand(sources: Sequence[str], results: Path | None = None) -> tuple[list[Path], dict[str, str]]:
    """The videos and image folders to read, and a sentence for each given source that has none."""
    found: list[Path] = []
    failures: dict[str, str] = {}
    for source in sources:
        try:
            found += find_sources(Path(source), results)
        except SourceError as error:
            failures[source] = str(error)
    return found, failures


def find_sources(path: Path, results: Path | None = None) -> list[Path]:
    """The videos and image folders that ``path`` stands for, in natural order.

    Whatever is not a folder stands for itself, so that reading it says what is wrong with it. A folder that holds both
    videos and images stands for its videos: the images are taken for their thumbnails. What an earlier run has
    written is left out: annotated videos, and the folder ``results`` if it lies below.

    Raises:
        SourceError: a folder without any video or image.
    """
    from stgt.faces.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_key

    if not path.is_dir():
        return [path]
    inside = sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name))
    files = [p for p in inside if p.is_file()]
    found = [p for p in files if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.endswith(ANNOTATED)]
    if not found and any(p.suffix.lower() in IMAGE_SUFFIXES for p in files):
        found = [path]
    for folder in inside:
        if folder.is_dir() and (results is None or folder.resolve() != results.resolve()):
            try:
                found += find_sources(folder, results)
            except SourceError:
                continue  # a folder of notes among folders of videos
    if not found:
        raise SourceError(f"{path}: there is no video and no image in this folder, nor in those below it")
    return found


def file_names(sources: Sequence[Path]) -> list[str]:
    """A name for each source's files: its own without the ending, numbered where two would be the same."""
    used: set[str] = set()
    names = []
    for source in sources:
        stem = source.resolve().name if source.is_dir() else source.stem
        name, count = stem, 1
        while name in used:
            count += 1
            name = f"{stem}-{count}"
        used.add(name)
        names.append(name)
    return names


def read_source(
    reader: "ExpressionReader",
    landmarker: "FaceLandmarker",
    source: Path,
    frame_rate: float | None,
    neutral_s: tuple[float, float] | None,
    position: str,
) -> "Reading":
    """Read one source and print its timeline."""
    from stgt.evaluation.readings import describe

    with frame_bar(f"{position}{source.name}: reading") as progress:
        reading = reader.read(source, frame_rate, landmarker, progress, neutral_s)
    track = reading.track
    print(f"{position}{source}: {track.duration_s:.1f} s, a face in {100 * track.valid_share:.0f} % of its frames")
    print(describe(reading))
    return reading


def write_pictures(
    outputs: Outputs, name: str, source: Path, reading: "Reading", frame_rate: float | None, position: str
) -> None:
    """Write the plot and the annotated video of one source, as far as they are wanted."""
    if outputs.plot:
        from stgt.evaluation.plots import to_png
        from stgt.evaluation.readings import timeline_figure

        picture = outputs.folder / f"{name}.png"
        to_png(timeline_figure(reading, source.name), picture)
        print(f"  wrote {picture}")
    if outputs.video:
        from stgt.evaluation.annotation import write_annotated_video

        video = outputs.folder / f"{name}{ANNOTATED}"
        with frame_bar(f"{position}{source.name}: drawing") as progress:
            write_annotated_video(video, source, reading, frame_rate, progress)
        print(f"  wrote {video}")


@contextmanager
def frame_bar(title: str) -> Iterator:
    """A progress bar over frames, on a terminal only; gives the function to call after every frame."""
    from tqdm import tqdm

    with tqdm(desc=title, unit="frame", leave=False, disable=None) as bar:

        def progress(done: int, expected: int | None) -> None:
            bar.total = expected
            bar.update(done - bar.n)

        yield progress


def write_table(path: Path, labels: Sequence[str], windows: Sequence["Prediction"]) -> None:
    """The table of all windows, in the format that ``path`` ends in."""
    from stgt.evaluation import readings

    if path.suffix.lower() == ".json":
        readings.write_json(path, windows)
    else:
        readings.write_csv(path, labels, windows)


if __name__ == "__main__":
    run(main)
