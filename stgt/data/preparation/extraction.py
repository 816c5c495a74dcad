"""One clip into the cache: what a preparation process does. Imports little, because every such process pays for it."""

import importlib
import logging
import os
import signal
import sys
import threading
import time
import types
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.index import Entry
from stgt.data.preparation.store import close_shared_stores, shared_store
from stgt.errors import SourceError, StgtError

if TYPE_CHECKING:
    from stgt.faces.crops import CropSequence
    from stgt.faces.landmarker import FaceLandmarker
    from stgt.faces.tracks import LandmarkTrack

#: What a file that git-lfs has not fetched begins with.
LFS_POINTER = b"version https://git-lfs"


one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Job:
    """A clip to extract, and where it goes."""

    clip: Clip
    key: str
    """Of its content."""
    store: Path
    weight: float
    """How long it will take, on any scale."""
    durable: bool = False
    """Whether other machines shall see it at once."""
    forced: bool = False
    """Whether to make it even if another process seems to be at it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    key: str
    weight: float
    entry: Entry | None = None
    """Where it lies; none: it failed, or another process is at it."""
    failure: str | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def elsewhere(self) -> bool:
        """Whether another process is making the clip."""
        return self.entry is None and self.failure is None


def extract_clip(job: Job) -> Outcome:
    """Extract ``job.clip`` into the store, unless another process has just done so or is about to.

    A clip that cannot be read is told in the outcome. A full disk, a forbidden folder and an interrupt are raised.
    """
    with one_at_a_time:  # a worker of a cluster may have several threads, but the landmarker is made for one
        return extract_alone(job)


def extract_alone(job: Job) -> Outcome:
    """``extract_clip`` in a thread that has the process to itself."""
    store = shared_store(job.store, job.durable)
    claimed = store.claim(job.key)
    entry = store.get(job.key)
    if entry or not (claimed or job.forced):
        return Outcome(job.key, job.weight, entry)
    with CollectedWarnings() as warnings:
        try:
            track, crops = read_clip(job.clip)
        except MemoryError:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, StgtError) else f"{type(error).__name__}: {error}"
            reason = reason if isinstance(error, StgtError) else f"{job.clip.source}: {reason}"
            store.release(job.key)
            return Outcome(job.key, job.weight, failure=reason, warnings=warnings.texts)
    entry = store.add(job.key, track, (crops.data, crops.offsets) if crops else None)
    return Outcome(job.key, job.weight, entry, warnings=warnings.texts)


def read_clip(clip: Clip) -> "tuple[LandmarkTrack, CropSequence | None]":
    """The track and crops of a clip, from its source; a clip that is a track of another program has no crops.

    Raises:
        StgtError: the source cannot be read.
    """
    check_present(clip.source)
    if clip.kind == "tracks":
        from stgt.data.interchange import read_tracks

        return read_tracks(clip.source, clip.frame_rate).slice(clip.start_s, clip.end_s), None
    # Imported here, in the worker: the process that hands out the jobs needs neither OpenCV nor MediaPipe.
    if clip.kind == "image":
        from stgt.faces.stills import extract_still

        return extract_still(clip.source, shared_landmarker(), clip.aligned)
    from stgt.faces.extract import extract

    return extract(
        clip.source,
        landmarker=shared_landmarker(),
        frame_rate=clip.frame_rate,
        start_s=clip.start_s,
        end_s=clip.end_s,
    )


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


def finish_worker() -> None:
    """Close what this process has opened for its clips: the landmarker, and its files in the store."""
    if shared_landmarker.cache_info().currsize:
        shared_landmarker().close()
        shared_landmarker.cache_clear()
    close_shared_stores()


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
