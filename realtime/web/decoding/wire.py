"""What the decoding process says to the server: one line of JSON, frames, one more line.

The first line describes the pictures or says why there are none. Every frame is its time (float64, seconds) and
``width * height * 3`` bytes of RGB. Where NaN stands for a time, a line with the notes follows, and that is the end.
The server believes none of it: what does not fit its limits ends the reading.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from stgt.errors import SourceError

from ..limits import Limits

TIME = struct.Struct("<d")
#: Bytes of a line, at most.
LINE = 16 * 1024
_SLACK_S = 0.5
_SENTENCE, _NOTES = 400, 12  # characters of a sentence, and how many notes are listened to

Kind = Literal["photo", "video"]


@dataclass(frozen=True)
class Allowance:
    """The part of `Limits` that the decoding process keeps, handed to it as JSON."""

    picture_pixels: int
    picture_side: int
    video_side: int
    video_s: float
    video_frame_rate: float
    memory_bytes: int
    cpu_s: int

    @classmethod
    def of(cls, limits: Limits) -> "Allowance":
        """What ``limits`` allow."""
        return cls(
            picture_pixels=limits.picture_pixels,
            picture_side=limits.picture_side,
            video_side=limits.video_side,
            video_s=limits.video_s,
            video_frame_rate=limits.video_frame_rate,
            memory_bytes=limits.decode_memory_bytes,
            cpu_s=math.ceil(limits.decode_cpu_s * limits.video_s),
        )

    def frames_until(self, time_s: float) -> int:
        """How many frames may have been sent when one of this time is; cameras do not keep to their rate exactly."""
        return math.ceil(self.video_frame_rate * (time_s + _SLACK_S))

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Header:
    """What comes before the frames.

    Attributes:
        kind: a video may have a single frame, a photo always has.
        width: of every frame, px.
        height: of every frame, px.
        frame_rate: nominal, Hz.
        frame_count: how many to expect; None: nobody knows.
    """

    kind: Kind
    width: int
    height: int
    frame_rate: float
    frame_count: int | None


def encode_line(value: dict[str, Any]) -> bytes:
    """A line of JSON."""
    return json.dumps(value, allow_nan=False).encode() + b"\n"


def parse_header(line: bytes, limits: Limits) -> Header:
    """What the first line says, if it keeps to the limits.

    Raises:
        SourceError: it says why the file cannot be read.
        ValueError: it makes no sense.
    """
    value = _parse(line)
    if "error" in value:
        raise SourceError(_sentence(value["error"]))
    kind, rate, count = value.get("kind"), value.get("frame_rate"), value.get("frame_count")
    width, height = value.get("width"), value.get("height")
    if kind not in ("photo", "video") or not (_is_count(width) and _is_count(height)):
        raise ValueError("a header without kind or size")
    side = limits.picture_side if kind == "photo" else limits.video_side
    if max(width, height) > side or width * height > limits.picture_pixels:
        raise ValueError(f"pictures of {width}x{height} pixels")
    if not isinstance(rate, int | float) or not 0 < rate <= max(1.0, limits.video_frame_rate):
        raise ValueError(f"a frame rate of {rate!r}")
    if count is not None and not _is_count(count):
        raise ValueError(f"{count!r} frames")
    most = Allowance.of(limits).frames_until(limits.video_s)
    return Header(kind, width, height, float(rate), None if count is None else min(count, most))


def parse_notes(line: bytes) -> list[str]:
    """What the last line says about the file.

    Raises:
        ValueError: it makes no sense.
    """
    notes = _parse(line).get("notes")
    if not isinstance(notes, list):
        raise ValueError("no notes")
    return [_sentence(note) for note in notes[:_NOTES]]


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("a line that is no object")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _sentence(text: object) -> str:
    """Words for people, whoever wrote them."""
    if not isinstance(text, str):
        raise ValueError("a sentence that is no text")
    return "".join(sign if sign.isprintable() else " " for sign in text[:_SENTENCE])


def tidy(notes: Sequence[str]) -> list[str]:
    """Each note once, and no more than are listened to."""
    return [note[:_SENTENCE] for note in dict.fromkeys(notes)][:_NOTES]
