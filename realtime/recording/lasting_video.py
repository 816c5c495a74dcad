"""Video that survives whatever ends the program: every second of it is complete in the file as soon as it is over."""

import contextlib
import logging
import queue
import struct
import threading
from pathlib import Path
from types import TracebackType

import numpy as np

from stgt.faces.drawing import VideoWriter
from stgt.files import atomic_path

logger = logging.getLogger("stgt")

_WAITING = 8  # pictures that may wait for the encoder; then whoever brings one more waits too
_FRAGMENT_US = 1_000_000


class LastingVideoWriter(VideoWriter):
    """As `VideoWriter`, but the file is there from the start, in fragments that are playable one by one.

    A fragmented file plays everywhere, but seeks badly; so in the end its packets are put into an ordinary one, if the
    disk has room for both at once.
    """

    def _target(self, stack: contextlib.ExitStack) -> tuple[Path, dict[str, str]]:  # noqa: ARG002 - the file stays
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The header waits for the first fragment, because only then the delay of the encoder is known.
        return self.path, {
            "movflags": "delay_moov+default_base_moof",
            "frag_duration": str(_FRAGMENT_US),
            "flush_packets": "1",
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file, and keep whatever is in it.

        Raises:
            OSError: the last part could not be written; what was there before is playable.
        """
        if self.frame_count == 0:
            with contextlib.suppress(Exception):  # an encoder that was never fed complains
                self._stack.close()
            self.path.unlink(missing_ok=True)
            return
        try:
            with self._stack:
                self._container.mux(self._stream.encode(None))
        except OSError:
            keep_whole_boxes(self.path)
            raise
        with contextlib.suppress(OSError):  # without room for a copy the fragments stay: they play as well
            defragment(self.path)


def keep_whole_boxes(path: Path) -> None:
    """Cut a fragmented mp4 behind its last complete fragment.

    An mp4 is a row of boxes, each a 32-bit size and four letters (ISO/IEC 14496-12, 4.2); pictures are in ``mdat``.
    """
    size, end, kept = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while end + 8 <= size:
            file.seek(end)
            length, kind = struct.unpack(">I4s", file.read(8))
            if length == 1 and end + 16 <= size:  # the size follows as 64 bits
                length = struct.unpack(">Q", file.read(8))[0]
            if length < 8 or end + length > size:
                break
            end += length
            kept = end if kind in (b"mdat", b"moov", b"mfra") else kept
    if kept < size:
        with path.open("r+b") as file:
            file.truncate(kept)


def defragment(path: Path) -> None:
    """Replace a fragmented mp4 by an ordinary one of the same packets, with its index at the front, atomically.

    Raises:
        OSError: no room; the file is as it was.
    """
    import av

    with (
        atomic_path(path) as temporary,
        av.open(str(path)) as source,
        av.open(str(temporary), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        copy.time_base = stream.time_base
        for packet in source.demux(stream):
            if packet.dts is not None:  # the last one is empty and ends the stream
                packet.stream = copy
                target.mux(packet)


class VideoRecorder:
    """Encodes pictures in a thread of its own, because the encoder works outside of Python's lock.

    Args:
        path: ends in ``.mp4``.
        frame_rate: nominal, Hz.
        image_size: ``(width, height)`` of every picture.
    """

    def __init__(self, path: Path | str, frame_rate: float, image_size: tuple[int, int]) -> None:
        self.image_size = image_size
        self.error: Exception | None = None
        self._writer = LastingVideoWriter(path, frame_rate, image_size)
        self._writer.__enter__()
        self._waiting: queue.Queue[tuple[np.ndarray, float] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"encoder of {Path(path).name}", daemon=True)
        self._thread.start()

    def write(self, rgb: np.ndarray, timestamp_s: float) -> None:
        """Take a picture, which must not change any more.

        Raises:
            OSError: an earlier one could not be written.
        """
        if self.error is not None:
            raise self.error
        self._waiting.put((rgb, timestamp_s))

    def close(self) -> None:
        """Write what still waits, and close the file.

        Raises:
            OSError: not all could be written; the file is playable up to there.
        """
        self._waiting.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            with self._writer:
                while (entry := self._waiting.get()) is not None:
                    self._writer.write(*entry)
        except Exception as error:  # raised again where pictures come from
            self.error = error
            while self._waiting.get() is not None:  # nobody must wait for an encoder that is gone
                pass
