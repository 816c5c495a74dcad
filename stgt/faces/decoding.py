"""What FFmpeg (through PyAV) must be told so that every video comes out as upright RGB pictures with right times."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from stgt.errors import SourceError

logger = logging.getLogger("stgt")


def open_video(path: Path | str) -> tuple[Any, Any]:
    """An opened PyAV container and its first stream of moving pictures.

    Raises:
        SourceError: the file is missing, empty, unreadable, or holds no moving pictures.
    """
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder")
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty (0 bytes); copy it again")
        container = av.open(str(path), metadata_errors="replace")
    except PermissionError:
        raise SourceError(f"{path}: no permission to read it") from None
    except (av.FFmpegError, OSError):
        raise SourceError(f"{path} is not a video that can be read; it is damaged or of another kind") from None
    # The cover picture of a song is a video stream too.
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        container.close()
        raise SourceError(f"{path} holds no video, only sound or data")
    stream = streams[0]
    # One thread: videos are prepared with one process per core, and finding landmarks takes far longer than decoding.
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    return container, stream


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
        logger.warning("%s: %d damaged pieces could not be decoded; the other frames are used", name, broken)


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
