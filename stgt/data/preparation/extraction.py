"""One clip into the cache: what a preparation process does. Imports little, because every such process pays for it."""

import hashlib
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import types
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import image_files
from stgt.errors import SourceError, StgtError
from stgt.files import write_json

if TYPE_CHECKING:
    from stgt.faces.landmarker import FaceLandmarker

#: Files up to this size are hashed whole; of longer ones three pieces of a third of it: the start, middle and end.
WHOLE_HASH_BYTES = 32 * 2**20

#: What a file that git-lfs has not fetched begins with.
LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class CacheEntry:
    """The files of one prepared clip: a folder named after what they were made from."""

    folder: Path

    @property
    def track(self) -> Path:
        """The landmark track."""
        return self.folder / "track.safetensors"

    @property
    def crops(self) -> Path:
        """The aligned face crops."""
        return self.folder / "crops.safetensors"

    @property
    def record(self) -> Path:
        """Written last: an entry without it is unfinished."""
        return self.folder / "clip.json"

    def read_record(self) -> dict | None:
        """The record of a finished entry whose files have the size that they were written with, else None."""
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
            sizes = [record["track_bytes"], record["crops_bytes"]]
            whole = sizes == [self.track.stat().st_size, self.crops.stat().st_size]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if whole else None


@dataclass(frozen=True)
class Job:
    """A clip to extract, and where its files go."""

    clip: Clip
    entry: CacheEntry
    weight: float
    """How long it will take, on any scale."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    folder: Path
    weight: float
    frames: int = 0
    failure: str | None = None
    warnings: tuple[str, ...] = field(default=())


def extract_clip(job: Job) -> Outcome:
    """Extract ``job.clip`` into its cache entry, unless another process has just done so.

    A clip that cannot be read is told in the outcome. A full disk, a forbidden folder and an interrupt are raised.
    """
    # Imported here, in the worker: the process that hands out the jobs needs neither OpenCV nor MediaPipe.
    from stgt.faces.extract import extract

    record = job.entry.read_record()
    if record:
        return Outcome(job.entry.folder, job.weight, record["frames"])
    clip, landmarker = job.clip, shared_landmarker()
    with CollectedWarnings() as warnings:
        try:
            check_present(clip.source)
            track, crops = extract(
                clip.source,
                landmarker=landmarker,
                frame_rate=clip.frame_rate,
                start_s=clip.start_s,
                end_s=clip.end_s,
            )
        except StgtError as error:
            return Outcome(job.entry.folder, job.weight, failure=str(error), warnings=warnings.texts)
        except MemoryError:
            raise
        except Exception as error:
            reason = f"{clip.source}: {type(error).__name__}: {error}"
            return Outcome(job.entry.folder, job.weight, failure=reason, warnings=warnings.texts)
    crops.save(job.entry.crops)
    track.save(job.entry.track)
    record = {
        "clip": clip.clip_id,
        "source": str(clip.source),
        "frames": len(track),
        "valid_share": track.valid_share,
        "track_bytes": job.entry.track.stat().st_size,
        "crops_bytes": job.entry.crops.stat().st_size,
    }
    write_json(job.entry.record, record)
    return Outcome(job.entry.folder, job.weight, len(track), warnings=warnings.texts)


def begin_worker() -> None:
    """What a preparation process does first: leave Ctrl-C to its parent, and make sure to end when the parent does.

    A run that is killed must not leave processes behind that hold MediaPipe in memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    postpone_plotting()


class Postponed(types.ModuleType):
    """A module that is imported when something of it is used."""

    def __getattr__(self, name: str) -> object:
        for module in [key for key, value in sys.modules.items() if isinstance(value, Postponed)]:
            del sys.modules[module]
        return getattr(importlib.import_module(self.__name__), name)


def postpone_plotting() -> None:
    """Keep MediaPipe from importing matplotlib, which nothing here uses: half of the time in which a process starts."""
    if "matplotlib" not in sys.modules:
        sys.modules["matplotlib"] = package = Postponed("matplotlib")
        sys.modules["matplotlib.pyplot"] = package.pyplot = Postponed("matplotlib.pyplot")


@cache
def shared_landmarker() -> "FaceLandmarker":
    """This process's landmarker: made for its first clip, used for all. A missing model is no fault of the clip."""
    from stgt.faces.landmarker import FaceLandmarker

    return FaceLandmarker()


def close_landmarker() -> None:
    """Close this process's landmarker, if it has one."""
    if shared_landmarker.cache_info().currsize:
        shared_landmarker().close()
        shared_landmarker.cache_clear()


def check_present(source: Path) -> None:
    """Raise SourceError for the ways in which a copied file is no video that a decoder would not tell apart."""
    if not source.is_file():
        return
    with source.open("rb") as file:
        start = file.read(len(LFS_POINTER))
    if not start:
        raise SourceError(f"{source} is empty (0 bytes); copy it again")
    if start == LFS_POINTER:
        raise SourceError(f"{source} is a git-lfs pointer, not the video; run git lfs pull in the dataset's folder")


def content_key(clip: Clip, version: str) -> str:
    """A name for the result of extracting ``clip``: equal for equal content, range, rate and extractor ``version``."""
    digest = hashlib.blake2b(digest_size=20)
    settings = {key: asdict(clip)[key] for key in ("start_s", "end_s", "frame_rate")}
    digest.update(json.dumps([version, settings], sort_keys=True).encode())
    try:
        files = image_files(clip.source) if clip.source.is_dir() else [clip.source]
        for file in files:
            name = file.name if clip.source.is_dir() else ""
            digest.update(f"\0{name}\0{file.stat().st_size}\0".encode())
            hash_file(file, digest)
    except OSError:
        # Missing, or not ours to read: extraction will say so, under a name that no content has.
        digest.update(f"\0unreadable\0{clip.source}".encode())
    return digest.hexdigest()


def hash_file(path: Path, digest: "hashlib._Hash") -> None:
    """Feed a file to ``digest``: whole, or the start, middle and end of a long one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_HASH_BYTES:
            digest.update(file.read())
            return
        piece = WHOLE_HASH_BYTES // 3
        for start in (0, (size - piece) // 2, size - piece):
            file.seek(start)
            digest.update(file.read(piece))


class CollectedWarnings(logging.Handler):
    """Collects the warnings of the ``stgt`` logger while a clip is read, so that they do not break the progress bar."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    @property
    def texts(self) -> tuple[str, ...]:
        """The warnings so far."""
        return tuple(self.lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one warning."""
        self.lines.append(record.getMessage())

    def __enter__(self) -> "CollectedWarnings":
        logger = logging.getLogger("stgt")
        self.propagated, logger.propagate = logger.propagate, False
        logger.addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        logger = logging.getLogger("stgt")
        logger.removeHandler(self)
        logger.propagate = self.propagated
