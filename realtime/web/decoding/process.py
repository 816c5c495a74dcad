"""The decoding process as its parent sees it: started, listened to with patience and suspicion, ended."""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from stgt.errors import SourceError

from ..limits import Limits
from .wire import LINE, TIME, Allowance, Header, parse_header, parse_notes

_MODULE = "stgt.realtime.web.decoding.child"
_PIPE_BYTES = 2**20  # Linux lets everybody have as much
_NO_PICTURE = "the file is damaged, or of a kind that cannot be read here; decoding broke off before its first picture"
_BROKE_OFF = "decoding broke off after {} frames; the file is damaged there, and the rest of it was not read"
_TOO_SLOW = "decoding the file takes longer than is allowed; make it shorter or its pictures smaller"


class DecodingProcess:
    """One run of the decoding program over a file.

    One thread reads; any thread may `stop` it.

    Args:
        file: open for reading, with a descriptor.
        limits: what it may take, and what may be believed of what it says.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            command(limits),
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=_environment(limits),
        )
        self._pipe = self._process.stdout.fileno()
        with contextlib.suppress(OSError, AttributeError):  # only Linux has it, and not always so much
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._pipe, False)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self._ahead = b""
        self._patience_s = limits.decode_wall_s + limits.decode_cpu_s * limits.video_s

    def read_header(self) -> Header:
        """What the pictures are like.

        Raises:
            SourceError: there are none.
        """
        try:
            return parse_header(self._line(), self._limits)
        except (ValueError, EOFError):
            raise SourceError(self._failure()) from None

    def frames(self, header: Header, notes: list[str]) -> Iterator[tuple[float, np.ndarray]]:
        """Time in seconds and ``(H, W, 3)`` uint8 RGB of each frame; ``notes`` are complete after the last."""
        count, last_s = 0, 0.0
        allowance = Allowance.of(self._limits)
        try:
            while True:
                (time_s,) = TIME.unpack(self._fill(bytearray(TIME.size)))
                if np.isnan(time_s):
                    notes += parse_notes(self._line())
                    return
                if not last_s <= time_s <= (self._limits.video_s if header.kind == "video" else 0.0) + 1:
                    raise ValueError(f"a time of {time_s} s after {last_s}")
                if count == (allowance.frames_until(time_s) if header.kind == "video" else 1):
                    raise ValueError("more frames than are allowed")
                rgb = np.empty((header.height, header.width, 3), np.uint8)
                self._fill(memoryview(rgb).cast("B"))
                yield time_s, rgb
                count, last_s = count + 1, time_s
        except (ValueError, EOFError):
            if not count:
                raise SourceError(self._failure()) from None
            notes.append(_BROKE_OFF.format(count))

    def stop(self) -> None:
        """Kill it; whoever reads finds that it broke off."""
        self._process.kill()

    def close(self) -> None:
        """Kill it and let go of all that belongs to it; for the thread that reads."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _line(self) -> bytes:
        until_s = self._deadline()
        content = self._ahead
        while b"\n" not in content and len(content) < LINE:
            self._wait(until_s)
            content += self._some(LINE)
        line, end, self._ahead = content.partition(b"\n")
        if not end:
            raise ValueError("a line without an end")
        return line

    def _fill(self, target: bytearray | memoryview) -> bytearray | memoryview:
        """The next bytes, into a buffer that is there already."""
        view = memoryview(target)
        ahead, self._ahead = self._ahead[: len(view)], self._ahead[len(view) :]
        view[: len(ahead)] = ahead
        view = view[len(ahead) :]
        until_s = self._deadline()
        while len(view):
            self._wait(until_s)
            with contextlib.suppress(BlockingIOError):
                count = os.readv(self._pipe, [view])
                if not count:
                    raise EOFError
                view = view[count:]
        return target

    def _some(self, most: int) -> bytes:
        with contextlib.suppress(BlockingIOError):
            content = os.read(self._pipe, most)
            if not content:
                raise EOFError
            return content
        return b""

    def _deadline(self) -> float:
        return time.monotonic() + min(self._limits.decode_wall_s, self._patience_s)

    def _wait(self, until_s: float) -> None:
        """Until there is something to read, or the end.

        Raises:
            SourceError: it took too long, and the process was killed.
        """
        began_s = time.monotonic()
        ready = self._poll.poll(max(0.0, until_s - began_s) * 1000)
        self._patience_s -= time.monotonic() - began_s
        if not ready:
            self.stop()
            raise SourceError(_TOO_SLOW)

    def _failure(self) -> str:
        """Why there is not one picture."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.wait(1.0) == -signal.SIGXCPU:
                return _TOO_SLOW
        return _NO_PICTURE


def command(limits: Limits) -> list[str]:
    """What is run: Python without anything of the user's, and the program of `child`."""
    return [sys.executable, "-I", "-m", _MODULE, Allowance.of(limits).to_json()]


def _environment(limits: Limits) -> dict[str, str]:
    """What the process is told, and nothing else of what the server knows."""
    told = {
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.picture_pixels),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",  # it takes address space for each
    }
    return told | {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
