"""Preparation: clips -> landmark tracks and face crops in a cache, once, in parallel, resumable.

The cache is keyed by content: an entry's folder is named after a hash of the clip's bytes, its range and frame rate,
and the version of the extractor. A moved or renamed dataset is not prepared again; a changed file or extractor is.
"""

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import image_files
from stgt.data.preparation.extraction import (
    CacheEntry,
    Job,
    Outcome,
    begin_worker,
    close_landmarker,
    content_key,
    extract_clip,
)
from stgt.data.preparation.prepared import Prepared
from stgt.errors import DatasetError, StgtError

__all__ = ["Prepared", "cache_folder", "prepare_clips"]


#: Assumed size of a second of video, to compare clips that are ranges of a file with clips that are whole files.
BYTES_PER_SECOND = 100_000


def cache_folder(cache: Path | str | None = None) -> Path:
    """Where prepared clips lie: ``cache``, else ``$STGT_CACHE``, else the user's cache folder."""
    chosen = cache or os.environ.get("STGT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("stgt"))


def prepare_clips(
    clips: Sequence[Clip],
    cache: Path | str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Prepared:
    """Extract the track and crops of every clip that is not in the cache yet.

    A clip that cannot be read is skipped and named in ``failures``; every other one is finished. Interrupted at any
    moment, the same call goes on where it was.

    Args:
        clips: with different clip ids.
        cache: folder; see ``cache_folder``.
        workers: processes; none: one per core.
        progress: whether to show a progress bar on stderr.

    Raises:
        DatasetError: no clip at all could be read.
        OSError: the disk is full, or the cache cannot be written.
    """
    if workers is not None and workers < 1:
        raise StgtError(f"workers is {workers}; at least one process is needed")
    folder = cache_folder(cache) / "clips"
    entries = cache_entries(clips, folder)
    jobs = pending_jobs(clips, entries)
    failures: dict[Path, str] = {}
    warnings: dict[Path, tuple[str, ...]] = {}
    if jobs:
        make_folder(folder)
    for outcome in with_progress(run_jobs(jobs, workers or cores()), jobs, progress):
        if outcome.failure:
            failures[outcome.folder] = outcome.failure
        if outcome.warnings:
            warnings[outcome.folder] = outcome.warnings
    prepared = Prepared(
        {clip_id: entry for clip_id, entry in entries.items() if entry.folder not in failures},
        {clip_id: failures[entry.folder] for clip_id, entry in entries.items() if entry.folder in failures},
        {clip_id: warnings[entry.folder] for clip_id, entry in entries.items() if entry.folder in warnings},
    )
    if clips and not prepared:
        clip_id, reason = next(iter(prepared.failures.items()))
        raise DatasetError(f"none of the {len(clips)} clips can be read; the first is {clip_id}: {reason}")
    return prepared


def make_folder(folder: Path) -> None:
    """Make the cache's folder, or say in a sentence why it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StgtError(f"the cache {folder} cannot be made ({error.strerror}); name another with --cache") from None


def cache_entries(clips: Sequence[Clip], folder: Path) -> dict[str, CacheEntry]:
    """Clip id -> its place in the cache below ``folder``; clips of equal content share one."""
    from stgt.faces.extract import EXTRACTOR_VERSION

    # Hashing releases the interpreter's lock, and on a cold disk most of the time is waiting.
    with ThreadPoolExecutor(max_workers=4) as pool:
        keys = list(pool.map(lambda clip: content_key(clip, EXTRACTOR_VERSION), clips))
    return {clip.clip_id: CacheEntry(folder / key[:2] / key[2:]) for clip, key in zip(clips, keys, strict=True)}


def pending_jobs(clips: Sequence[Clip], entries: Mapping[str, CacheEntry]) -> list[Job]:
    """What is not in the cache, each content once, the longest first so that no process is left with a long one."""
    jobs: dict[Path, Job] = {}
    for clip in clips:
        entry = entries[clip.clip_id]
        if entry.folder not in jobs and entry.read_record() is None:
            jobs[entry.folder] = Job(clip, entry, expected_weight(clip))
    return sorted(jobs.values(), key=lambda job: -job.weight)


def expected_weight(clip: Clip) -> float:
    """About how long a clip takes to extract, on the scale of bytes of video."""
    if clip.source.is_dir():
        return len(image_files(clip.source)) / (clip.frame_rate or 25) * BYTES_PER_SECOND
    size = clip.source.stat().st_size if clip.source.is_file() else 0
    if clip.end_s is None:
        return size
    return min(size, (clip.end_s - (clip.start_s or 0)) * BYTES_PER_SECOND)


def run_jobs(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Run the jobs in order, yielding outcomes as they come.

    A file that brings down a whole process (decoders are written in C) costs only itself: the jobs that were under way
    are run again one by one, each in a process of its own, and the one that fails again is the failure.
    """
    if min(workers, len(jobs)) <= 1:
        try:
            yield from map(extract_clip, jobs)
        finally:
            close_landmarker()
        return
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    waiting = list(jobs)
    try:
        while waiting:
            finished: set[Path] = set()
            try:
                for outcome in parallel(waiting, workers):
                    finished.add(outcome.folder)
                    yield outcome
            except TerminatedWorkerError:
                waiting = [job for job in waiting if job.entry.folder not in finished]
                suspects, waiting = waiting[:workers], waiting[workers:]
                for job in suspects:
                    yield alone(job)
            else:
                return
    finally:
        end_workers()


def parallel(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Outcomes of jobs that run in ``workers`` processes, handed out in order, as they come."""
    from joblib import Parallel, delayed

    # One process per core, so each computes with one thread.
    pool = Parallel(
        n_jobs=workers,
        batch_size=1,
        return_as="generator_unordered",
        backend="loky",
        inner_max_num_threads=1,
        initializer=begin_worker,
    )
    with interrupts_ignored():
        return pool(delayed(extract_clip)(job) for job in jobs)


def alone(job: Job) -> Outcome:
    """Run a job in a process of its own; that the process dies is its failure."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        return next(parallel([job], 2))
    except TerminatedWorkerError:
        reason = f"{job.clip.source} brings the video decoder down; it is damaged, or there is too little memory"
        return Outcome(job.entry.folder, job.weight, failure=reason)


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes that are started in the block ignore Ctrl-C from birth, and so print no traceback of their imports."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_workers() -> None:
    """End joblib's processes at once: they would stay for minutes, each with MediaPipe in memory."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def with_progress(outcomes: Iterator[Outcome], jobs: Sequence[Job], progress: bool) -> Iterator[Outcome]:
    """Pass the outcomes on under a progress bar whose estimate goes by the length of the clips."""
    if not jobs:
        return
    from tqdm import tqdm

    # The width is fixed, because a bar that wraps leaves a line behind on every step.
    columns = min(shutil.get_terminal_size().columns - 1, 100)
    with tqdm(
        total=sum(max(job.weight, 1) for job in jobs),
        bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} + {remaining}",
        disable=not progress,
        ncols=columns,
        mininterval=0.2,
    ) as bar:
        frames = failed = 0
        bar.set_description_str(f"preparing 0/{len(jobs)} clips")
        for done, outcome in enumerate(outcomes, start=1):
            frames += outcome.frames
            failed += outcome.failure is not None
            broken = f", {failed} broken" if failed else ""
            rate = frames / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_description_str(f"preparing {done}/{len(jobs)} clips{broken}, {rate:.0f} frames/s", refresh=False)
            bar.update(max(outcome.weight, 1))
            yield outcome


def cores() -> int:
    """Cores that this process may use."""
    import joblib

    return joblib.cpu_count()
