"""Beginning and ending recordings while a session runs."""

import logging
import threading
from datetime import datetime
from pathlib import Path

import numpy as np

from ..frames import LiveFrame
from .description import RecordingInfo, check_target
from .recorder import Recorder

logger = logging.getLogger("stgt")


class Recordings:
    """The recordings of a session, of which at most one is open. Close it at the end.

    Args:
        info: where the frames come from.
        target: of the first one; later ones are numbered. None: named after the time, in the current folder.
        videos: which videos a folder gets, see `stgt.realtime.recording.description.VIDEOS`.
    """

    def __init__(self, info: RecordingInfo, target: Path | str | None = None, videos: str = "annotated") -> None:
        self._info = info
        self._target = None if target is None else check_target(target)
        self._videos = videos
        self._failure = ""
        self._count = 0
        self._finishing: list[threading.Thread] = []
        self._current: Recorder | None = None

    @property
    def current(self) -> Recorder | None:
        """The one that is open."""
        return self._current if self._current is not None and self._current.is_open else None

    @property
    def failure(self) -> str:
        """What went wrong since it was last asked for; empty if nothing did."""
        failure, self._failure = self._failure, ""
        return failure

    def start(self) -> Path:
        """Begin one; where it is written.

        Raises:
            OSError: nothing can be written there.
        """
        self.stop()
        path = self._next_path()
        self._current = Recorder(path, self._info, self._videos, self._fail)
        return path

    def stop(self) -> Path | None:
        """End the one that is open, if there is one; where it is. It is finished in the background."""
        if self._current is None:
            return None
        recorder, self._current = self._current, None
        thread = threading.Thread(target=recorder.close, name=f"finishing {recorder.path.name}")
        thread.start()
        self._finishing = [other for other in self._finishing if other.is_alive()] + [thread]
        return recorder.path

    def close(self) -> None:
        """End the one that is open, and wait for those that are being finished."""
        if self._current is not None:
            self._current.close()
            self._current = None
        for thread in self._finishing:
            thread.join()

    def write(self, live: LiveFrame, picture: np.ndarray | None) -> None:
        """Add a frame to the one that is open, if there is one."""
        if self._current is not None:
            self._current.write(live, picture)

    def __enter__(self) -> "Recordings":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _fail(self, sentence: str) -> None:
        self._failure = sentence
        logger.warning(sentence)

    def _next_path(self) -> Path:
        if self._target is not None and not self._count:  # a video replaces an older one, as every output does
            self._count = 1
            return self._target
        base = self._target or Path(f"stgt-{datetime.now():%Y-%m-%d-%H-%M-%S}")
        path, number = base, 1
        while path.exists():
            number += 1
            path = base.with_name(f"{base.stem}-{number}{base.suffix}")
        return path
