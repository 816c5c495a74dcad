"""A session and where its results go: the window and its keys, recordings, lines of text."""

import contextlib
import math
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .frames import LiveFrame
from .recording.records import Records, json_line

if TYPE_CHECKING:
    from .painting.overlay import Overlay
    from .painting.screen import Screen
    from .recording.recordings import Recordings
    from .session import LiveSession

_HELP_S = 6.0  # how long the keys are shown at first
_NOTICE_S = 3.0
_CALIBRATION_S = 1.5
_PAUSE_MS = 50


class Program:
    """Runs a session.

    Args:
        session: what is watched; anything that gives `LiveFrame` can be, without keys.
        overlay: paints the frames; none: nobody looks at them.
        screen: shows what is painted; none: headless.
        recordings: keep what is seen; none: nothing is kept.
        json: print each prediction as a line of JSON. If not, and without a screen, changes of the label are printed.
    """

    def __init__(
        self,
        session: "LiveSession | Iterable[LiveFrame]",
        overlay: "Overlay | None" = None,
        screen: "Screen | None" = None,
        recordings: "Recordings | None" = None,
        json: bool = False,
    ) -> None:
        self.session = session
        self.overlay = overlay
        self.screen = screen
        self.recordings = recordings
        self.json = json
        self._records = Records()
        self._said: dict[int, str] = {}
        self._help_until_s = math.inf if screen is None else time.monotonic() + _HELP_S
        self._notice, self._notice_until_s = "", -math.inf
        self._paused = False
        self._last: LiveFrame | None = None

    def run(self) -> None:
        """Until the source ends, q is pressed, or Ctrl-C: that is not raised, so that what was begun is finished."""
        totals = _Totals()
        if self.screen is not None and hasattr(self.session, "on_wait"):
            self.session.on_wait = self.wait
        with contextlib.suppress(KeyboardInterrupt):
            for live in self.session:
                totals.count(live)
                if self.take(live) is False:
                    break
        print(f"stgt live: {totals}", file=sys.stderr)

    def take(self, live: LiveFrame) -> bool:
        """Say, record and show a frame, and obey the keys; whether to go on."""
        self._last = live
        self._say(live)
        recorder = None if self.recordings is None else self.recordings.current
        wanted = self.screen is not None or (recorder is not None and recorder.needs_picture)
        picture = self.overlay.paint(live) if self.overlay is not None and wanted else None
        if recorder is not None:
            self.recordings.write(live, picture)
        if self.screen is None:
            return True
        self._show(picture)
        return self._obey()

    def wait(self) -> bool:
        """Obey the keys while a source gives nothing, such as a camera that was unplugged; whether to go on."""
        if self._last is None:
            return self.screen.key() != "q"
        if getattr(self.session.source, "is_lost", False):
            self._tell("no pictures; trying again")
        self._show(self.overlay.paint(self._last))
        return self._obey()

    def _say(self, live: LiveFrame) -> None:
        """Print what is new in a frame."""
        if self.json:
            for record in self._records.of(live):
                figures = {
                    "latency_ms": round(1000 * live.latency_s, 1),
                    "frame_rate": round(live.frame_rate, 1),
                    "dropped": live.dropped,
                }
                print(json_line(record | figures), end="", flush=True)
        elif self.screen is None:
            said = {face.face: face for face in live.faces}
            for number in sorted(said.keys() | self._said.keys()):
                face = said.get(number)
                known = face is not None and math.isfinite(face.confidence)
                what = "no face" if face is None else face.label if known else face.state.value
                if what != self._said.get(number):
                    confidence = f"  {face.confidence:.2f}" if known else ""
                    print(f"{live.timestamp_s:8.1f} s  face {number}  {what}{confidence}", flush=True)
                self._said[number] = what
                if face is None:
                    del self._said[number]

    def _show(self, picture: np.ndarray) -> None:
        """The painted picture with what only the window shows."""
        from .painting.hints import draw_help, draw_notice, draw_pause, draw_recording

        now_s = time.monotonic()
        occupied = self.overlay.occupied
        at = self.overlay.at
        recorder = None if self.recordings is None else self.recordings.current
        failure = "" if self.recordings is None else self.recordings.failure
        if failure:
            self._tell(failure, 3 * _NOTICE_S)
        noticed = now_s < self._notice_until_s
        helped = now_s < self._help_until_s
        if noticed or helped or self._paused or recorder is not None:
            picture = picture.copy()  # the recorder may still read it
            keys = draw_help(picture, at, occupied) if helped else None
            occupied = occupied if keys is None else [*occupied, keys]
            if recorder is not None:
                occupied = [*occupied, draw_recording(picture, recorder.seconds, at, occupied)]
            if noticed:
                draw_notice(picture, self._notice, at, self.overlay.occupied, keys)
            if self._paused:
                draw_pause(picture, at, occupied)
        self.screen.show(picture)

    def _obey(self) -> bool:
        """Do what the keys say, until they do not want to pause any more; whether to go on."""
        key = self.screen.key()
        while key or self._paused:
            if key == "q":
                return False
            if key:
                self._press(key)
            if key or self._paused:
                self._show(self.overlay.paint(self._last))
            key = self.screen.key(_PAUSE_MS if self._paused else 1)
        return True

    def _press(self, key: str) -> None:
        actions = {
            "p": self._pause,
            "m": self._next_mesh,
            "r": self._record,
            "n": self._calibrate,
            "f": self._next_layout,
            "h": self._help,
        }
        if key in actions:
            actions[key]()

    def _pause(self) -> None:
        self._paused = not self._paused
        if self._paused:
            self.session.pause()
        else:
            self.session.resume()

    def _next_mesh(self) -> None:
        self.overlay.mesh = self.overlay.mesh.next

    def _next_layout(self) -> None:
        self.overlay.arrange(self.overlay.timelines.next)

    def _help(self) -> None:
        now_s = time.monotonic()
        self._help_until_s = now_s if now_s < self._help_until_s else math.inf

    def _record(self) -> None:
        if self.recordings is None:
            return
        if self.recordings.current is not None:
            self._tell(f"recorded: {self.recordings.stop()}")
            return
        try:
            self._tell(f"recording: {self.recordings.start()}")
        except OSError as error:
            self._tell(f"nothing can be recorded here: {error.strerror}")

    def _calibrate(self) -> None:
        self.session.calibrate_neutral(seconds=_CALIBRATION_S)
        recorder = None if self.recordings is None else self.recordings.current
        if recorder is not None:
            recorder.note("neutral", time_s=self._last.timestamp_s, seconds=_CALIBRATION_S)
        self._tell("look neutral for a moment: this face is taken for yours at rest", _CALIBRATION_S + 1.0)

    def _tell(self, sentence: str, seconds: float = _NOTICE_S) -> None:
        self._notice, self._notice_until_s = sentence, time.monotonic() + seconds


