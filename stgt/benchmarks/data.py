"""``stgt bench data``: what a set of 40,000 prepared clips costs in time, memory and disk.

The set is simulated: a rendered face's track, played from other frames on, under tens of thousands of clip ids. What is
measured on it is what training does: it is scanned, opened, and read in the order of an epoch. The reading happens in a
process of its own, so that its memory is that of a training and of nothing else.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stgt.command import argument_parser, run
from stgt.config import ModelConfig, TrainConfig, WindowConfig, from_dict, parse_streams
from stgt.data.catalog.cards import load_card
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.data.catalog.layouts import Clip

#: Bytes that a simulated clip takes up, about: for whether there is room.
TRACK_BYTES, CROPS_BYTES = 97_000, 145_000
FRAMES, FRAME_RATE = 30, 25.0
CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
#: Clips per subject, and shards: as many as eight processes would write.
CLIPS_PER_SUBJECT, SHARDS = 20, 8


@dataclass(frozen=True)
class DataBenchConfig:
    """What to simulate."""

    clips: int = 40_000
    """How many clips."""
    folder: str | None = None
    """Where the set is written, and deleted afterwards; none: a temporary folder."""
    crops: bool = False
    """Write the face crops, too: 145 kB more per clip."""
    streams: str = "geometry"
    """What the model reads; patches and frames need --crops true."""
    layout: str = "landmarks68"
    """Node layout of the model."""
    steps: int = 150
    """Training steps; the rest of the epoch is only read."""


@dataclass(frozen=True)
class Measured:
    """What the reading process saw.

    Attributes:
        opening_s: clips on disk -> ``Prepared``.
        first_batch_s: the same, and on to the first batch.
        loader: clips/s, loading alone.
        training: clips/s, training steps alone, in turns with the loading.
        start_mb: resident memory before the set is opened: Python, torch and the model.
        training_mb: its maximum while training.
        epoch_mb: its maximum until every clip was read once.
    """

    opening_s: float
    first_batch_s: float
    loader: float
    training: float
    start_mb: float
    training_mb: float
    epoch_mb: float


def main(arguments: list[str]) -> None:
    """Simulate, measure, print, delete."""
    parser = argument_parser("bench data", "Measure a simulated set of many prepared clips.")
    parser.add_class_arguments(DataBenchConfig, as_group=False)
    config = from_dict(DataBenchConfig, parser.parse_args(arguments).as_dict())
    if not config.crops and {"patches", "frames"} & set(parse_streams(config.streams)):
        raise StgtError(f"the streams {config.streams} read pixels; add --crops true")
    with simulated_folder(config) as folder:
        print(f"{config.clips:,} clips of {FRAMES} frames, simulated in {folder}", flush=True)
        started = time.perf_counter()
        make_tree(folder / "tree", config.clips)
        tell("making the tree", time.perf_counter() - started, "s")

        started = time.perf_counter()
        clips = scanned(folder / "tree")
        tell("scanning the tree", time.perf_counter() - started, "s")

        started = time.perf_counter()
        tracks, crops = write_store(clips, folder, config.crops)
        tell("hashing all files once, writing the set", time.perf_counter() - started, "s")
        tell("storage per clip, track", tracks / 1000, "kB")
        tell("storage per clip, with 128-pixel crops", (tracks + crops) / 1000, "kB")

        measured = in_own_process(config, folder)
        tell("opening", measured.opening_s, "s")
        tell("opening and first batch", measured.first_batch_s, "s")
        tell("resident memory before", measured.start_mb, "MB")
        tell("resident memory while training, at most", measured.training_mb, "MB")
        tell("resident memory over a whole epoch, at most", measured.epoch_mb, "MB")
        tell(f"training, {config.streams}", measured.training, "clips/s")
        tell("loader alone, in the same process", measured.loader, "clips/s")
        tell("loader over training", measured.loader / measured.training, "x")


def tell(what: str, value: float, unit: str) -> None:
    """Print a figure."""
    print(f"  {what:<46}{value:10.2f} {unit}", flush=True)


@contextlib.contextmanager
def simulated_folder(config: DataBenchConfig) -> Iterator[Path]:
    """An empty folder for the set, gone with the block.

    Raises:
        StgtError: it holds something, or there is no room.
    """
    if config.folder is not None:
        folder = Path(config.folder)
        if folder.exists() and any(folder.iterdir()):
            raise StgtError(f"{folder} holds something; name an empty or new folder with --folder")
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="stgt-bench-data-"))
    try:
        needed = config.clips * (TRACK_BYTES + config.crops * CROPS_BYTES)
        free = shutil.disk_usage(folder).free
        if free < 1.1 * needed:
            raise StgtError(
                f"{folder} has room for {free / 1e9:.1f} GB, and the set needs {needed / 1e9:.1f}; name another with "
                f"--folder, or simulate fewer --clips"
            )
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_tree(root: Path, clips: int) -> None:
    """A folder of clips as its card has it, each file a few bytes that no other has."""
    then = time.time() - 3600
    for label in CLASSES:
        (root / label).mkdir(parents=True)
    for number in range(clips):
        subject, label = number // CLIPS_PER_SUBJECT, CLASSES[number % len(CLASSES)]
        path = root / label / f"s{subject:05}_{number:06}.mp4"
        path.write_text(f"clip {number}")
        os.utime(path, (then, then))


def scanned(root: Path) -> "list[Clip]":
    """The clips of the tree."""
    return list(load_card("folder").find_clips(root, subject_pattern=r"(s\d+)_").clips)


def write_store(clips: "list[Clip]", folder: Path, with_crops: bool) -> tuple[float, float]:
    """Put a track under every clip's key; bytes per clip of the track and of the crops, written or not."""
    from stgt.data.preparation.blocks import pack_crops, pack_track
    from stgt.data.preparation.index import Entry
    from stgt.data.preparation.prepare import find_keys, store_folder
    from stgt.data.preparation.shards import ShardWriter
    from stgt.data.preparation.store import Store

    keys = find_keys(clips, Store(store_folder(folder)), progress=False)
    variants = [(pack_track(track), pack_crops(*crops)) for track, crops in simulated_tracks()]
    writers = [ShardWriter(store_folder(folder)) for _ in range(SHARDS)]
    for number, clip in enumerate(clips):
        track, crops = variants[number % len(variants)]
        writer = writers[number % SHARDS]
        places = writer.append([track, crops if with_crops else b""])
        last_s = (FRAMES - 1) / FRAME_RATE
        writer.note(Entry(keys[clip.clip_id], writer.name, *places, FRAMES, 1.0, 0.0, last_s).line())
    for writer in writers:
        writer.close()
    return float(np.mean([len(track) for track, _ in variants])), float(np.mean([len(crops) for _, crops in variants]))


