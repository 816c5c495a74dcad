"""What a JPEG says of itself, read without decoding it, so that nobody's memory or time is taken by a lie."""

from typing import NamedTuple

_START, _END = b"\xff\xd8", b"\xff\xd9"
_SCAN = b"\xff\xda"
#: Frames that decoders know (ITU-T T.81, table B.1): baseline, extended and progressive, with Huffman codes.
_FRAMES = (0xC0, 0xC1, 0xC2)
#: C0 to CF begin frames, but for tables of codes (C4, CC) and what was reserved (C8).
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Tables, restart intervals, comments and whatever programs keep in a picture: with a length, and passed over. Nothing
#: else may stand before the frame: a decoder might read on elsewhere, and find another size.
_PASSED_OVER = frozenset((0xC4, 0xCC, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE))
#: Progressive pictures have about ten; each makes a decoder go over the whole picture once more.
_MOST_SCANS = 32
_MOST_SEGMENTS = 256
_PADDING = 64  # what some cameras put behind the end


class JpegHeader(NamedTuple):
    """Size in pixels, and colour components."""

    width: int
    height: int
    components: int


def read_header(data: bytes) -> JpegHeader:
    """Size and components of a JPEG of eight bits, grey or coloured, that was not cut off.

    Raises:
        ValueError: it is none, and why; to be put behind "the picture".
    """
    if not data.startswith(_START):
        raise ValueError("is not a JPEG")
    if data.rfind(_END, len(data) - _PADDING) < 0:
        raise ValueError("was cut off")
    # Inside the coded picture FF is always followed by zero or a restart, so what is counted are scans.
    if data.count(_SCAN) > _MOST_SCANS:
        raise ValueError(f"is coded in more than {_MOST_SCANS} scans")
    at = len(_START)
    for _ in range(_MOST_SEGMENTS):
        while data[at : at + 2] == b"\xff\xff":  # markers may be padded
            at += 1
        if len(data) < at + 4 or data[at] != 0xFF:
            break
        marker = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            return _frame(data[at + 4 : at + 2 + length])
        if marker in _OTHER_FRAMES:
            raise ValueError("is a JPEG of a rare kind (lossless, hierarchical or arithmetic)")
        if marker not in _PASSED_OVER or length < 2:
            break
        at += 2 + length
    raise ValueError("is a damaged JPEG: it does not say how large it is")


def _frame(segment: bytes) -> JpegHeader:
    """Of a frame header: precision, height, width, number of components, three bytes for each."""
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise ValueError("is a damaged JPEG: its header was cut off")
    if segment[0] != 8:
        raise ValueError(f"has {segment[0]} bits per colour; eight are read")
    header = JpegHeader(
        width=int.from_bytes(segment[3:5], "big"), height=int.from_bytes(segment[1:3], "big"), components=segment[5]
    )
    if header.components not in (1, 3):
        raise ValueError(f"has {header.components} colour components; grey (1) and coloured (3) pictures are read")
    if not (header.width and header.height):
        raise ValueError("has no pixels")
    return header
