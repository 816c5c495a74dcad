"""Preparation: clips -> landmark tracks and face crops in a store, once, in parallel, resumable."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import image_files
from stgt.data.preparation.backends import BACKENDS, Pool, open_pool
from stgt.data.preparation.content import content_keys
from stgt.data.preparation.extraction import Job, Outcome
from stgt.data.preparation.prepared import Prepared
from stgt.data.preparation.store import Store
from stgt.errors import DatasetError, StgtError

__all__ = ["Prepared", "cache_folder", "prepare_clips", "store_folder"]

#: The store within the cache; the number changes with its format.
STORE = "prepared-1"

#: Assumed size of a second of video, to compare clips that are ranges of a file with clips that are whole files.
BYTES_PER_SECOND = 100_000

#: How often to look whether another process has finished a clip that it is making.
LOOK_AGAIN_S = 1.0

#: How long a file server may take to show what a worker on another machine has written.
SHARED_DRIVE_S = 60.0


def cache_folder(cache: Path | str | None = None) -> Path:
    """Where prepared clips lie: ``cache``, else ``$STGT_CACHE``, else the user's cache folder."""
    chosen = cache or os.environ.get("STGT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("stgt"))


def store_folder(cache: Path | str | None = None) -> Path:
    """Where the store lies in the cache that ``cache_folder`` gives."""
    return cache_folder(cache) / STORE


def prepare_clips(
    clips: Sequence[Clip],
    cache: Path | str | None = None,
    workers: int | None = None,
    progress: bool = True,
    backend: str = "local",
) -> Prepared:
    """Extract the track and crops of every clip that is not in the cache yet.

    A clip that cannot be read is skipped and named in ``failures``; every other one is finished. Interrupted at any
    moment, the same call goes on where it was. Several calls at once, on one machine or on several that share the
    cache, divide the work.

    Args:
        clips: with different clip ids.
        cache: folder; see ``cache_folder``. It may be read-only if all clips are in it.
        workers: processes; none: one per core, or all that a cluster has.
        progress: whether to show a progress bar on stderr.
        backend: who extracts; see ``open_pool``. The workers of a cluster need clips and cache under the same paths.

    Raises:
        DatasetError: no clip at all could be read.
        OSError: the disk is full.
        StgtError: the cache cannot be written; there is no such backend, or its packages are missing.
    """
    if workers is not None and workers < 1:
        raise StgtError(f"workers is {workers}; at least one process is needed")
    if backend not in BACKENDS:
        raise StgtError(f"there is no backend {backend!r}; the backends are {', '.join(BACKENDS)}")
    store = Store(store_folder(cache))
    keys = find_keys(clips, store, progress)
    jobs = pending_jobs(clips, keys, store, durable=backend != "local")
    failures: dict[str, str] = {}
    warnings: dict[str, tuple[str, ...]] = {}
    if jobs:
        require_writable(store.folder, len(jobs), len(clips))
        with open_pool(backend, workers if len(jobs) > 1 else 1) as pool:
            for outcome in with_progress(run_all(jobs, pool, store), jobs, progress):
                if outcome.failure:
                    failures[outcome.key] = outcome.failure
                if outcome.warnings:
                    warnings[outcome.key] = outcome.warnings
        wait_for_drive(store, [job for job in jobs if job.key not in failures], failures)
    store.close()
    prepared = Prepared(
        store,
        keys,
        {clip_id: failures[key] for clip_id, key in keys.items() if key in failures},
        {clip_id: warnings[key] for clip_id, key in keys.items() if key in warnings},
    )
    if clips and not prepared:
        clip_id, reason = next(iter(prepared.failures.items()))
        raise DatasetError(f"none of the {len(clips)} clips can be read; the first is {clip_id}: {reason}")
    return prepared


def find_keys(clips: Sequence[Clip], store: Store, progress: bool) -> dict[str, str]:
    """Clip id -> key; clips of equal content share one. Files that the store does not know yet are read for it."""
    from tqdm import tqdm

    from stgt.faces.extract import EXTRACTOR_VERSION

    found = content_keys(clips, store, EXTRACTOR_VERSION)
    bar = tqdm(found, "looking at files", len(clips), disable=not progress, delay=2, ncols=bar_width(), leave=False)
    return {clip.clip_id: key for clip, key in zip(clips, bar, strict=True)}


def require_writable(folder: Path, missing: int, clips: int) -> None:
    """Make the store's folder, or say in a sentence why nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StgtError(f"the cache {folder} cannot be made ({error.strerror}); name another with --cache") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StgtError(
            f"{missing:,} of the {clips:,} clips are not in the cache {folder}, and it is read-only; prepare them "
            f"where it can be written, or name another with --cache"
        )


def pending_jobs(clips: Sequence[Clip], keys: dict[str, str], store: Store, durable: bool) -> list[Job]:
    """What is not in the store, each content once, the longest first so that no process is left with a long one."""
    jobs: dict[str, Job] = {}
    for clip in clips:
        key = keys[clip.clip_id]
        if key not in jobs and key not in store:
            jobs[key] = Job(clip, key, store.folder, expected_weight(clip), durable)
    return sorted(jobs.values(), key=lambda job: -job.weight)


def expected_weight(clip: Clip) -> float:
    """About how long a clip takes to extract, on the scale of bytes of video."""
    if clip.source.is_dir():
        return len(image_files(clip.source)) / (clip.frame_rate or 25) * BYTES_PER_SECOND
    size = clip.source.stat().st_size if clip.source.is_file() else 0
    if clip.end_s is None:
        return size
    return min(size, (clip.end_s - (clip.start_s or 0)) * BYTES_PER_SECOND)


def run_all(jobs: Sequence[Job], pool: Pool, store: Store) -> Iterator[Outcome]:
    """Run the jobs; those that another process is at are waited for, or taken over if that process ends."""
    waiting = {job.key: job for job in jobs}
    pending = list(jobs)
    while pending:
        for outcome in run_jobs(pending, pool):
            if not outcome.elsewhere:
                waiting.pop(outcome.key)
                yield outcome
        pending = []
        while waiting and not pending:
            store.refresh()
            for key, job in list(waiting.items()):
                if key in store:
                    waiting.pop(key)
                    yield Outcome(key, job.weight, store[key])
                elif not store.claimed(key):
                    pending.append(job)
            if waiting and not pending:
                time.sleep(LOOK_AGAIN_S)


def run_jobs(jobs: Sequence[Job], pool: Pool) -> Iterator[Outcome]:
    """Run the jobs in order, yielding outcomes as they come.

    A file that brings down a whole process (decoders are written in C) costs only itself: the jobs that were under way
    are run again one by one, each in a process of its own, and the one that fails again is the failure.
    """
    waiting = list(jobs)
    while waiting:
        finished: set[str] = set()
        try:
            for outcome in pool.run(waiting):
                finished.add(outcome.key)
                yield outcome
        except pool.deaths:
            waiting = [job for job in waiting if job.key not in finished]
            suspects, waiting = waiting[: pool.workers], waiting[pool.workers :]
            for job in suspects:
                yield alone(job, pool)
        else:
            return


def alone(job: Job, pool: Pool) -> Outcome:
    """Run a job in a process of its own; that the process dies is its failure."""
    try:
        # Whoever died of it had claimed it.
        return next(iter(pool.run([replace(job, forced=True)])))
    except pool.deaths:
        reason = f"{job.clip.source} brings the video decoder down; it is damaged, or there is too little memory"
        return Outcome(job.key, job.weight, failure=reason)


def wait_for_drive(store: Store, jobs: Sequence[Job], failures: dict[str, str]) -> None:
    """Wait until the store shows what was written; what it does not show at last has failed."""
    limit = time.monotonic() + (SHARED_DRIVE_S if jobs and jobs[0].durable else 0)
    store.refresh()
    while (missing := [job for job in jobs if job.key not in store]) and time.monotonic() < limit:
        time.sleep(LOOK_AGAIN_S)
        store.refresh()
    for job in missing:
        failures[job.key] = (
            f"{job.clip.source} was prepared, but not into the cache {store.folder} of this machine; it has to be a "
            f"folder that all workers share"
        )


def with_progress(outcomes: Iterator[Outcome], jobs: Sequence[Job], progress: bool) -> Iterator[Outcome]:
    """Pass the outcomes on under a progress bar whose estimate goes by the length of the clips."""
    if not jobs:
        return
    from tqdm import tqdm

    with tqdm(
        total=sum(max(job.weight, 1) for job in jobs),
        bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} + {remaining}",
        disable=not progress,
        ncols=bar_width(),
        mininterval=0.2,
    ) as bar:
        frames = failed = 0
        bar.set_description_str(f"preparing 0/{len(jobs)} clips")
        for done, outcome in enumerate(outcomes, start=1):
            frames += outcome.entry.frames if outcome.entry else 0
            failed += outcome.failure is not None
            broken = f", {failed} broken" if failed else ""
            rate = frames / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_description_str(f"preparing {done}/{len(jobs)} clips{broken}, {rate:.0f} frames/s", refresh=False)
            bar.update(max(outcome.weight, 1))
            yield outcome


def bar_width() -> int:
    """Columns of a progress bar: fixed, because a bar that wraps leaves a line behind on every step."""
    return min(shutil.get_terminal_size().columns - 1, 100)