def simulated_tracks(count: int = 7) -> list[tuple]:
    """Tracks, each with the data and offsets of its crops: a rendered face that smiles and calms down, from other
    frames on."""
    from dataclasses import replace

    from stgt.bench import sample_video
    from stgt.faces.crops import CropSequence
    from stgt.faces.extract import extract

    track, crops = extract(sample_video())
    jpegs = [crops.data[crops.offsets[frame] : crops.offsets[frame + 1]].tobytes() for frame in range(len(crops))]
    there_and_back = [*range(len(track)), *reversed(range(len(track)))]
    made = []
    for number in range(count):
        frames = np.resize(np.roll(there_and_back, -6 * number), FRAMES)
        arrays = {name: getattr(track, name)[frames] for name in ("points", "valid", "blendshapes", "transforms")}
        own = CropSequence.from_jpegs([jpegs[frame] for frame in frames])
        made.append((replace(track, times=np.arange(FRAMES) / FRAME_RATE, **arrays), (own.data, own.offsets)))
    return made


def in_own_process(config: DataBenchConfig, folder: Path) -> Measured:
    """``measure`` in a new process."""
    command = [sys.executable, "-m", "stgt.benchmarks.data", json.dumps([asdict(config), str(folder)])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StgtError("the measuring process failed; its own words are above")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def measure(config: DataBenchConfig, folder: Path) -> Measured:
    """Open the set, train some steps on it, and read the rest of an epoch."""
    import psutil
    import torch
    from torch.nn import functional as F

    from stgt.data.clips import WindowDataset, collate
    from stgt.data.preparation.prepare import prepare_clips
    from stgt.graphs.layout import load_layout
    from stgt.learning.augmentation import Augmentation
    from stgt.learning.sampler import EpochSampler
    from stgt.models.registry import create_model

    def resident_mb() -> float:
        return process.memory_info().rss / 1e6

    process, window = psutil.Process(), WindowConfig()
    settings = TrainConfig(dataset="folder", model=ModelConfig(layout=config.layout, streams=config.streams))
    model = create_model(settings.model, len(CLASSES), window).train()
    optimizer = torch.optim.AdamW(model.parameters())
    clips = scanned(folder / "tree")
    start_mb = resident_mb()

    started = time.perf_counter()
    prepared = prepare_clips(clips, cache=folder, progress=False)
    opening_s = time.perf_counter() - started
    augmentation = Augmentation(settings.augmentation, load_layout(config.layout))
    dataset = WindowDataset(clips, prepared, CLASSES, settings.model, window, augmentation=augmentation)
    size = settings.optimisation.batch_size
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=size, sampler=EpochSampler(len(dataset), seed=0), collate_fn=collate, drop_last=True
    )
    batches = iter(loader)
    batch = next(batches)
    first_batch_s = time.perf_counter() - started

    loading_s, training_s, peak_mb = [], [], 0.0
    for _ in range(min(config.steps, len(loader) - 1)):
        begun = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(**batch.inputs), batch.target).backward()
        optimizer.step()
        loading_s.append(loaded - begun)
        training_s.append(time.perf_counter() - loaded)
        peak_mb = max(peak_mb, resident_mb())
    training_mb = peak_mb
    for _ in batches:
        peak_mb = max(peak_mb, resident_mb())
    return Measured(
        opening_s=opening_s,
        first_batch_s=first_batch_s,
        loader=size / float(np.median(loading_s)),
        training=size / float(np.median(training_s)),
        start_mb=start_mb,
        training_mb=training_mb,
        epoch_mb=peak_mb,
    )


def measured_here(arguments: list[str]) -> None:
    """What the measuring process runs."""
    settings, folder = json.loads(arguments[0])
    print(json.dumps(asdict(measure(DataBenchConfig(**settings), Path(folder)))))


if __name__ == "__main__":
    run(measured_here)
