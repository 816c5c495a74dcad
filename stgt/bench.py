"""``stgt bench``: what this machine can do, every figure as a ratio within one run.

``stgt bench live`` and ``stgt bench soak`` measure the live program, ``stgt bench web`` the server, ``stgt bench data``
40,000 prepared clips, and ``stgt bench frames`` encoders of face crops.
"""

import importlib
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from stgt.command import argument_parser, run
from stgt.config import ModelConfig, OptimisationConfig, WindowConfig, from_dict
from stgt.errors import SourceError

#: What is measured elsewhere; named as text, because nothing here imports the live program or needs a model.
ELSEWHERE = {
    "data": "stgt.benchmarks.data",
    "frames": "stgt.benchmarks.frames",
    "live": "stgt.realtime.bench",
    "soak": "stgt.realtime.soak",
    "web": "stgt.realtime.web.bench",
}
EPILOG = """`stgt bench live` measures the live program beside a bare MediaPipe loop, `stgt bench soak` its memory and
latency over an hour's worth of frames, `stgt bench web` a server that reads cameras and videos, `stgt bench data` a
simulated set of 40,000 prepared clips, `stgt bench frames` the training of frame encoders beside a plain timm loop;
each has its own --help."""


@dataclass(frozen=True)
class BenchConfig:
    """What to measure with."""

    video: str | None = None
    """Video of one face for the preparation figures; none: a short rendered one that comes with STGT."""
    copies: int = 48
    """How many copies of the video are prepared."""
    rounds: int = 15
    """Measurements per figure; medians are printed."""
    workers: int | None = None
    """Processes of the preparation; none: all cores."""
    layout: str = "landmarks68"
    """Node layout of the models."""
    epochs: int = OptimisationConfig.epochs
    """Epochs per fold in the estimate of a CK+ run."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    if arguments and arguments[0] in ELSEWHERE:
        importlib.import_module(ELSEWHERE[arguments[0]]).main(arguments[1:])
        return
    parser = argument_parser("bench", "Measure this machine; every figure is a ratio within one run.", EPILOG)
    parser.add_class_arguments(BenchConfig, as_group=False)
    config = from_dict(BenchConfig, parser.parse_args(arguments).as_dict())
    video = Path(config.video) if config.video else sample_video()
    if not video.is_file():
        raise SourceError(f"{video} is not there; give a video of one face with --video")
    import torch

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    bench_models(config)
    bench_preparation(config, video)


def sample_video() -> Path:
    """The rendered clip that comes with the package."""
    from importlib import resources

    return Path(str(resources.files("stgt.synthetic") / "sample.mp4"))


def bench_models(config: BenchConfig) -> None:
    """Latency of a window, training rate per setting of the streams, and the estimate of a CK+ run."""
    from stgt.benchmarks import models

    window = WindowConfig()
    stgt = ModelConfig(layout=config.layout)
    stgcn = replace(stgt, name="stgcn")
    size = f"{window.frames} frames x {config.layout}"
    latency = models.window_latency({"stgt": stgt, "stgcn": stgcn}, window, 4 * config.rounds)
    print(f"\nreading one window ({size}, one thread)")
    print_row("stgcn", 1000 * latency["stgcn"], "ms", 1.0)
    print_row("stgt, geometry", 1000 * latency["stgt"], "ms", latency["stgt"] / latency["stgcn"])

    settings = models.stream_settings(stgt)
    rates = models.training_rate({"stgcn": stgcn, **settings}, window, config.rounds)
    print(f"\ntraining (batch 32, {size})")
    print_row("stgcn", rates["stgcn"], "clips/s", 1.0)
    for streams in settings:
        print_row(f"stgt, {streams}", rates[streams], "clips/s", rates[streams] / rates["stgcn"])

    scoring = models.reading_rate(stgt, window, config.rounds)
    minutes = models.ck_minutes(rates["geometry"], scoring, config.epochs)
    print(f"\n10 folds of {models.CK_CLIPS} clips (CK+), {config.epochs} epochs each, without preparation")
    print(f"  {'stgt, geometry':<36}{minutes:9.1f} minutes, estimated")


def bench_preparation(config: BenchConfig, video: Path) -> None:
    """Preparation against a bare loop."""
    from stgt.benchmarks.preparation import preparation_rates

    prepared, bare = preparation_rates(video, config.copies, config.workers)
    print(f"\npreparation ({config.copies} copies of {video.name})")
    print_row("bare loop: decode, MediaPipe", bare, "frames/s", 1.0)
    print_row("stgt prepare: also crops, on disk", prepared, "frames/s", prepared / bare)


def print_row(name: str, value: float, unit: str, ratio: float) -> None:
    """A figure and its ratio to the first row of its table."""
    print(f"  {name:<36}{value:9.1f} {unit:<9}{ratio:6.2f} x")


if __name__ == "__main__":
    run(main)
