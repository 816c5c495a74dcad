"""Recordings of sessions: what was seen, what was said of it, and enough to say it again."""

import logging
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stgt.files import write_json

from ..frames import LiveFrame
from .append import AppendFile
from .description import (
    ANNOTATED,
    CLEAN,
    DESCRIPTION,
    FORMAT,
    FORMAT_VERSION,
    RECORDS,
    SUMMARY,
    SUMMARY_PICTURE,
    TABLE,
    TRACKS,
    VIDEOS,
    RecordingInfo,
    check_target,
)
from .records import Records, csv_header, csv_line, json_line, read_records
from .summary import describe_faces, read_stories, summary_figure

if TYPE_CHECKING:
    from .lasting_video import VideoRecorder

logger = logging.getLogger("stgt")

_SIZE_STEP = 2  # H.264 with halved colour takes even sides


class Recorder:
    """Writes a session as it runs.

    When the disk is full, or anything else keeps files from being written, the recording ends with one sentence in the
    log; the session goes on, and what was written can be used. Call `close` at the end, or use it as a context manager.

    Args:
        path: a folder that is new or empty; or a name that ends in ``.mp4``, for an annotated video alone.
        info: where the frames come from.
        videos: which videos a folder gets, a key of ``VIDEOS``.
        say: called with the sentence that tells of a failure; none: it goes to the log.

    Raises:
        StgtError: there is something at ``path`` already.
        OSError: nothing can be written there.
    """

    def __init__(
        self,
        path: Path | str,
        info: RecordingInfo,
        videos: str = "annotated",
        say: Callable[[str], None] = logger.warning,
    ) -> None:
        self.path = check_target(path)
        self.info = info
        self.is_open = True
        self._say = say
        self._video_alone = self.path.suffix.lower() == ".mp4"
        self._wanted = (ANNOTATED,) if self._video_alone else VIDEOS[videos]
        self._videos: dict[str, VideoRecorder] = {}
        self._began = datetime.now(UTC)
        self._began_s = time.monotonic()
        self._first_s: float | None = None
        self._from_the_start = False
        self._last_s = 0.0
        self._frames = self._predictions = self._dropped_before = self._dropped = 0
        self._latencies = array("f")
        self._stream = Records()
        self.notes: list[dict[str, Any]] = []
        if self._video_alone:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._open_folder()

    def _open_folder(self) -> None:
        from .track_store import TrackStore

        (self.path / TRACKS).mkdir(parents=True)
        self._describe(finished=False)
        self._records = AppendFile(self.path / RECORDS)
        self._table = AppendFile(self.path / TABLE)
        self._table.append(csv_header(self.info.labels).encode())
        self._tracks = TrackStore(
            self.path / TRACKS,
            self.info.image_size,
            self.info.source,
            with_crops=self.info.needs_crops,
            reach_s=2 * self.info.window.duration_s + 1.0,
        )

    @property
    def needs_picture(self) -> bool:
        """Whether `write` wants the painted picture."""
        return self.is_open and ANNOTATED in self._wanted

    @property
    def seconds(self) -> float:
        """How long the recording has run."""
        return time.monotonic() - self._began_s

    def write(self, live: LiveFrame, picture: np.ndarray | None = None) -> None:
        """Add a frame, and the painted picture of it if `needs_picture`; neither may change afterwards."""
        if not self.is_open:
            return
        try:
            self._write(live, picture)
        except OSError as error:
            self._fail(error)

    def _write(self, live: LiveFrame, picture: np.ndarray | None) -> None:
        if self._first_s is None:
            self._first_s, self._dropped_before = live.timestamp_s, live.dropped
            self._from_the_start = live.index == 0
        self._frames += 1
        self._last_s, self._dropped = live.timestamp_s, live.dropped
        self._latencies.append(live.latency_s)
        if not self._video_alone:
            self._tracks.write(live)
            for record in self._stream.of(live):
                self._records.append(json_line(record).encode())
                self._table.append(csv_line(record).encode())
                self._predictions += record["start_s"] is not None
        for name in self._wanted:
            shown = live.rgb if name == CLEAN else picture
            if shown is not None:
                self._write_picture(name, shown, live.timestamp_s - self._first_s)

    def note(self, what: str, **details: object) -> None:
        """Keep what the user did, such as a calibration, for the description of the recording."""
        self.notes.append({"what": what, **details})

    def close(self) -> None:
        """Finish everything. It is said, not raised, if the disk has no room for that."""
        if self.is_open:
            self.is_open = False
            failures = self._finish()
            if failures:
                self._say(self._failure_sentence(failures[0]))

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write_picture(self, name: str, rgb: np.ndarray, time_s: float) -> None:
        from stgt.faces.video import fit_into

        from .lasting_video import VideoRecorder

        if name not in self._videos:
            size = tuple(max(_SIZE_STEP, side) for side in rgb.shape[1::-1])
            path = self.path if self._video_alone else self.path / name
            self._videos[name] = VideoRecorder(path, self.info.frame_rate, size)
        video = self._videos[name]
        video.write(fit_into(rgb, video.image_size), time_s)  # a video cannot change its size, a layout can

    def _fail(self, error: OSError) -> None:
        self.is_open = False
        self._finish()
        self._say(self._failure_sentence(error))

    def _failure_sentence(self, error: OSError) -> str:
        why = error.strerror or str(error)
        kept = "what was written is kept and can be played" if self._frames else "nothing was written"
        return f"the recording {self.path} has stopped: {why}; {kept}"

    def _finish(self) -> list[OSError]:
        """Close what is open, as much of it as can be; what went wrong."""
        steps: list[Callable[[], None]] = [video.close for video in self._videos.values()]
        if not self._video_alone:
            steps += [self._records.close, self._table.close, self._tracks.close, self._summarise]
            steps.append(lambda: self._describe(finished=True))
        failures = []
        for step in steps:
            try:
                step()
            except OSError as error:
                failures.append(error)
        return failures

    def _summarise(self) -> None:
        from stgt.evaluation.plots import to_png

        stories = read_stories(read_records(self.path / RECORDS))
        begin_s = self._first_s or 0.0
        duration_s = self._last_s - begin_s
        for story in stories.values():
            story.times = [time_s - begin_s for time_s in story.times]
        latencies = 1000 * np.array(self._latencies) if self._latencies else np.zeros(1)
        write_json(
            self.path / SUMMARY,
            {
                "source": self.info.source,
                "began": self._began.isoformat(timespec="milliseconds"),
                "start_s": round(begin_s, 3),
                "duration_s": round(duration_s, 3),
                "frames": self._frames,
                "dropped": self._dropped - self._dropped_before,
                "predictions": self._predictions,
                "frames_per_s": round((self._frames - 1) / duration_s, 2) if duration_s > 0 else None,
                "latency_ms": {
                    name: round(float(np.percentile(latencies, share)), 1)
                    for name, share in (("median", 50), ("p95", 95), ("p99", 99), ("most", 100))
                },
                "faces": describe_faces(stories, self.info.labels, duration_s),
            },
        )
        title = f"{Path(self.info.source).name}, {self._began.astimezone():%d %B %Y, %H:%M}"
        to_png(summary_figure(stories, self.info.labels, duration_s, title), self.path / SUMMARY_PICTURE)

    def _describe(self, finished: bool) -> None:
        from stgt import __version__

        write_json(
            self.path / DESCRIPTION,
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "stgt_version": __version__,
                "began": self._began.isoformat(timespec="milliseconds"),
                "finished": finished,
                "from_the_start": self._from_the_start,
                "start_s": self._first_s,
                **asdict(self.info),
                "notes": self.notes,
            },
        )