class _Totals:
    """The figures of the closing line, in constant memory."""

    def __init__(self) -> None:
        self.frames = self.predictions = self.dropped = 0
        self._faces: set[int] = set()
        self._began_s = self._ended_s = 0.0
        self._latencies: np.ndarray = np.zeros(4096, np.float32)  # the last ones

    def count(self, live: LiveFrame) -> None:
        """Take in a frame."""
        self._ended_s = time.monotonic()
        if not self.frames:
            self._began_s = self._ended_s
        self._latencies[self.frames % len(self._latencies)] = live.latency_s
        self.frames += 1
        self.dropped = live.dropped
        self.predictions += sum(face.is_new for face in live.faces)
        self._faces.update(face.face for face in live.faces)

    def __str__(self) -> str:
        if not self.frames:
            return "not one frame came"
        median, late = 1000 * np.percentile(self._latencies[: self.frames], (50, 95))
        elapsed_s = self._ended_s - self._began_s
        rate = f"{(self.frames - 1) / elapsed_s:.1f} frames/s, " if elapsed_s > 0 else ""
        faces = f"{len(self._faces)} {'face' if len(self._faces) == 1 else 'faces'}" if self._faces else "no face"
        dropped = f" and {self.dropped} passed over" if self.dropped else ""
        return (
            f"{self.frames} frames{dropped}, {faces}, {self.predictions} predictions; {rate}"
            f"{median:.0f} ms from frame to result (95 % within {late:.0f} ms)"
        )
