"""What a running server has: one model, its places and its jobs."""

from pathlib import Path
from typing import TYPE_CHECKING

from .limits import Limits
from .scratch import Scratch
from .uploads import UploadSlots

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader


class Service:
    """All that requests share.

    Args:
        reader: the model.
        limits: what visitors can ask for.
        checkpoint: what was given for the model: ``pretrained``, or a path.
        token: what visitors have to know; none: nothing.
        temporary: where the temporary folder is made; none: the system's place.

    Attributes:
        scratch: its temporary folder.
        uploads: places for those who send a file.
        jobs: files that are read.
        room: places for live sessions.
    """

    def __init__(
        self,
        reader: "ExpressionReader",
        limits: Limits,
        checkpoint: str,
        token: str | None = None,
        temporary: Path | None = None,
    ) -> None:
        from .jobs.queue import Jobs
        from .live.room import LiveRoom

        self.reader = reader
        self.limits = limits
        self.checkpoint = checkpoint
        self.token = token
        self.scratch = Scratch(temporary)
        self.uploads = UploadSlots(limits.uploads)
        self.jobs = Jobs(reader, limits, self.scratch)
        self.room = LiveRoom(limits)

    def close(self) -> None:
        """End all jobs and sessions, and remove every temporary file."""
        try:
            self.room.close()
            self.jobs.close()
        finally:
            self.scratch.close()
