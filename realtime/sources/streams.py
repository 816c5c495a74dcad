"""Network streams and recordings by their address, through FFmpeg (PyAV)."""

import functools
import logging
import re
import time
from collections.abc import Iterator

import numpy as np

from stgt.errors import SourceError
from stgt.faces.video import FrameSource

from .base import STALL_S, Reconnecting, nominal_rate
from .pictures import Uniform

logger = logging.getLogger("stgt")

_OPEN_S = 10.0  # FFmpeg gives up opening after so long
_BY_ARRIVAL = ("mpjpeg", "mjpeg")  # their pictures have no times; FFmpeg makes up 25 a second
_IN_PIECES = ("hls", "dash")  # several seconds come at once, to be shown one after the other
_LONGEST_HOLD_S = 1.0  # a gap in a sender's times is not waited for

_SECRET = re.compile(
    r"([?&;][^=&;#]*(?:pass|pwd|key|token|secret|auth|sign?|credential)[^=&;#]*=)[^&;#]*", re.IGNORECASE
)


def is_address(source: object) -> bool:
    """Whether a source is named by an address, as ``rtsp://…``."""
    return isinstance(source, str) and "://" in source


def public_name(source: str) -> str:
    """An address without user, password and keys, for messages, tables and files; anything else as it is."""
    if not is_address(source):
        return source
    # A password may hold "/" and "@", though it should not: with a colon before it, everything up to the last "@".
    bare = re.sub(r"://(?:[^?#]*:[^?#]*|[^/?#]*)@", "://", source)
    return _SECRET.sub(r"\1***", bare)


def open_stream(address: str) -> FrameSource:
    """What an address gives: a live stream, or a recording, which has an end and can be read again.

    Raises:
        SourceError: it does not answer, refuses, or gives no pictures.
    """
    first = StreamConnection(address)
    if first.is_recording:
        return Recording(address, first)
    return Reconnecting(public_name(address), functools.partial(StreamConnection, address), first=first)


class StreamConnection:
    """An opened address; see `Connection`.

    Raises:
        SourceError: it cannot be opened, or holds no pictures.
    """

    def __init__(self, address: str, silence_s: float = STALL_S) -> None:
        import av

        from stgt.faces.decoding import RgbConverter

        self.name = public_name(address)
        # Over UDP, FFmpeg's first choice, a busy network loses parts of pictures.
        options = {"rtsp_transport": "tcp"} if address.lower().startswith("rtsp") else {}
        began_s = time.monotonic()
        try:
            self._container = av.open(address, timeout=(_OPEN_S, silence_s), options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            silent = time.monotonic() - began_s >= _OPEN_S  # some protocols call that invalid data
            raise SourceError(_why_not(self.name, TimeoutError() if silent else error)) from None
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"{self.name} gives no pictures; is it the address of a video?")
        stream = self._container.streams.video[0]
        stream.thread_type = "SLICE"  # whole frames in parallel would come later
        self.frame_rate = nominal_rate(stream.average_rate and float(stream.average_rate))
        kinds = self._container.format.name.split(",")
        one_picture = kinds[0].endswith("_pipe")
        self.is_recording = bool(self._container.duration) or one_picture
        self._has_times = not any(kind in _BY_ARRIVAL for kind in kinds)
        self._in_pieces = not self.is_recording and any(kind in _IN_PIECES for kind in kinds)
        self._shift_s: float | None = None  # from the sender's clock to when its pictures are shown
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._convert = RgbConverter()
        self._pictures = self._decoded(stream)
        self.failed = False

    def read(self) -> tuple[float | None, np.ndarray] | None:
        """The next picture with its time in seconds; see `Connection`."""
        picture = next(self._pictures, None)
        if picture is not None and picture[0] is not None and self._in_pieces:
            self._hold(picture[0])
        return picture

    def close(self) -> None:
        """End the connection."""
        self._pictures.close()
        self._container.close()

    def _decoded(self, stream) -> Iterator[tuple[float | None, np.ndarray]]:  # noqa: ANN001 - PyAV is imported late
        import av

        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                self.failed = True
                return
            if packet is None:
                return
            try:
                pictures = [
                    (frame.time if self._has_times else None, self._convert(frame, self._aspect))
                    for frame in packet.decode()
                ]
            except av.FFmpegError:
                continue  # damaged on its way: the next key frame mends it
            yield from pictures

    def _hold(self, sent_s: float) -> None:
        """Wait until a picture's turn on the sender's clock."""
        now_s = time.monotonic()
        if self._shift_s is None or not 0 <= sent_s + self._shift_s - now_s <= _LONGEST_HOLD_S:
            self._shift_s = now_s - sent_s
        time.sleep(max(0.0, sent_s + self._shift_s - now_s))


class Recording(FrameSource):
    """A video with an end behind an address. Times are its own, from the first frame; it waits to be read.

    Args:
        address: where it is.
        first: a connection to it, opened already, to see what it gives; each iteration opens one of its own.

    Raises:
        SourceError: not one frame comes.
    """

    def __init__(self, address: str, first: StreamConnection) -> None:
        self.name = first.name
        self.frame_rate = first.frame_rate
        self.frame_count = None
        self._address = address
        picture = first.read()
        first.close()
        if picture is None:
            raise SourceError(f"{self.name} gives no pictures; is the recording whole?")
        self.image_size = (picture[1].shape[1], picture[1].shape[0])

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        connection = StreamConnection(self._address)
        uniform = Uniform(self.name, self.image_size)
        origin_s: float | None = None
        now_s = 0.0
        try:
            while (picture := connection.read()) is not None:
                sent_s, rgb = picture
                if sent_s is None:
                    sent_s = now_s + (origin_s or 0.0) + (0.0 if origin_s is None else 1.0 / self.frame_rate)
                origin_s = sent_s if origin_s is None else origin_s
                now_s = max(now_s, sent_s - origin_s)
                yield now_s, uniform(rgb)
            if connection.failed:
                logger.warning("%s: the connection broke before the end; the frames up to there are used", self.name)
        finally:
            connection.close()


def _why_not(name: str, error: Exception) -> str:
    """Why an address could not be opened. FFmpeg's own words hold the address, and with it the password."""
    import av

    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return f"{name} refuses access; are user and password in the address right (rtsp://user:password@host/…)?"
    if isinstance(error, av.error.HTTPNotFoundError):
        return f"{name}: the server answers, but has nothing there; is the path right?"
    if isinstance(error, av.error.HTTPClientError | av.error.HTTPServerError):
        return f"{name}: the server answers with an error; is the address right?"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return f"{name}: addresses that begin so cannot be read; rtsp://, http:// and https:// can"
    if isinstance(error, ConnectionError | TimeoutError | av.error.ExitError):
        return f"{name} does not answer; is the address right, and does the camera or server run?"
    if isinstance(error, FileNotFoundError):
        return f"{name}: there is no such file"
    # An unknown host is the same to FFmpeg as a page that is no video.
    return f"{name} gives no pictures; is there such a host, and is it the address of a video?"
