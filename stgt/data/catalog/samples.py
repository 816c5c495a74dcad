"""What clips hold: their files on disk, all of them by size, and a sample that is decoded."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted, image_files, image_number
from stgt.errors import StgtError

if TYPE_CHECKING:
    import numpy as np

    from stgt.faces.landmarker import FaceLandmarker

#: What a file that git-lfs has not fetched begins with, and how long such files are at most.
LFS_POINTER, LFS_BYTES = b"version https://git-lfs", 1024
#: A video with more frames than this is read at its start, middle and end only.
READ_WHOLE = 1500
#: Seconds that are read of each of the three parts.
PART_S = 0.5
#: A video that gives fewer frames than this share of what its container announces has been cut short.
CUT_SHORT = 0.9
#: Pictures with a shorter side than this, in pixels, are too small for landmarks.
SMALLEST_SIDE = 80


@dataclass(frozen=True)
class Looked:
    """What one clip holds."""

    clip: Clip
    frames: int = 0
    """Frames, images or rows that were read."""
    size: tuple[int, int] | None = None
    """Width and height of its pictures."""
    fault: str = ""
    """Why it cannot be used; empty: it can."""
    oddity: str = ""
    """What is unusual about it, though it can be used."""
    face: bool | None = None
    """Whether a face is seen in its middle; None: nobody has looked."""


def faulty_files(clips: Sequence[Clip]) -> dict[str, list[str]]:
    """What is wrong with the files of all clips, without decoding them: reason -> clip ids."""
    faults: dict[str, list[str]] = {}
    for clip in clips:
        if clip.kind != "images":
            reason = file_fault(clip.source)
            if reason:
                faults.setdefault(reason, []).append(clip.clip_id)
    return faults


def file_fault(path: Path) -> str | None:
    """Why a file cannot hold a clip, told from its size and beginning."""
    try:
        size = path.stat().st_size
        if size == 0:
            return "empty (0 bytes)"
        if size <= LFS_BYTES and path.read_bytes().startswith(LFS_POINTER):
            return "a git-lfs pointer, not the file"
    except PermissionError:
        return "not readable (permissions)"
    except OSError as error:
        return f"not readable ({error.strerror})"
    return None


def same_content(clips: Sequence[Clip]) -> list[tuple[Clip, ...]]:
    """Clips whose files are equal byte by byte, though their ids differ.

    Files of equal size are compared by a hash of both; folders of images by size and name of every image.
    """
    sizes: dict[tuple, list[Clip]] = {}
    for clip in clips:
        if clip.start_s is not None:
            continue  # parts of one file
        try:
            sizes.setdefault(sizes_of(clip), []).append(clip)
        except OSError:
            continue
    groups: dict[tuple, list[Clip]] = {}
    for size, alike in sizes.items():
        if len(alike) > 1 and any(size):
            for clip in alike:
                groups.setdefault((size, content(clip)), []).append(clip)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def sizes_of(clip: Clip) -> tuple[int, ...]:
    """The sizes of a clip's files in bytes; of a folder those of its first, middle and last image, and how many."""
    if clip.kind != "images":
        return (clip.source.stat().st_size,)
    images = image_files(clip.source)
    return (*(image.stat().st_size for image in three_of(images)), len(images))


