"""The process that decodes one file from a stranger: ``python -m stgt.realtime.web.decoding.child LIMITS < file``.

It reads standard input, which must be a file that can be sought, and writes what `wire` describes to standard output.
Before it looks at the first byte it gives up everything else. The server may kill it at any moment.
"""

import importlib
import io
import json
import logging
import os
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

import av
import cv2
import numpy as np

from stgt.errors import SourceError
from stgt.faces.decoding import Caution, NotAVideoError
from stgt.faces.video import VideoFile

from .confinement import confine
from .pictures import load_decoders, read_picture
from .wire import TIME, Allowance, encode_line, tidy

_INPUT, _OUTPUT = 0, 1
_CUT_S = 0.5  # a video that ends earlier than it says by so much was cut
_NEITHER = "the file is neither a photo nor a video that can be read; it is damaged or of another kind"
_DAMAGED = "the file is damaged, or of a kind that cannot be read here"


class UploadedFile(io.RawIOBase):
    """Standard input with a position of its own: the server and an earlier process share the descriptor's."""

    name = "the file"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere, beyond the end, too."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("a position before the beginning")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer; how many bytes."""
        content = os.pread(self._descriptor, len(buffer), self._position)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class NoteTaker(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.notes.append(record.getMessage().removeprefix(f"{UploadedFile.name}: "))


def main(arguments: list[str]) -> None:
    """Decode standard input within the limits in the first argument."""
    allowance = Allowance(**json.loads(arguments[0]))
    load_decoders()
    _load_all_of(av)
    # Threads would need what is given up.
    cv2.setNumThreads(0)
    taker = NoteTaker()
    logger = logging.getLogger("stgt")
    logger.addHandler(taker)
    logger.propagate = False
    confine(allowance.memory_bytes, allowance.cpu_s)
    try:
        _decode(UploadedFile(_INPUT), allowance, taker.notes)
    except NotAVideoError:
        _write(encode_line({"error": _NEITHER}))
    except SourceError as error:
        _write(encode_line({"error": str(error)}))
    except BrokenPipeError:
        pass  # the server wants no more
    except MemoryError:
        _write(encode_line({"error": "decoding the file takes more memory than is allowed; make its pictures smaller"}))
    except Exception:  # what a broken file does to decoders is no defect of this program
        _write(encode_line({"error": _DAMAGED}))


def _load_all_of(package: ModuleType) -> None:
    """Import its modules now: some are otherwise imported when they are first needed, and by then none can be."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _decode(file: UploadedFile, allowance: Allowance, notes: list[str]) -> None:
    caution = Caution(allowance.picture_pixels, allowance.picture_side)
    if not file.seek(0, os.SEEK_END):
        raise SourceError("the file is empty (0 bytes); copy it again")
    rgb = read_picture(file, caution)
    if rgb is not None:
        _write_header("photo", rgb, 1.0, 1)
        _write_frame(0.0, rgb)
    else:
        _send_video(VideoFile(file, end_s=allowance.video_s, caution=caution), allowance, notes)
    _write(TIME.pack(np.nan) + encode_line({"notes": tidy(notes)}))


def _send_video(video: VideoFile, allowance: Allowance, notes: list[str]) -> None:
    """All frames that are allowed, as many and as large as allowed."""
    width, height = video.image_size
    if max(width, height) > allowance.video_side:
        notes.append(f"its pictures of {width}x{height} pixels were made smaller, to {allowance.video_side} at most")
    sent, passed_over, last_s = 0, 0, 0.0
    # What a file says of its rate need not be so: the limit holds for the frames themselves.
    rate = min(video.frame_rate, allowance.video_frame_rate)
    expected = video.frame_count and round(video.frame_count * rate / video.frame_rate)
    for time_s, rgb in video:
        last_s = time_s
        if sent == allowance.frames_until(time_s):
            passed_over += 1
            continue
        rgb = smaller(rgb, allowance.video_side)
        if not sent:
            _write_header("video", rgb, rate, expected or None)
        _write_frame(time_s, rgb)
        sent += 1
    if passed_over:
        notes.append(
            f"at most {allowance.video_frame_rate:g} frames a second were read; {passed_over} were passed over"
        )
    if not sent:
        raise SourceError("not one frame could be decoded; the file is cut short or damaged")
    notes += _ending(video, last_s, allowance.video_s)


def _ending(video: VideoFile, last_s: float, allowed_s: float) -> Iterator[str]:
    """What there is to say of where it ended."""
    ends_s, missing_s = last_s + 1 / video.frame_rate, max(_CUT_S, 0.02 * video.duration_s)
    if video.duration_s > allowed_s + _CUT_S and ends_s > allowed_s - _CUT_S:
        yield f"only its first {allowed_s:.0f} s were read, of {video.duration_s:.0f}"
    elif min(video.duration_s, allowed_s) > ends_s + missing_s:
        yield f"it ends after {ends_s:.1f} s, though it says that it lasts {video.duration_s:.1f}; it may be cut short"


def smaller(rgb: np.ndarray, side: int) -> np.ndarray:
    """A picture scaled to fit into a square, if it does not."""
    height, width = rgb.shape[:2]
    scale = side / max(width, height)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _write_header(kind: str, rgb: np.ndarray, frame_rate: float, frame_count: int | None) -> None:
    height, width = rgb.shape[:2]
    header = {"kind": kind, "width": width, "height": height, "frame_rate": frame_rate, "frame_count": frame_count}
    _write(encode_line(header))


def _write_frame(time_s: float, rgb: np.ndarray) -> None:
    _write(TIME.pack(time_s))
    _write(memoryview(rgb).cast("B"))


def _write(content: bytes | memoryview) -> None:
    view = memoryview(content)
    while len(view):
        view = view[os.write(_OUTPUT, view) :]


if __name__ == "__main__":
    main(sys.argv[1:])
