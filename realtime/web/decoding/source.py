"""ChildSource: the frames of an uploaded file, decoded by a process of their own."""

import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from stgt.errors import SourceError
from stgt.faces.video import FrameSource

from ..limits import Limits
from .process import DecodingProcess


class ChildSource(FrameSource):
    """A photo or a video from a stranger.

    Every iteration starts a process that decodes the file from its beginning. It is some frames ahead of whoever
    iterates, as far as a pipe holds them. Nothing that it says is believed before it was checked.

    Args:
        file: what was uploaded, open for reading; it stays open, and its position does not matter.
        limits: of sizes, times and memory.
        name: of the source, as results show it.
        on_start: called with the source as soon as it can be stopped, before the first byte is decoded.

    Attributes:
        kind: ``photo`` (a single frame) or ``video``.
        notes: sentences about what was left out or is odd; complete after the last frame.

    Raises:
        SourceError: it cannot be read; the sentence says why.
    """

    def __init__(
        self,
        file: BinaryIO,
        limits: Limits,
        name: str = "the file",
        on_start: "Callable[[ChildSource], object] | None" = None,
    ) -> None:
        self.name = name
        self.notes: list[str] = []
        self._file = file
        self._limits = limits
        self._stopped = threading.Event()
        self._process = DecodingProcess(file, limits)
        self._is_new = True
        try:
            if on_start is not None:
                on_start(self)
            self._header = self._process.read_header()
        except BaseException:
            self.close()
            raise
        self.kind = self._header.kind
        self.image_size = (self._header.width, self._header.height)
        self.frame_rate = self._header.frame_rate
        self.frame_count = self._header.frame_count

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        if not self._is_new:
            self._process.close()
            self._process = DecodingProcess(self._file, self._limits)
            if self._stopped.is_set():  # the one that was stopped is gone
                self._process.stop()
            if self._process.read_header() != self._header:
                raise SourceError(f"{self.name} is not what it was when it was first read")
        self._is_new = False
        self.notes.clear()
        try:
            yield from self._process.frames(self._header, self.notes)
        finally:
            self._process.close()
        if self._stopped.is_set():
            raise SourceError(f"{self.name}: reading was stopped")

    def stop(self) -> None:
        """End the decoding at once; any thread may call this. Whoever iterates gets a `SourceError`."""
        self._stopped.set()
        self._process.stop()

    def close(self) -> None:
        """End the decoding; for the thread that reads."""
        self._process.close()
