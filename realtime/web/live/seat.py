"""What somebody inside the room has: a session that reads their frames in a thread of its own."""

import logging
from typing import TYPE_CHECKING

from stgt.errors import StgtError

from ...frames import LiveFrame
from ...recording.description import RecordingInfo
from ...session import LiveSession
from .memory import give_back_memory
from .messages import Hello, Mesh, Neutral, Record, as_text, result_message
from .outbox import Outbox
from .recording import LiveRecording
from .source import PushedSource

if TYPE_CHECKING:
    from ..service import Service

logger = logging.getLogger("stgt")

_EVERY_S = 0.2  # from one prediction to the next, as in the live program


class Seat:
    """A live session, and what its client wishes of it.

    `run` belongs to a thread; everything else may be called from any other.

    Args:
        service: of the server.
        hello: what the client said of itself.
        faces: people that are followed.
        outbox: where messages to the client go.

    Attributes:
        source: where the client's frames go.

    Raises:
        StgtError: frames of a size that is not taken.
    """

    def __init__(self, service: "Service", hello: Hello, faces: int, outbox: Outbox) -> None:
        self.source = PushedSource((hello.width, hello.height), service.limits, service.room.turns)
        self._service = service
        self._faces = faces
        self._mesh = hello.mesh
        self._outbox = outbox
        self._session: LiveSession | None = None
        self._recording: LiveRecording | None = None
        self._in_sight: frozenset[int] = frozenset()
        self._calibrating = False

    def run(self) -> str | None:
        """Read frames until `stop` is called; if it ended before, why, as a sentence for the client."""
        try:
            with self._service.room.landmarkers.lent(self._faces) as landmarker:
                return self._read(landmarker)
        except StgtError as error:
            return str(error)
        except Exception:
            logger.exception("a live session has failed")
            raise
        finally:
            if self._recording is not None:
                self._recording.stop()
            self._session = None
            give_back_memory()

    def stop(self) -> None:
        """End the session."""
        self.source.close()

    def wish(self, wish: Neutral | Mesh | Record) -> None:
        """Do what the client asks for.

        Raises:
            StgtError: the session has not begun.
        """
        if self._session is None:
            raise StgtError("wait for the message ready")
        if isinstance(wish, Mesh):
            self._mesh = wish.on
        elif isinstance(wish, Neutral):
            self._calibrate(self._session, wish)
        elif wish.on:
            self._record(self._session)
        elif self._recording is not None:
            self._recording.stop()

    def _read(self, landmarker) -> str | None:  # noqa: ANN001 - imported late
        reader = self._service.reader
        with LiveSession(
            reader,
            self.source,
            faces=self._faces,
            every_s=_EVERY_S,
            landmarker=landmarker,
            attention=True,
            shared=True,
        ) as session:
            self._session = session
            self._say({"type": "ready", "labels": list(reader.labels)})
            try:
                for live in session:
                    self._tell(session, live)
            except StgtError as error:  # the frames are at fault, and not the landmarker, which stays in use
                return str(error)
        return None

    def _tell(self, session: LiveSession, live: LiveFrame) -> None:
        """Answer a frame."""
        self._in_sight = frozenset(face.face for face in live.faces)
        pushed = self.source.answered(live.timestamp_s)
        self._outbox.put_result(result_message(live, pushed, self._service.reader.layout, self._mesh))
        if self._recording is not None:
            self._recording.take(live)
        if self._calibrating and not session.is_calibrating:
            self._calibrating = False
            self._say({"type": "neutral", "status": "done"})

    def _calibrate(self, session: LiveSession, wish: Neutral) -> None:
        if wish.face is not None and wish.face not in self._in_sight:
            self._say({"type": "neutral", "status": "failed", "error": f"face {wish.face} is not in sight"})
            return
        self._say({"type": "neutral", "status": "collecting"})
        if not self._calibrating:
            session.calibrate_neutral(wish.face, wish.seconds)
            self._calibrating = True

    def _record(self, session: LiveSession) -> None:
        if self._recording is not None and self._recording.is_open:
            return
        reader, service = self._service.reader, self._service
        info = RecordingInfo.of(reader, session.source, service.checkpoint, {"faces": self._faces, "every": _EVERY_S})
        try:
            self._recording = service.room.recordings.begin(
                service.scratch, info, reader.layout, self._faces, self._say
            )
        except (StgtError, OSError) as error:
            why = str(error) if isinstance(error, StgtError) else "the server cannot write to its disk"
            self._say({"type": "recording", "status": "failed", "id": None, "seconds": 0.0, "error": why})

    def _say(self, message: dict) -> None:
        self._outbox.put_news(as_text(message))
