"""Jobs: the line of uploaded files, those who work at it, and what is kept afterwards."""

import errno
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from stgt.errors import StgtError
from stgt.faces.landmarker import FaceLandmarker

from ..landmarkers import Landmarkers
from ..limits import Limits
from .job import Cancelled, Job, JobState

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

    from ..scratch import Scratch
    from ..uploads import Upload

logger = logging.getLogger("stgt")

_TIDY_EVERY_S = 5.0
_JOIN_S = 10.0
_LANDMARKERS = 2  # that stay open; each has networks in memory
_NICE = 5  # who is read live must not wait for those who are read in the background
_DEFECT = "reading it failed because of a defect in this program; the server's log says more"
_DISK_FULL = "the server's disk is full; make room there"
_NO_MEMORY = "the server has not enough memory for it"


class QueueFull(Exception):  # noqa: N818 - nothing is wrong
    """So many jobs wait that no more are taken."""


class NotReady(Exception):  # noqa: N818
    """What was asked for needs a job in another state; the sentence says which."""


class Jobs:
    """Uploaded files in line.

    Args:
        reader: the model, which others may use at the same time.
        limits: of the line, and of what is kept.
        scratch: where results are kept.
        workers: jobs that are worked at at once.
    """

    def __init__(self, reader: "ExpressionReader", limits: Limits, scratch: "Scratch", workers: int = 1) -> None:
        self.reader = reader
        self.limits = limits
        self._scratch = scratch
        self._jobs: dict[str, Job] = {}
        self._line: deque[Job] = deque()
        self._running: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._landmarkers = Landmarkers(lambda faces: FaceLandmarker(faces=faces), _LANDMARKERS)
        self._threads = [threading.Thread(target=self._work, name="stgt-jobs", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def is_full(self) -> bool:
        """Whether another job would be turned away."""
        return len(self._line) >= self.limits.waiting_jobs

    def submit(
        self, upload: "Upload", faces: int | None = None, neutral_s: tuple[float, float] | None = None
    ) -> JobState:
        """Put a file in line. From now on it belongs to its job, which closes it.

        Args:
            upload: a photo or a video.
            faces: people to look for; none: one in a video, several in a photo.
            neutral_s: (start, end) in seconds, when the person in a video is known to show a neutral face.

        Raises:
            QueueFull: too many are in line; the upload is still the caller's.
        """
        with self._changed:
            if self._closed or self.is_full:
                raise QueueFull
            job = Job(upload, self._scratch.new_folder(), faces, neutral_s)
            self._jobs[job.id] = job
            self._line.append(job)
            self._changed.notify()
            state = job.state(self._ahead(job))
        self._tidy()
        return state

    def get(self, job_id: str) -> Job:
        """A job. Raises KeyError: there is none, or it was forgotten."""
        self._tidy()
        with self._changed:
            return self._jobs[job_id]

    def state(self, job: Job) -> JobState:
        """What clients are told of a job."""
        with self._changed:
            return job.state(self._ahead(job))

    def cancel(self, job_id: str) -> None:
        """End a job, and forget everything of it. Raises KeyError: there is none."""
        with self._changed:
            job = self._jobs.pop(job_id)
            job.cancel()
            if job in self._line:
                self._line.remove(job)
            running = job in self._running
        if not running:  # else by the one who works at it
            self._forget(job)

    def draw(self, job_id: str) -> JobState:
        """Put a job in line once more, for its annotated video; if it is there or in line already, nothing is done.

        Raises:
            KeyError: there is no such job.
            NotReady: it is no video, or was not read so far.
            QueueFull: too many are in line.
        """
        with self._changed:
            job = self._jobs[job_id]
            if not job.has_result:
                raise NotReady("the video was not read so far" if job.status != "failed" else str(job.error))
            if job.kind == "photo":
                raise NotReady("a photo has no annotated video")
            if not job.readings:
                raise NotReady("nobody was found in the video, so there is nothing to draw")
            if not job.has_video and job.status == "done":
                if self.is_full:
                    raise QueueFull
                job.wait_for("drawing")
                self._line.append(job)
                self._changed.notify()
            return job.state(self._ahead(job))

    def close(self) -> None:
        """End everything, and forget it."""
        with self._changed:
            self._closed = True
            jobs = list(self._jobs.values())
            self._jobs.clear()
            self._line.clear()
            for job in jobs:
                job.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_JOIN_S)
        self._landmarkers.close()
        for job in jobs:
            self._forget(job)

    def _ahead(self, job: Job) -> int:
        if job.status != "waiting":
            return 0
        return len(self._running) + (self._line.index(job) if job in self._line else 0)

    def _work(self) -> None:
        """What a worker does all day."""
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # Linux: of this thread and its children
        while (job := self._next()) is not None:
            try:
                self._work_at(job)
            finally:
                with self._changed:
                    self._running.remove(job)
                if job.is_cancelled:
                    self._forget(job)

    def _next(self) -> Job | None:
        """The next job, as soon as there is one; None: there will be none."""
        while True:
            with self._changed:
                if not self._line and not self._closed:
                    self._changed.wait(_TIDY_EVERY_S)
                if self._closed:
                    return None
                if self._line:
                    job = self._line.popleft()
                    self._running.append(job)
                    job.begin(job.stage or "reading")
                    return job
            self._tidy()

    def _work_at(self, job: Job) -> None:
        from .stages import draw, read

        error = None
        try:
            if job.stage == "drawing":
                draw(job, self.reader, self.limits)
            else:
                read(job, self.reader, self.limits, self._landmarkers)
        except Cancelled:
            job.end("cancelled")
            return
        except Exception as problem:
            if job.is_cancelled:  # what was cut off under somebody's hands complains
                job.end("cancelled")
                return
            error = _sentence(problem)
        if not job.has_result or job.kind == "photo":
            job.upload.close()
        job.measure()
        # What was read stays when only its video could not be drawn.
        job.end("done" if job.has_result else "failed", error)

    def _tidy(self) -> None:
        """Forget those that were finished long ago, and the oldest where there are too many."""
        limits, now_s = self.limits, time.monotonic()
        with self._changed:
            finished = [job for job in self._jobs.values() if job.status in ("done", "failed")]
            finished.sort(key=lambda job: job.finished_s)
            kept_bytes = sum(job.kept_bytes for job in finished)
            gone = []
            for index, job in enumerate(finished):
                too_many = len(finished) - index > limits.kept_jobs
                # The newest is kept however large it is: somebody waits for it.
                too_large = kept_bytes > limits.kept_bytes and index < len(finished) - 1
                if too_many or too_large or now_s - job.finished_s > limits.kept_s:
                    gone.append(self._jobs.pop(job.id))
                    kept_bytes -= job.kept_bytes
        for job in gone:
            self._forget(job)

    def _forget(self, job: Job) -> None:
        job.upload.close()
        self._scratch.remove(job.folder)


def _sentence(error: Exception) -> str:
    """What clients are told when a job fails."""
    if isinstance(error, StgtError):
        return str(error)
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _DISK_FULL
    logger.error("a job failed", exc_info=error)
    return _DEFECT
