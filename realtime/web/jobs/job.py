"""Job: an uploaded file, what is being done with it, and what came of it."""

import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from .progress import Progress

if TYPE_CHECKING:
    from stgt.inference import Prediction

    from ..decoding import ChildSource
    from ..uploads import Upload

Kind = Literal["video", "photo"]
Status = Literal["waiting", "running", "done", "failed", "cancelled"]
Stage = Literal["reading", "drawing"]


class Cancelled(Exception):  # noqa: N818 - nothing is wrong
    """The job was cancelled; whoever works at it leaves it."""


class ProgressState(BaseModel):
    """How far a job is.

    ``remaining_s`` is an estimate from the pace of the last seconds.
    """

    done: int = Field(ge=0, description="Frames that were read or drawn.")
    expected: int | None = Field(ge=0, description="Frames in all, as far as the file says it.")
    share: float | None = Field(ge=0, le=1, description="Of the time that it all takes.")
    remaining_s: float | None = Field(ge=0)


class JobState(BaseModel):
    """A file that is read."""

    id: str
    name: str = Field(description="What the sender calls the file.")
    kind: Kind | None = Field(description="null until the file was looked at")
    status: Status
    ahead: int = Field(ge=0, description="Jobs that come before it.")
    stage: Stage | None
    progress: ProgressState
    error: str | None = Field(description="Why it, or its last stage, failed.")
    has_video: bool = Field(description="Whether annotated.mp4 is there.")
    notes: list[str] = Field(description="What was left out, or is odd.")


@dataclass(eq=False)
class Job:
    """One uploaded file on its way.

    Attributes:
        upload: the file; closed as soon as nothing will be read from it again.
        folder: where its results are.
        faces: people to look for; None: one in a video, several in a photo.
        neutral_s: when the person is known to show a neutral face.
        has_result: whether it was read to the end.
        readings: of a video, what was said of each person; their tracks are in the folder.
        finished_s: when it was done, on the monotonic clock.
        kept_bytes: on the disk.
    """

    upload: "Upload"
    folder: Path
    faces: int | None = None
    neutral_s: tuple[float, float] | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    kind: Kind | None = None
    status: Status = "waiting"
    stage: Stage | None = None
    progress: Progress = field(default_factory=Progress)
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    has_result: bool = False
    has_video: bool = False
    readings: list[list["Prediction"]] = field(default_factory=list)
    finished_s: float = 0.0
    kept_bytes: int = 0
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _source: "ChildSource | None" = None

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants it any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Let go of it: what decodes is ended at once, and who works at it stops at the next frame."""
        self._cancelled.set()
        source = self._source
        if source is not None:
            source.stop()

    def check(self) -> None:
        """Raise `Cancelled` if it was."""
        if self._cancelled.is_set():
            raise Cancelled

    def reads_from(self, source: "ChildSource | None") -> None:
        """What has to be ended when the job is cancelled."""
        self._source = source
        self.check()

    def wait_for(self, stage: Stage) -> None:
        """It is in line once more."""
        self.status, self.stage, self.error = "waiting", stage, None
        self.progress = Progress()

    def begin(self, stage: Stage) -> None:
        """Work at it begins."""
        self.status, self.stage, self.error = "running", stage, None
        self.progress = Progress()

    def end(self, status: Status, error: str | None = None) -> None:
        """Work at it has ended."""
        self.finished_s = time.monotonic()
        self.error, self.stage, self.status = error, None, status

    def measure(self) -> None:
        """See how much of the disk it takes."""
        sizes = [path.stat().st_size for path in self.folder.iterdir()]
        self.kept_bytes = sum(sizes) + (0 if self.upload.file.closed else self.upload.size)

    def count(self, done: int, expected: int | None) -> None:
        """So many frames are done, of so many. Raises `Cancelled`."""
        self.check()
        self.progress.count(done, expected)

    def state(self, ahead: int) -> JobState:
        """What clients are told, with so many jobs before it."""
        progress = self.progress
        share, remaining_s = {"done": (1.0, 0.0), "running": (progress.share, progress.remaining_s)}.get(
            self.status, (None, None)
        )
        figures = ProgressState(done=progress.done, expected=progress.expected, share=share, remaining_s=remaining_s)
        return JobState(
            id=self.id,
            name=self.upload.name,
            kind=self.kind,
            status=self.status,
            ahead=ahead,
            stage=self.stage,
            progress=figures,
            error=self.error,
            has_video=self.has_video,
            notes=list(self.notes),
        )
