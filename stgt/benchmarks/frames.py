"""``stgt bench frames``: how fast frame encoders train on cached face crops, beside a plain timm loop in the same run.

Both sides train the same backbone on the same pictures, as many in a step: one by the road of clips (windows read from
the cache, their crops pooled), the other as timm's own users do it, from image files through PIL, torchvision's
transforms and a loader of torch. ``--list true`` prints what each encoder costs instead.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.benchmarks.data import CLASSES, make_tree, scanned, write_store
from stgt.command import argument_parser, run
from stgt.config import FRAME_MODELS, FRAMES_PREFIX, AugmentationConfig, ModelConfig, WindowConfig, from_dict
from stgt.errors import StgtError

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from stgt.data.catalog.layouts import Clip
    from stgt.data.preparation.prepared import Prepared


@dataclass(frozen=True)
class FrameBenchConfig:
    """What to train."""

    models: str = "resnet18"
    """Comma-separated: models of timm."""
    clips: int = 48
    """Clips of an epoch."""
    stream_frames: int = ModelConfig.stream_frames
    """Crops of a clip."""
    size: int = ModelConfig.frame_size
    """Side in pixels at which the backbone reads pictures."""
    batch_size: int = 64
    """Pictures in a step."""
    rounds: int = 3
    """Epochs that are measured, in turns; medians are printed."""
    workers: int = 0
    """Processes that load pictures, on both sides."""
    list: bool = False
    """Print parameters and operations of all frame encoders, and train none."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("bench frames", "Measure the training of frame encoders beside a plain timm loop.")
    parser.add_class_arguments(FrameBenchConfig, as_group=False)
    config = from_dict(FrameBenchConfig, parser.parse_args(arguments).as_dict())
    names = [name.strip().removeprefix(FRAMES_PREFIX) for name in config.models.split(",") if name.strip()]
    if config.list:
        print_costs(config.size)
        return
    if config.batch_size % config.stream_frames or config.clips * config.stream_frames < config.batch_size:
        raise StgtError(
            f"batch_size is {config.batch_size}; it must be a multiple of stream_frames, {config.stream_frames}, and "
            f"at most the {config.clips * config.stream_frames} pictures of all clips"
        )
    named = next((name for name in names if name in FRAME_MODELS), None)
    if named:
        raise StgtError(f"{named} is no model of timm, so there is no plain timm loop to hold it against")
    measure(config, names)


def measure(config: FrameBenchConfig, names: list[str]) -> None:
    """Make the pictures, train both ways, print the rates."""
    import torch

    from stgt.bench import print_row

    folder = Path(tempfile.mkdtemp(prefix="stgt-bench-frames-"))
    try:
        clips, prepared = prepared_clips(config.clips, folder)
        pictures = write_pictures(clips, prepared, config, folder / "pictures")
        print(
            f"{len(pictures)} pictures of {len(clips)} clips, {config.batch_size} in a step at {config.size} pixels, "
            f"{torch.get_num_threads()} threads"
        )
        for name in names:
            ours, plain = training_rates(name, config, clips, prepared, pictures)
            print(f"\ntraining {name}, loading included")
            print_row("timm, image files through PIL", plain, "images/s", 1.0)
            print_row("stgt, crops from the cache", ours, "images/s", ours / plain)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepared_clips(count: int, folder: Path) -> "tuple[list[Clip], Prepared]":
    """So many simulated clips with the crops of a rendered face, in a cache under ``folder``."""
    from stgt.data.preparation.prepare import prepare_clips

    make_tree(folder / "tree", count)
    clips = scanned(folder / "tree")
    write_store(clips, folder, with_crops=True)
    return clips, prepare_clips(clips, cache=folder, progress=False)


def write_pictures(
    clips: "list[Clip]", prepared: "Prepared", config: FrameBenchConfig, folder: Path
) -> list[tuple[Path, int]]:
    """The same crops as JPEG files, byte by byte, with the numbers of their classes."""
    import numpy as np

    folder.mkdir()
    pictures = []
    for clip in clips:
        crops = prepared.crops(clip)
        shown = np.flatnonzero(np.diff(crops.offsets) > 0)
        for number in np.linspace(0, len(shown) - 1, config.stream_frames).round().astype(int):
            frame = shown[number]
            path = folder / f"{Path(clip.clip_id).stem}_{number:03}.jpg"
            path.write_bytes(crops.data[crops.offsets[frame] : crops.offsets[frame + 1]].tobytes())
            pictures.append((path, CLASSES.index(clip.label)))
    return pictures


