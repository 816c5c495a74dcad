"""``stgt export``: a trained model as an ONNX file, for other programs and other languages."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, run
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.data.catalog.layouts import Clip
    from stgt.engines.engine import Engine
    from stgt.models.checkpoint import LoadedModel

DESCRIPTION = """Write a trained model as ONNX, hold it against PyTorch over random windows, and leave no file that
differs."""

EPILOG = """Needs the extra: pip install 'stgt[onnx]'. The file runs wherever ONNX does; stgt predict and stgt live
take it as --checkpoint."""

#: The card of what stgt synthesize writes.
DATASET = "synthetic"

#: Windows that are timed with each engine.
ROUNDS = 60


@dataclass(frozen=True)
class LabelledClips:
    """What files are compared on.

    Attributes:
        clips: of subjects that the model was not trained on.
        sentence: the protocol.
    """

    clips: "Sequence[Clip]"
    sentence: str


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = parser().parse_args(arguments)
    folder = Path(options.output)
    if folder.exists() and not folder.is_dir():
        raise StgtError(f"--output {folder} is a file; give a folder")
    from stgt.models.checkpoint import load_checkpoint

    loaded = load_checkpoint(options.checkpoint)
    labelled = None if options.compare is None else find_clips(options.compare, loaded)
    engines, sizes = write_files(loaded, folder, options.int8)
    print_times(engines, sizes, loaded)
    if labelled is not None:
        print_scores(engines, loaded, labelled, options.cache, options.workers)


def parser():  # noqa: ANN201 - jsonargparse is imported late
    """The command's options."""
    options = argument_parser("export", DESCRIPTION, EPILOG)
    options.add_argument(
        "--checkpoint",
        default="pretrained",
        metavar="FILE",
        help="Trained model (.safetensors); pretrained: the one that comes with stgt.",
    )
    options.add_argument("--format", choices=("onnx",), default="onnx", help="Of the file.")
    options.add_argument(
        "--output", required=True, metavar="FOLDER", help="For model.onnx and its description, model.onnx.json."
    )
    options.add_argument(
        "--int8",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="Whether to write model.int8.onnx, too, whose matrix products are of 8-bit integers.",
    )
    options.add_argument(
        "--compare", metavar="FOLDER", help="That stgt synthesize wrote: print how well each file reads its clips."
    )
    options.add_argument(
        "--cache", metavar="FOLDER", help="Of the prepared clips of --compare; none: STGT_CACHE or the user cache."
    )
    options.add_argument("--workers", type=int, metavar="N", help="Processes that prepare them; none: all cores.")
    return options


def write_files(loaded: "LoadedModel", folder: Path, int8: bool) -> "tuple[dict[str, Engine], dict[str, int]]":
    """Write what was asked for; gives an engine for each file and for PyTorch, and the sizes of the files in bytes."""
    from stgt.engines.choice import engine_folder
    from stgt.engines.conversion import convert
    from stgt.engines.engine import TorchEngine
    from stgt.engines.exported import save_exported
    from stgt.engines.graph import kept_graph
    from stgt.engines.parity import BATCHES, TOLERANCE, largest_difference
    from stgt.engines.runtime import OnnxEngine

    cache = engine_folder()
    if kept_graph(loaded.model_config, loaded.window, cache) is None:
        print("translating the model, once for all models of its architecture …", file=sys.stderr)
    made = convert(loaded, cache)
    path = folder / "model.onnx"
    save_exported(path, made.content, loaded.meta, made.facts)
    print(f"wrote {path}, {len(made.content) / 1e6:.2f} MB, opset {made.facts['opset']}")
    for name, value in made.facts["inputs"].items():
        print(f"  {name:<12}{value['type']:<9}({', '.join(map(str, value['shape']))})")
    print(
        f"  against PyTorch, over random windows with masked frames, {', '.join(map(str, BATCHES))} at a time: "
        f"a logit is off by at most {made.facts['largest_difference']:.1e} ({TOLERANCE:.0e} is allowed)"
    )
    torch_engine = TorchEngine(loaded.model)
    engines: dict[str, Engine] = {"torch": torch_engine, "onnx": made.engine}
    sizes = {"torch": weight_bytes(loaded), "onnx": len(made.content)}
    if int8:
        from stgt.engines.quantised import quantise

        content = quantise(made.content)
        engines["int8"], sizes["int8"] = OnnxEngine(content), len(content)
        difference = largest_difference(torch_engine, engines["int8"], loaded.model_config, loaded.window)
        path = folder / "model.int8.onnx"
        save_exported(path, content, loaded.meta, {**made.facts, "precision": "int8", "largest_difference": difference})
        print(f"wrote {path}, {len(content) / 1e6:.2f} MB; rounding puts a logit off by up to {difference:.1e}")
    return engines, sizes


def weight_bytes(loaded: "LoadedModel") -> int:
    """Of a model's state, as checkpoints hold it."""
    return sum(value.numel() * value.element_size() for value in loaded.model.state_dict().values())


def print_times(engines: "dict[str, Engine]", sizes: dict[str, int], loaded: "LoadedModel") -> None:
    """How long each engine takes."""
    from stgt.engines.choice import best_times
    from stgt.engines.parity import random_windows

    seconds = best_times(engines, random_windows(loaded.model_config, loaded.window, 1), ROUNDS)
    print(f"\none window on one thread, the best of {ROUNDS} turns")
    for name, value in seconds.items():
        print(f"  {name:<8}{1000 * value:7.2f} ms{value / seconds['torch']:7.2f} x{sizes[name] / 1e6:9.2f} MB")
    if seconds.get("int8", 0) > 0.98 * seconds["onnx"]:
        print("  on this machine int8 is no faster than float32: it only saves room")


def find_clips(root: str, loaded: "LoadedModel") -> "LabelledClips":
    """The clips in a folder that stgt synthesize wrote.

    Raises:
        DatasetError: there are none, or the model was trained on all of their subjects.
        CheckpointError: it does not know all of their labels.
    """
    from stgt.data.catalog.cards import load_card
    from stgt.evaluate import sentence_of, unseen
    from stgt.models.checkpoint import require_labels

    card = load_card(DATASET)
    listing = card.find_clips(root)
    clips, who = unseen(card.protocol(None).used(listing.clips), DATASET, loaded)
    labels = [name for name in listing.classes if any(clip.label == name for clip in clips)]
    require_labels(loaded, labels, DATASET)
    return LabelledClips(clips, sentence_of(card, clips, who, labels, loaded))


def print_scores(
    engines: "dict[str, Engine]", loaded: "LoadedModel", labelled: LabelledClips, cache: str | None, workers: int | None
) -> None:
    """How well each engine reads labelled clips, with the protocol."""
    from stgt.benchmarks.engines import read_clips
    from stgt.data.preparation.prepare import prepare_clips

    prepared = prepare_clips(labelled.clips, cache=cache, workers=workers)
    clips = [clip for clip in labelled.clips if clip.clip_id in prepared]
    if len(clips) < len(labelled.clips):
        print(f"{len(labelled.clips) - len(clips)} clips could not be read and are left out", file=sys.stderr)
    print(f"\n{labelled.sentence}")
    for name, reading in read_clips(engines, loaded, clips, prepared).items():
        print(
            f"  {name:<8}UAR {100 * reading.uar:5.1f}   the label that torch gives {100 * reading.same:5.1f} %   "
            f"a clip's probability off by at most {reading.difference:.1e}"
        )


if __name__ == "__main__":
    run(main)
