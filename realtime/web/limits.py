"""What a server lets its visitors ask for."""

from dataclasses import asdict, dataclass
from typing import Any

_MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """How much a server takes on. Sizes in bytes, times in seconds.

    Attributes:
        connections: at once; more are turned away.
        head_s: for the head of a request to come.
        upload_bytes: of one file.
        uploads: files that are being sent at once.
        body_bytes: of a request that carries no file.
        stall_s: how long a sender or a receiver may do nothing.
        upload_rate: bytes per second that a sender manages on average, once ``stall_s`` have gone by.
        video_s: of a video; what comes after it is not read.
        video_frame_rate: frames of a video that are read in a second, Hz; of more, some are passed over.
        picture_pixels: of a photo, and of a frame of a video.
        picture_side: longest side of either, in pixels.
        video_side: larger frames of videos are scaled down to it.
        faces: people that are followed in a video or live.
        photo_faces: people that are looked for in a photo.
        waiting_jobs: jobs in line; more are turned away.
        kept_jobs: finished jobs whose results are kept.
        kept_bytes: of uploads and results of finished jobs on the disk; beyond, the oldest are forgotten.
        kept_s: how long results and recordings are kept.
        decode_memory_bytes: address space of the process that decodes.
        decode_cpu_s: processor time of that process, for each second of ``video_s``.
        decode_wall_s: how long it may say nothing.
        live_sessions: cameras that are read at once.
        live_waiting: cameras in line; more are turned away.
        live_frame_bytes: of one message on a live socket.
        live_side: longest side of a camera's picture, in pixels.
        live_idle_s: a session ends when no frame has come for so long.
        recording_s: of a recording.
        recording_bytes: of its video.
        kept_recordings: recordings that are kept; the oldest gives way.
        spare_bytes: of the disk, that recordings leave free for everyone else.
        result_backlog: results that wait for a slow client; newer ones take the place of older ones.
        send_timeout_s: a client that takes longer to receive a message is gone.
    """

    connections: int = 256
    head_s: float = 10.0
    upload_bytes: int = 500 * _MIB
    uploads: int = 3
    body_bytes: int = 64 * 1024
    stall_s: float = 30.0
    upload_rate: float = 16 * 1024
    video_s: float = 600.0
    video_frame_rate: float = 60.0
    picture_pixels: int = 40_000_000
    picture_side: int = 8192
    video_side: int = 1920
    faces: int = 4
    photo_faces: int = 8
    waiting_jobs: int = 16
    kept_jobs: int = 32
    kept_bytes: int = 4096 * _MIB
    kept_s: float = 1800.0
    decode_memory_bytes: int = 2048 * _MIB
    decode_cpu_s: float = 4.0
    decode_wall_s: float = 60.0
    live_sessions: int = 4
    live_waiting: int = 12
    live_frame_bytes: int = _MIB
    live_side: int = 1280
    live_idle_s: float = 20.0
    recording_s: float = 600.0
    recording_bytes: int = 500 * _MIB
    kept_recordings: int = 16
    spare_bytes: int = 256 * _MIB
    result_backlog: int = 1
    send_timeout_s: float = 10.0

    def public(self) -> dict[str, Any]:
        """Those that a client has to know."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("decode_")}