def training_rates(
    name: str,
    config: FrameBenchConfig,
    clips: "list[Clip]",
    prepared: "Prepared",
    pictures: list[tuple[Path, int]],
) -> tuple[float, float]:
    """Pictures per second of both ways, each over whole epochs, in turns."""
    from stgt.benchmarks.timing import interleaved

    seen: dict[str, int] = {}
    epochs = {
        "ours": our_epoch(name, config, clips, prepared, seen),
        "plain": plain_epoch(name, config, pictures, seen),
    }
    seconds = interleaved(epochs, config.rounds)
    return seen["ours"] / seconds["ours"], seen["plain"] / seconds["plain"]


def our_epoch(
    name: str, config: FrameBenchConfig, clips: "list[Clip]", prepared: "Prepared", seen: dict[str, int]
) -> Callable[[], None]:
    """An epoch by the road of clips; ``seen`` is told how many pictures it reads."""
    import torch
    from torch.nn import functional as F

    from stgt.data.clips import WindowDataset, collate
    from stgt.graphs.layout import load_layout
    from stgt.learning.augmentation import Augmentation
    from stgt.learning.sampler import EpochSampler
    from stgt.models.registry import create_model

    # Mean: a plain loop has no pool; and no frame is dropped, so that both sides read as many.
    settings = ModelConfig(
        FRAMES_PREFIX + name, frame_size=config.size, stream_frames=config.stream_frames, frame_pool="mean"
    )
    window = WindowConfig()
    model = create_model(settings, len(CLASSES), window).train()
    optimizer = torch.optim.AdamW(model.parameters())
    augmentation = Augmentation(AugmentationConfig(drop_frames=0.0), load_layout(settings.layout))
    dataset = WindowDataset(clips, prepared, CLASSES, settings, window, augmentation=augmentation)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=config.batch_size // config.stream_frames,
        sampler=EpochSampler(len(dataset), seed=0),
        collate_fn=collate,
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        drop_last=True,
    )

    def epoch() -> None:
        seen["ours"] = 0
        for batch in loader:
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(**batch.inputs), batch.target).backward()
            optimizer.step()
            seen["ours"] += int(batch.frames_mask.sum())

    return epoch


def plain_epoch(
    name: str, config: FrameBenchConfig, pictures: list[tuple[Path, int]], seen: dict[str, int]
) -> Callable[[], None]:
    """An epoch of a plain loop around ``timm.create_model``; ``seen`` is told how many pictures it reads."""
    import timm
    import torch
    from torch.nn import functional as F

    model = timm.create_model(name, pretrained=False, num_classes=len(CLASSES)).train()
    optimizer = torch.optim.AdamW(model.parameters())
    loader = plain_loader(config, pictures, model.pretrained_cfg)

    def epoch() -> None:
        seen["plain"] = 0
        for images, targets in loader:
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(images), targets).backward()
            optimizer.step()
            seen["plain"] += len(images)

    return epoch


def plain_loader(config: FrameBenchConfig, pictures: list[tuple[Path, int]], expected: dict) -> "DataLoader":
    """The usual loader of image files; ``expected`` is what timm says of the backbone's input."""
    import torch
    from PIL import Image
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.Resize(config.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(expected["mean"], expected["std"]),
        ]
    )

    class Pictures(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(pictures)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            path, target = pictures[index]
            with Image.open(path) as image:
                return transform(image.convert("RGB")), target

    return torch.utils.data.DataLoader(
        Pictures(),
        batch_size=config.batch_size,
        shuffle=True,
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        drop_last=True,
    )


def print_costs(size: int, num_classes: int = 8) -> None:
    """A table of all frame encoders: learned parameters, and operations of one crop."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from stgt.models.frames import create_frame_model

    print(f"frame encoders, one crop at {size} pixels, {num_classes} classes; a multiply-add counts as two operations")
    print(f"  {'encoder':<20}{'parameters':>14}{'GFLOPs':>10}{'weights in timm':>18}")
    for name in FRAME_MODELS:
        model = create_frame_model(name, num_classes, image_size=size).eval()
        parameters = sum(parameter.numel() for parameter in model.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, size, size))
        weights = "trunk" if model.trunk_name else "none"
        print(f"  {name:<20}{parameters / 1e6:>12.2f} M{counter.get_total_flops() / 1e9:>10.2f}{weights:>18}")


if __name__ == "__main__":
    run(main)
