"""What is said over the socket: messages from clients, checked; and a `LiveFrame` as the message that answers it."""

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from stgt.errors import StgtError
from stgt.graphs.layout import NodeLayout

from ...frames import LiveFace, LiveFrame
from .source import PushedFrame

_HEADER = struct.Struct("<Id")  # frame number, time of capture in seconds
_LONGEST_TEXT = 2048
_LONGEST_NEUTRAL_S = 30.0
_MOST_NUMBER = 2**31


class ProtocolError(StgtError):
    """A client has said what it must not say."""


@dataclass(frozen=True)
class Hello:
    """Size of the frames that will come, in pixels, and whether the client wants to see the mesh."""

    width: int
    height: int
    mesh: bool


@dataclass(frozen=True)
class Neutral:
    """The face of the next seconds is at rest; of a person, or of everyone."""

    seconds: float
    face: int | None


@dataclass(frozen=True)
class Mesh:
    """Whether results tell nodes and attention."""

    on: bool


@dataclass(frozen=True)
class Record:
    """Whether to record."""

    on: bool


def parse_hello(text: str) -> Hello:
    """The first message.

    Raises:
        ProtocolError: it is none.
    """
    said = _parse(text)
    if said.get("type") != "hello":
        raise ProtocolError('the first message must be {"type": "hello", "width": 640, "height": 480}')
    return Hello(_whole(said, "width"), _whole(said, "height"), _switch(said, "mesh", False))


def parse_wish(text: str) -> Neutral | Mesh | Record:
    """A later message of text.

    Raises:
        ProtocolError: there is no such message.
    """
    said = _parse(text)
    if said["type"] == "mesh":
        return Mesh(_switch(said, "on"))
    if said["type"] == "record":
        return Record(_switch(said, "on"))
    if said["type"] == "neutral":
        seconds = said.get("seconds", 1.5)
        if not _is_number(seconds) or not 0 < seconds <= _LONGEST_NEUTRAL_S:
            raise ProtocolError(f"a neutral face takes from 0 to {_LONGEST_NEUTRAL_S:g} seconds")
        return Neutral(float(seconds), None if said.get("face") is None else _whole(said, "face"))
    raise ProtocolError("a message must be of type neutral, mesh or record")


def parse_frame(message: bytes) -> tuple[int, float, bytes]:
    """Number, time on the client's clock in seconds, and JPEG of a binary message.

    Raises:
        ProtocolError: it is too short for that.
    """
    if len(message) <= _HEADER.size:
        raise ProtocolError(
            f"a frame is its number (4 bytes), its time in seconds (8 bytes) and a JPEG; {len(message)} bytes are none"
        )
    number, time_s = _HEADER.unpack_from(message)
    return number, time_s, message[_HEADER.size :]


def pack_frame(number: int, time_s: float, jpeg: bytes) -> bytes:
    """What `parse_frame` reads."""
    return _HEADER.pack(number, time_s) + jpeg


def result_message(live: LiveFrame, pushed: PushedFrame, layout: NodeLayout, mesh: bool) -> str:
    """The message that answers a frame, and all before it.

    Args:
        live: what was found.
        pushed: the frame as its sender knows it.
        layout: nodes of the model.
        mesh: whether nodes and attention are told.
    """
    return as_text(
        {
            "type": "result",
            "frame": pushed.frame,
            "time_s": pushed.time_s,
            "faces": [_face(face, layout, mesh) for face in live.faces],
            "frame_rate": round(live.frame_rate, 1),
            "latency_ms": round(1000 * live.latency_s, 1),
            "stages_ms": {stage: round(1000 * seconds, 2) for stage, seconds in live.stages.items()},
            "dropped": live.dropped,
        }
    )


def as_text(message: dict[str, Any]) -> str:
    """A message as JSON."""
    return json.dumps(message, allow_nan=False, separators=(",", ":"))


def _face(face: LiveFace, layout: NodeLayout, mesh: bool) -> dict[str, Any]:
    known = bool(np.isfinite(face.probabilities).all())
    described = {
        "face": face.face,
        "state": face.state.value,
        "label": face.label,
        "confidence": round(float(face.confidence), 4) if math.isfinite(face.confidence) else None,
        "probabilities": np.round(face.probabilities, 4).tolist() if known else None,
        "box": [round(float(value), 1) for value in face.box],
        "is_new": face.is_new,
    }
    if mesh and face.landmarks is not None:
        points = face.landmarks.points[layout.landmarks, :2]
        described["nodes"] = np.rint(points).astype(np.int32).ravel().tolist()
        if face.attention is not None:
            described["attention"] = np.round(face.attention.astype(np.float64), 4).tolist()
    return described


def _parse(text: str) -> dict[str, Any]:
    """A JSON object with a type."""
    if len(text) > _LONGEST_TEXT:
        raise ProtocolError(f"a message of {len(text)} characters is longer than any that makes sense")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a message of text must be JSON") from None
    if not isinstance(said, dict) or not isinstance(said.get("type"), str):
        raise ProtocolError("a message must be a JSON object with a type")
    return said


def _whole(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if not _is_number(value) or value != int(value) or not 0 <= value < _MOST_NUMBER:
        raise ProtocolError(f"{name} must be a whole number, not negative")
    return int(value)


def _switch(said: dict[str, Any], name: str, default: bool | None = None) -> bool:
    value = said.get(name, default)
    if not isinstance(value, bool):
        raise ProtocolError(f"{name} must be true or false")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
