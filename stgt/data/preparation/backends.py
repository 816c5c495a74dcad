"""Who runs the jobs of a preparation: processes of this machine, or the workers of a Ray or Dask cluster.

All go through joblib. Whoever runs a job writes the clip into the store itself; only its outcome travels back.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stgt.data.preparation.extraction import Job, Outcome, begin_worker, extract_clip, finish_worker
from stgt.errors import MissingExtraError, StgtError
from stgt.processes import interrupts_ignored

BACKENDS = ("local", "ray", "dask")

#: Where a backend cannot hand over results one by one, so many jobs per worker are given out together.
JOBS_PER_ROUND = 16

#: How long a cluster may take to answer.
CONNECTING_S = 30


@dataclass(frozen=True)
class Pool:
    """Workers.

    Attributes:
        run: the outcomes of jobs as they come, handed out in order.
        deaths: exceptions of ``run`` that say that a worker died of its job.
        workers: how many there are.
    """

    run: Callable[[Sequence[Job]], Iterator[Outcome]]
    deaths: tuple[type[BaseException], ...]
    workers: int


@contextlib.contextmanager
def open_pool(backend: str, workers: int | None) -> Iterator[Pool]:
    """The workers of a backend, ended with the block.

    Args:
        backend: one of ``BACKENDS``. ``ray`` and ``dask`` join the cluster that ``$RAY_ADDRESS`` or
            ``$DASK_SCHEDULER_ADDRESS`` names; without it they start workers on this machine.
        workers: how many; none: one per core, or all that a cluster has.

    Raises:
        MissingExtraError: the backend's packages are not installed.
        StgtError: the cluster does not answer.
    """
    openers = {"local": local_pool, "ray": ray_pool, "dask": dask_pool}
    with openers[backend](workers) as pool:
        yield pool


@contextlib.contextmanager
def local_pool(workers: int | None) -> Iterator[Pool]:
    """Processes of this machine; one is this very process."""
    workers = workers or cores()
    if workers == 1:
        try:
            yield Pool(lambda jobs: map(extract_clip, jobs), (), 1)
        finally:
            finish_worker()
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
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

    try:
        yield Pool(run, (TerminatedWorkerError,), workers)
    finally:
        # At once: they would stay for minutes, each with MediaPipe in memory.
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def dask_pool(workers: int | None) -> Iterator[Pool]:
    """The workers of a Dask cluster."""
    try:
        import dask
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError:
        raise MissingExtraError("the backend dask", "dask") from None
    from joblib import Parallel, delayed

    from stgt.data.preparation.answering import AnsweringDask

    with contextlib.ExitStack() as stack:
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        if not address:
            # A clip that kills its worker is tried again by itself, and not by the scheduler.
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
            with interrupts_ignored():
                address = LocalCluster(
                    n_workers=workers or cores(),
                    threads_per_worker=1,
                    dashboard_address=None,
                    memory_limit=None,
                    silence_logs="CRITICAL",
                )
            stack.enter_context(address)
        try:
            client = stack.enter_context(Client(address, timeout=CONNECTING_S))
        except OSError as error:
            raise StgtError(f"no Dask scheduler answers at {address} ({error}); see $DASK_SCHEDULER_ADDRESS") from None

        def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
            backend = AnsweringDask(client=client)
            pool = Parallel(n_jobs=-1, backend=backend, batch_size=1, return_as="generator_unordered")
            return pool(delayed(extract_clip)(job) for job in jobs)

        yield Pool(run, (KilledWorker,), max(1, sum(client.ncores().values())))


@contextlib.contextmanager
def ray_pool(workers: int | None) -> Iterator[Pool]:
    """The workers of a Ray cluster."""
    # Ray reports its use to its makers unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise MissingExtraError("the backend ray", "ray") from None
    from joblib import Parallel, delayed, parallel_config

    settings = {"log_to_driver": False, "logging_level": "ERROR"}
    if not os.environ.get("RAY_ADDRESS"):
        settings |= {"num_cpus": workers or cores(), "include_dashboard": False}
    try:
        ray.init(**settings)
    except (ConnectionError, OSError, RuntimeError) as error:
        raise StgtError(f"no Ray cluster answers ({error}); see $RAY_ADDRESS") from None
    register_ray()
    count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
        size = JOBS_PER_ROUND * count
        for start in range(0, len(jobs), size):
            with parallel_config(backend="ray"):
                yield from Parallel(n_jobs=max(2, count), batch_size=1)(
                    delayed(extract_clip)(job) for job in jobs[start : start + size]
                )

    try:
        yield Pool(run, (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError), count)
    finally:
        ray.shutdown()


def cores() -> int:
    """Cores that this process may use."""
    import joblib

    return joblib.cpu_count()
