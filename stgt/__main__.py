"""``stgt COMMAND``: the same as ``python -m stgt.COMMAND``."""

import importlib
import sys

from stgt.command import run

#: Command name -> (module, what it does in one line). The order is the order of the road.
COMMANDS: dict[str, tuple[str, str]] = {
    "track": ("stgt.track", "follow the face in a video: landmarks on disk and drawn on the frames"),
    "datasets": ("stgt.datasets", "list the datasets: found or not, size, licence, how to get each"),
    "synthesize": ("stgt.synthesize", "render expressive faces that need no licence"),
    "prepare": ("stgt.prepare", "extract landmark tracks and face crops of a dataset, once"),
    "train": ("stgt.train", "train and score a model by a dataset's protocol"),
    "distill": ("stgt.distill", "teach a light model what a heavy one knows: alone and distilled in one report"),
    "evaluate": ("stgt.evaluate", "score a trained model on a dataset"),
    "matrix": ("stgt.matrix", "score a model of every dataset on every other dataset: a cross-dataset matrix"),
    "compare": ("stgt.compare", "several methods on the same clips and folds: one table, one figure"),
    "predict": ("stgt.predict", "read the expressions in videos: table, plot, annotated video"),
    "live": ("stgt.realtime.live", "watch a camera or a stream through a sliding window"),
    "web": ("stgt.realtime.web.command", "a page for photos, videos and the camera, and an API, on this machine"),
    "export": ("stgt.export", "write a trained model as ONNX, checked against PyTorch; int8 on request"),
    "pretrain": ("stgt.pretrain", "make the weights that come with stgt, from generated faces alone"),
    "bench": ("stgt.bench", "measure this machine: every figure a ratio within one run"),
}


def usage() -> str:
    """The text of ``stgt --help``: every command in one line."""
    lines = [f"  {name:<12}{summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(["usage: stgt COMMAND [options]     (stgt COMMAND --help lists the options)", "", *lines])


def dispatch(arguments: list[str]) -> int | None:
    """Hand ``arguments[1:]`` to the command named by ``arguments[0]``."""
    from stgt.errors import StgtError

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments[0] in ("-V", "--version"):
        from stgt import __version__

        print(f"stgt {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise StgtError(f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}")
    return importlib.import_module(COMMANDS[name][0]).main(arguments[1:])


def main() -> None:
    """Entry point of the ``stgt`` script."""
    run(dispatch)


if __name__ == "__main__":
    sys.exit(main())
