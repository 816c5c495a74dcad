"""What FFmpeg (through PyAV) must be told so that every video comes out as upright RGB pictures with right times."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from stgt.errors import SourceError

logger = logging.getLogger("stgt")


#: Containers in which files from strangers may come. FFmpeg reads much else, such as playlists and scripts, which make
#: it open further files or addresses.
CONTAINERS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "mpeg", "mpegts", "mpegvideo", "asf", "ogg", "gif"),
    *("h264", "hevc", "m4v", "ivf", "mxf", "nut", "rm", "wtv", "dv"),
)


class NotAVideoError(SourceError):
    """A file that FFmpeg takes for nothing that is read here."""


@dataclass(frozen=True)
class Caution:
    """What a video from strangers may be.

    Attributes:
        most_pixels: of a frame.
        longest_side: of a frame, px.
        containers: FFmpeg's names of those that are read.
    """

    most_pixels: int
    longest_side: int
    containers: tuple[str, ...] = CONTAINERS

    def check(self, name: str, width: int, height: int) -> None:
        """Raise SourceError if a frame, or a picture, of this size is too large."""
        if width * height > self.most_pixels or max(width, height) > self.longest_side:
            raise SourceError(
                f"{name} has pictures of {width}x{height} pixels; at most {self.most_pixels / 1e6:.3g} million pixels "
                f"and {self.longest_side} a side are read, so make it smaller"
            )


def open_video(source: Path | str | BinaryIO, caution: Caution | None = None) -> tuple[Any, Any]:
    """An opened PyAV container and its first stream of moving pictures.

    Args:
        source: a path, or a file that can be sought, which is read from its beginning and stays open.
        caution: what is read at all; with it nothing but ``source`` is ever opened. None: all that FFmpeg can.

    Raises:
        SourceError: the file is missing, empty, unreadable, too large, or holds no moving pictures.
    """
    name = source_name(source)
    try:
        if isinstance(source, Path | str):
            if not Path(source).exists():
                raise SourceError(f"{name}: there is no such file or folder")
            size, what = Path(source).stat().st_size, name
        else:
            size, what = source.seek(0, os.SEEK_END), source
            source.seek(0)
        if size == 0:
            raise SourceError(f"{name} is empty (0 bytes); copy it again")
        container = av.open(what, metadata_errors="replace", **_precautions(caution))
    except PermissionError:
        raise SourceError(f"{name}: no permission to read it") from None
    except (av.FFmpegError, OSError):
        raise NotAVideoError(f"{name} is not a video that can be read; it is damaged or of another kind") from None
    # The cover picture of a song is a video stream too.
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        container.close()
        raise SourceError(f"{name} holds no video, only sound or data")
    stream = streams[0]
    if stream.codec_context is None:
        container.close()
        raise SourceError(f"{name} is a video of a kind that cannot be decoded here; save it as H.264 in an mp4 file")
    if caution is not None:
        try:
            width = round(stream.codec_context.width * float(stream.sample_aspect_ratio or 1))
            caution.check(name, width, stream.codec_context.height)
        except SourceError:
            container.close()
            raise
        # What the container says is not what the pictures themselves say.
        stream.codec_context.options = {"max_pixels": str(caution.most_pixels)}
    # One thread: videos are prepared with one process per core, and finding landmarks takes far longer than decoding.
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    return container, stream


def source_name(source: Path | str | BinaryIO) -> str:
    """What messages call it."""
    return str(source) if isinstance(source, Path | str) else str(getattr(source, "name", "the file"))


def _precautions(caution: Caution | None) -> dict[str, Any]:
    """Arguments of ``av.open`` that keep FFmpeg to the one file, of a known kind."""
    if caution is None:
        return {}
    return {
        "options": {
            "format_whitelist": ",".join(caution.containers),
            "protocol_whitelist": "none",
            # Of the decoders that look into the streams first; what is not much too large they may say.
            "max_pixels": str(4 * caution.most_pixels),
            "max_streams": "64",
        },
        "io_open": _refuse,
        "buffer_size": 2**18,
    }


def _refuse(*_: object) -> BinaryIO:
    raise PermissionError("a video may not open other files")


def decoded_frames(container: Any, stream: Any, name: str) -> Iterator[Any]:
    """PyAV frames in the order in which they are shown. Broken packets are skipped, a cut file ends where it is cut."""
    broken = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as error:
            logger.warning(
                "%s: reading stopped before the end of the file (%s); the frames up to there are used", name, error
            )
            break
        if packet is None:
            break
        try:
            yield from packet.decode()
        except av.FFmpegError:
            broken += 1
    if broken:
        pieces = "piece" if broken == 1 else "pieces"
        logger.warning("%s: %d damaged %s could not be decoded; the other frames are used", name, broken, pieces)


def seek(container: Any, stream: Any, time_s: float) -> bool:
    """Go to the last key frame at or before ``time_s`` on the container's clock; whether it claims to have done so."""
    try:
        container.seek(int(time_s / stream.time_base), stream=stream, backward=True)
    except (av.FFmpegError, OSError):
        return False
    return True


class RgbConverter:
    """Turns decoded frames into ``(H, W, 3)`` uint8 RGB as they are meant to be seen.

    Phones write pictures as the sensor lies and say beside them how to turn them; broadcast formats have pixels that
    are not square. FFmpeg's filter graph converts in half the time of ``VideoFrame.to_ndarray(format="rgb24")``.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._graph: Any = None

    def __call__(self, frame: Any, aspect: float = 1.0) -> np.ndarray:
        """Convert one frame; ``aspect`` is the width of a pixel over its height."""
        key = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range, aspect)
        if key != self._key:
            self._graph, self._key = _rgb_graph(frame, aspect), key
        self._graph.push(frame)
        rgb = self._graph.pull().to_ndarray()
        turns = round(frame.rotation / 90) % 4
        # FFmpeg pads the rows; MediaPipe would read the padding as pixels.
        return np.ascontiguousarray(np.rot90(rgb, turns) if turns else rgb)


def _rgb_graph(frame: Any, aspect: float) -> Any:
    graph = av.filter.Graph()
    graph.threads = 1
    chain = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base, name="frames"
        )
    ]
    if abs(aspect - 1.0) > 0.01:
        chain.append(graph.add("scale", f"{max(1, round(frame.width * aspect))}:{frame.height}"))
    chain.append(graph.add("format", "pix_fmts=rgb24"))
    chain.append(graph.add("buffersink"))
    graph.link_nodes(*chain).configure()
    return graph
