"""Recordings of a server that are kept for a while, to be taken home."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.errors import StgtError

from ...recording.description import RecordingInfo
from ..limits import Limits
from ..scratch import Scratch
from .recording import LiveRecording, Tell

if TYPE_CHECKING:
    from stgt.graphs.layout import NodeLayout


class KeptRecordings:
    """The recordings of a server, which are forgotten after a while.

    Args:
        limits: of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._finish_alone = threading.Lock()
        self._kept: dict[str, LiveRecording] = {}  # the oldest first
        self._unwanted: set[str] = set()
        self._timers: dict[str, threading.Timer] = {}
        self._scratch: Scratch | None = None

    def begin(
        self, scratch: Scratch, info: RecordingInfo, layout: "NodeLayout", faces: int, tell: Tell
    ) -> LiveRecording:
        """Begin one; feed it by its `take`, and end it by its `stop`.

        Raises:
            StgtError: there is no room for it.
        """
        self._scratch = scratch
        if scratch.free_bytes() < 2 * self._limits.spare_bytes:
            raise StgtError("the server's disk is almost full, so nothing can be recorded")
        with self._lock:
            finished = [id_ for id_, kept in self._kept.items() if kept.status in ("ready", "failed")]
            surplus = finished[: max(0, len(self._kept) + 1 - self._limits.kept_recordings)]
            if len(self._kept) - len(surplus) >= self._limits.kept_recordings:
                raise StgtError("the server is still finishing other recordings; try again in a moment")
        for id_ in surplus:
            self.forget(id_)
        recording = LiveRecording(
            *(scratch.new_folder(), info, layout, faces, self._limits, tell, self._finish_alone, self._has_ended)
        )
        with self._lock:
            self._kept[recording.id] = recording
        return recording

    def path(self, id_: str, name: str) -> Path | None:
        """A file of a finished recording; ``None``: there is none, or it was forgotten."""
        with self._lock:
            recording = self._kept.get(id_)
        return None if recording is None else recording.path(name)

    def forget(self, id_: str) -> bool:
        """Remove a recording; one that is not finished as soon as it is. Whether there was one."""
        with self._lock:
            recording = self._kept.pop(id_, None)
            if recording is None:
                return False
            timer = self._timers.pop(id_, None)
            finished = recording.status in ("ready", "failed")
            if not finished:
                self._unwanted.add(id_)
        if timer is not None:
            timer.cancel()
        recording.stop()
        if finished:
            self._scratch.remove(recording.folder)
        return True

    def close(self) -> None:
        """Forget all of them; wait for those that are being written."""
        with self._lock:
            kept = list(self._kept.values())
        for recording in kept:
            self.forget(recording.id)
        for recording in kept:
            recording.join(10.0)

    def _has_ended(self, recording: LiveRecording) -> None:
        with self._lock:
            unwanted = recording.id in self._unwanted
            self._unwanted.discard(recording.id)
            if not unwanted:
                timer = threading.Timer(self._limits.kept_s, self.forget, [recording.id])
                timer.daemon = True
                timer.start()
                self._timers[recording.id] = timer
        if unwanted:
            self._scratch.remove(recording.folder)
