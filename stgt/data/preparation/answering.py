"""joblib's backend for Dask, with an answer for the death of a worker. Imported only where Dask is installed."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib._dask import DaskDistributedBackend


class AnsweringDask(DaskDistributedBackend):
    """The backend that joblib registers as ``dask``, but a job whose worker died raises.

    joblib 1.6 leaves such a job unanswered, and whoever waits for it waits for ever.
    """

    def effective_n_jobs(self, n_jobs: int) -> int:
        """How many jobs run at once; never said to be one, because joblib would run those in this very process."""
        return max(2, super().effective_n_jobs(n_jobs))

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future:
        """Hand out a job."""

        def answer(done: Future) -> None:
            if not done.cancelled() and done.exception() is not None and callback is not None:
                callback(done.exception())

        future = super().submit(func, callback)
        future.add_done_callback(answer)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """The result of a job, or what it raised."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)