def content(clip: Clip) -> bytes:
    """A hash of a clip's file, or of three images of its folder."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    files = three_of(image_files(clip.source)) if clip.kind == "images" else [clip.source]
    for file in files:
        try:
            digest.update(file.read_bytes())
        except OSError:
            digest.update(clip.clip_id.encode())  # like no other
    return digest.digest()


def three_of(items: Sequence) -> list:
    """The first, the middle and the last, each once."""
    return [items[place] for place in sorted({0, len(items) // 2, len(items) - 1})] if items else []


def spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """``count`` clips evenly spread over ``clips``, the first and the last among them; all if there are no more."""
    if count >= len(clips):
        return list(clips)
    if count == 1:
        return [clips[len(clips) // 2]]
    return [clips[round(place * (len(clips) - 1) / (count - 1))] for place in range(count)]


def look_at(
    clips: Sequence[Clip], workers: int | None = None, progress: Callable[[], object] | None = None
) -> list[Looked]:
    """Decode ``clips`` side by side; ``progress`` is called after each. The order is kept."""
    with ThreadWarnings() as warnings, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        tasks = {pool.submit(look, clip, warnings): index for index, clip in enumerate(clips)}
        found: list[Looked | None] = [None] * len(clips)
        for task in as_completed(tasks):
            found[tasks[task]] = task.result()
            if progress is not None:
                progress()
    return [each for each in found if each is not None]


def look(clip: Clip, warnings: "ThreadWarnings") -> Looked:
    """Read one clip: all of a video, three images of a folder, a picture, a whole track."""
    readers = {"images": look_at_images, "image": look_at_picture, "tracks": look_at_track}
    reader = readers.get(clip.kind, look_at_video)
    try:
        looked = reader(clip)
    except StgtError as error:
        return Looked(clip, fault=str(error))
    except Exception as error:  # decoders fail in ways of their own, and one file must not end the check
        return Looked(clip, fault=f"{clip.source}: {type(error).__name__}: {error}")
    finally:
        said = warnings.take()
    if looked.size and min(looked.size) < SMALLEST_SIDE and not looked.fault and not clip.aligned:
        width, height = looked.size
        looked = replace(looked, fault=f"{clip.source}: its pictures are {width}x{height}, too small for landmarks")
    return replace(looked, oddity=looked.oddity or "; ".join(said))


def look_at_video(clip: Clip) -> Looked:
    """Every frame of a video, or three parts of a long one."""
    from stgt.faces.video import VideoFile

    source = VideoFile(clip.source, clip.start_s, clip.end_s)
    expected = source.frame_count
    if expected is None or expected <= READ_WHOLE:
        frames = sum(1 for _ in source)
        short = expected is not None and frames < CUT_SHORT * expected - 1
        fault = f"{clip.source} is cut short: {frames} of {expected} frames can be decoded" if short else ""
        return Looked(clip, frames, source.image_size, fault or ("" if frames else f"{clip.source} has no frame"))
    begin = clip.start_s or 0.0
    last = begin + expected / source.frame_rate - PART_S
    frames = 0
    for start_s in (begin, (begin + last) / 2, last):
        part = sum(1 for _ in VideoFile(clip.source, start_s, start_s + PART_S))
        if not part:
            return Looked(
                clip, frames, source.image_size, f"{clip.source} is cut short: nothing is there at {start_s:.1f} s"
            )
        frames += part
    return Looked(clip, frames, source.image_size)


def look_at_images(clip: Clip) -> Looked:
    """The first, middle and last image of a folder; of all others whether they are empty and numbered without gaps."""
    from stgt.faces.video import read_image

    images = image_files(clip.source)
    empty = [image.name for image in images if image.stat().st_size == 0]
    if empty:
        return Looked(clip, fault=f"{clip.source}: {counted(len(empty), 'image')} empty (0 bytes), first {empty[0]}")
    sizes = []
    for image in three_of(images):
        rgb = read_image(image)
        if rgb is None:
            return Looked(clip, len(sizes), fault=f"{image} cannot be read as an image")
        sizes.append((rgb.shape[1], rgb.shape[0]))
    oddity = gaps(images)
    if len(set(sizes)) > 1:
        oddity = f"pictures of different sizes ({', '.join(f'{width}x{height}' for width, height in sizes)})"
    return Looked(clip, len(sizes), sizes[0], oddity=oddity)


def look_at_picture(clip: Clip) -> Looked:
    """A single picture."""
    from stgt.faces.video import read_image

    rgb = read_image(clip.source)
    if rgb is None:
        return Looked(clip, fault=f"{clip.source} cannot be read as an image")
    return Looked(clip, 1, (rgb.shape[1], rgb.shape[0]))


def gaps(images: Sequence[Path]) -> str:
    """What is missing between the images' numbers, which else run on by ones; empty if nothing is."""
    numbers = [image_number(image) for image in images]
    if None in numbers or len(numbers) < 3:
        return ""
    steps = [after - before for before, after in pairwise(numbers)]
    missing = sum(step - 1 for step in steps if step > 1)
    return (
        f"{counted(missing, 'image')} missing between its numbers"
        if missing and steps.count(1) > 0.8 * len(steps)
        else ""
    )


def look_at_track(clip: Clip) -> Looked:
    """All of a file of tracks."""
    from stgt.data.interchange import read_tracks

    track = read_tracks(clip.source, clip.frame_rate).slice(clip.start_s, clip.end_s)
    fault = "" if track.valid.any() else f"{clip.source}: no frame of the track holds a face"
    return Looked(clip, len(track), fault=fault)


def with_face(looked: Looked, landmarker: "FaceLandmarker") -> Looked:
    """``looked`` with whether a face is found within the middle third of the clip."""
    if looked.clip.kind == "image":
        from stgt.faces.stills import find_face
        from stgt.faces.video import read_image

        rgb = read_image(looked.clip.source)
        found = rgb is not None and find_face(rgb, landmarker, looked.clip.aligned) is not None
        return replace(looked, face=found)
    for now_s, rgb in middle_frames(looked.clip):
        if landmarker.detect(now_s, rgb) is not None:
            return replace(looked, face=True)
    return replace(looked, face=False)


def middle_frames(clip: Clip, count: int = 5) -> "Iterator[tuple[float, np.ndarray]]":
    """Up to ``count`` neighbouring frames from the middle of a clip."""
    from itertools import islice

    from stgt.faces.video import open_source

    source = open_source(clip.source, clip.frame_rate, clip.start_s, clip.end_s)
    middle = max(0, (source.frame_count or 0) // 2 - count // 2)
    return islice(iter(source), middle, middle + count)


class ThreadWarnings(logging.Handler):
    """Collects the warnings of the ``stgt`` logger for each thread, so that they reach the clip that they are about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: dict[int | None, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one warning."""
        self._lines.setdefault(record.thread, []).append(record.getMessage())

    def take(self) -> list[str]:
        """The warnings of this thread since the last call."""
        import threading

        return self._lines.pop(threading.get_ident(), [])

    def __enter__(self) -> "ThreadWarnings":
        logger = logging.getLogger("stgt")
        self._propagated, logger.propagate = logger.propagate, False
        logger.addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        logger = logging.getLogger("stgt")
        logger.removeHandler(self)
        logger.propagate = self._propagated
