"""Recordings of live sessions, painted and written beside them, and kept for a while to be taken home."""

import logging
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stgt.errors import StgtError

from ...frames import LiveFrame
from ...recording.description import ANNOTATED, SUMMARY, SUMMARY_PICTURE, TABLE, TRACKS, RecordingInfo
from ..limits import Limits

if TYPE_CHECKING:
    from stgt.graphs.layout import NodeLayout

logger = logging.getLogger("stgt")

#: What can be taken home, and what it is.
FILES = {
    ANNOTATED: "video/mp4",
    TABLE: "text/csv",
    SUMMARY: "application/json",
    SUMMARY_PICTURE: "image/png",
}

_WAITING = 24  # frames that may wait to be written; more are left out
_LOOKED_EVERY_S = 1.0
# A picture costs as much to paint and to code as a frame to read. So there are no more of them than a video needs, and
# fewer where the processor is busy. (A low priority of the thread would not help: others wait while it holds Python's
# lock and does not come to run.)
_PAINTED_PER_S = 20.0
_BUSY_SHARE = 1 / 3  # of the time of the thread that paints

Tell = Callable[[dict[str, Any]], None]


class LiveRecording:
    """One recording. A thread of its own paints and writes, so that results need not wait for that.

    All frames are written down; the video shows those of them for which there is time.

    Args:
        folder: an empty one.
        info: where the frames come from.
        layout: nodes of the model, for the mesh.
        faces: people that are followed.
        limits: of the server.
        tell: called with each status, from any thread.
        finish_alone: held while the summary is drawn: figures share their style.
        ended: called with the recording when all is written, from its thread.

    Attributes:
        id: its name, which cannot be guessed.
        status: ``on``, ``finishing``, ``ready`` or ``failed``.
        left_out: frames for which there was no room.
    """

    def __init__(
        self,
        folder: Path,
        info: RecordingInfo,
        layout: "NodeLayout",
        faces: int,
        limits: Limits,
        tell: Tell,
        finish_alone: threading.Lock,
        ended: "Callable[[LiveRecording], None]",
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.folder = folder
        self.status = "on"
        self.left_out = 0
        self._info = info
        self._layout = layout
        self._faces = faces
        self._limits = limits
        self._tell = tell
        self._finish_alone = finish_alone
        self._ended = ended
        self._error: str | None = None
        self._began_s = time.monotonic()
        self._seconds = 0.0
        self._changed = threading.Condition()
        self._waiting: deque[LiveFrame] = deque()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="recording", daemon=True)
        self._thread.start()
        self._say()

    @property
    def is_open(self) -> bool:
        """Whether frames are still taken."""
        return not self._stopped

    def take(self, live: LiveFrame) -> None:
        """Write a frame, some time soon; never waits."""
        with self._changed:
            if self._stopped:
                return
            self._seconds = time.monotonic() - self._began_s
            if self._seconds > self._limits.recording_s:
                self._end()
            elif len(self._waiting) >= _WAITING:
                self.left_out += 1
            else:
                self._waiting.append(live)
                self._changed.notify_all()

    def stop(self) -> None:
        """Take no more frames; what waits is written, and the recording finished, in the background."""
        with self._changed:
            if not self._stopped:
                self._end()

    def join(self, timeout_s: float) -> bool:
        """Wait until all is written; whether it is."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def path(self, name: str) -> Path | None:
        """One of ``FILES``; ``None``: there is no such file, or not yet."""
        if self.status != "ready" or name not in FILES:
            return None
        path = self.folder / name
        return path if path.is_file() else None

    def _end(self) -> None:
        self._stopped = True
        self.status = "finishing"
        self._changed.notify_all()
        self._say()

    def _say(self) -> None:
        message: dict[str, Any] = {
            "type": "recording",
            "status": self.status,
            "id": self.id,
            "seconds": round(self._seconds, 2),
        }
        if self.status == "ready":
            there = [name for name in FILES if (self.folder / name).is_file()]
            message["files"] = {name: f"/api/recordings/{self.id}/{name}" for name in there}
        if self._error is not None:
            message["error"] = self._error
        self._tell(message)

    def _work(self) -> None:
        try:
            self._record()
        except (OSError, StgtError) as error:
            self._fail(getattr(error, "strerror", None) or str(error))
        except Exception:
            logger.exception("a recording has failed")
            self._fail("the server has made a mistake")
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            failed = self._error is not None and not (self.folder / SUMMARY).is_file()
            self.status = "failed" if failed else "ready"
        self._ended(self)
        self._say()

    def _record(self) -> None:
        from ...recording.recorder import Recorder

        recorder = Recorder(self.folder, self._info, say=self._fail)
        try:
            self._write_frames(recorder)
        finally:
            with self._finish_alone:
                recorder.close()
            # Landmarks of faces are nothing that anybody asked for, and take more room than the video.
            shutil.rmtree(self.folder / TRACKS, ignore_errors=True)

    def _write_frames(self, recorder: Any) -> None:
        overlay = self._new_overlay()
        looked_s = time.monotonic()
        painted_s, next_s = -1.0, 0.0
        while (live := self._next()) is not None:
            began_s = time.monotonic()
            is_painted = began_s >= next_s and live.timestamp_s >= painted_s + 0.9 / _PAINTED_PER_S
            recorder.write(live, overlay.paint(live) if is_painted else None)
            ended_s = time.monotonic()
            if is_painted:
                painted_s, next_s = live.timestamp_s, ended_s + (ended_s - began_s) * (1 / _BUSY_SHARE - 1)
            if not recorder.is_open:
                self.stop()
            if ended_s - looked_s > _LOOKED_EVERY_S:
                looked_s = ended_s
                self._look_at_the_disk()

    def _new_overlay(self) -> Any:
        from ...painting.overlay import Overlay

        return Overlay(self._info.labels, self._info.image_size, self._layout, faces=self._faces)

    def _next(self) -> LiveFrame | None:
        """The next frame; ``None``: that was all."""
        with self._changed:
            while not (self._waiting or self._stopped):
                self._changed.wait()
            if not self._waiting:
                return None
            return self._waiting.popleft()

    def _look_at_the_disk(self) -> None:
        """End in time, before the disk is full for everyone."""
        video = self.folder / ANNOTATED
        size = video.stat().st_size if video.is_file() else 0
        if size > self._limits.recording_bytes or shutil.disk_usage(self.folder).free < self._limits.spare_bytes:
            self.stop()

    def _fail(self, sentence: str) -> None:
        """Keep why; without the place where it was written, which is nobody's business."""
        self._error = sentence.replace(f" {self.folder}", "")
