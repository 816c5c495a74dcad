"""What only the window shows, above the picture: keys, notices, whether it records or stands still."""

from collections.abc import Sequence

import numpy as np

from .arrangement import Arrangement
from .lettering import INK, LINE, MUTED, PAPER, WARNING, Box, dot, panel, text_width, write
from .tags import overlap

#: Key -> what it does, in the order in which they are shown.
KEYS = {
    "q": "quit",
    "p": "pause",
    "m": "mesh",
    "r": "record",
    "n": "neutral",
    "f": "layout",
    "h": "help",
}


def draw_help(picture: np.ndarray, at: Arrangement, occupied: Sequence[Box]) -> Box:
    """The keys at the foot of the frame, in place, or at its head where they would hide faces; where they are."""
    size, gap = at.px(12), at.px(14)
    region = _frame(picture, at)
    cap = round(1.7 * size)
    widths = [cap + round(0.5 * size) + text_width(does, size) for does in KEYS.values()]
    lines, x = [[]], 0
    for entry, width in zip(KEYS.items(), widths, strict=True):
        if lines[-1] and x + width > region.shape[1] - 4 * gap:
            lines.append([])
            x = 0
        lines[-1].append((entry, width))
        x += width + gap
    wide = max(sum(width for _, width in line) + gap * (len(line) - 1) for line in lines) + 2 * gap
    row = round(2.1 * size)
    box = _place(region, (wide, row * len(lines) + at.px(8)), at, occupied)
    panel(region, box, PAPER, 0.82, at.px(9))
    for number, line in enumerate(lines):
        x = box[0] + gap
        middle = box[1] + at.px(4) + row * number + row // 2
        for (key, does), width in line:
            panel(region, (x, middle - cap // 2, x + cap, middle + cap // 2), LINE, radius=at.px(4))
            base = middle + round(0.36 * size)
            write(region, (x + cap // 2, base), key.upper(), size, INK, "centre", bold=True)
            write(region, (x + cap + round(0.5 * size), base), does, size, MUTED)
            x += width + gap
    return box


def draw_notice(
    picture: np.ndarray, text: str, at: Arrangement, occupied: Sequence[Box], keys: Box | None = None
) -> None:
    """One sentence at the foot or the head of the frame, in place; it becomes smaller where it is too long.

    ``keys``: where they are shown; it lies above or below them.
    """
    region = _frame(picture, at)
    size = at.px(14)
    while size > 9 and text_width(text, size) > region.shape[1] - at.px(50):
        size -= 1
    wide = text_width(text, size) + at.px(28)
    lift = 0 if keys is None else keys[3] - keys[1] + at.px(6)
    left, top, right, bottom = _place(region, (wide, at.px(32)), at, occupied, lift)
    panel(region, (left, top, right, bottom), PAPER, 0.88, at.px(9))
    write(region, ((left + right) // 2, (top + bottom) // 2 + round(0.36 * size)), text, size, INK, "centre")


def draw_recording(picture: np.ndarray, seconds: float, at: Arrangement, occupied: Sequence[Box]) -> Box:
    """A red dot and how long it records, in the corner of the frame that hides least, in place; where it is."""
    region = _frame(picture, at)
    text = f"REC  {int(seconds) // 60}:{int(seconds) % 60:02d}"
    box = _mark(region, text, at, occupied)
    dot(region, (box[0] + at.px(15), (box[1] + box[3]) // 2), at.px(5), WARNING)
    return box


def draw_pause(picture: np.ndarray, at: Arrangement, occupied: Sequence[Box]) -> None:
    """Two bars and a word, in the corner of the frame that hides least, in place."""
    region = _frame(picture, at)
    box = _mark(region, "paused", at, occupied)
    middle = (box[1] + box[3]) // 2
    for x in (box[0] + at.px(10), box[0] + at.px(16)):
        panel(region, (x, middle - at.px(6), x + at.px(4), middle + at.px(6)), INK, radius=at.px(1))


def _mark(region: np.ndarray, text: str, at: Arrangement, occupied: Sequence[Box]) -> Box:
    """A word in a corner, with room for a sign before it."""
    size = at.px(13)
    box = _corner(region, (text_width(text, size, bold=True) + at.px(38), at.px(26)), at, occupied)
    panel(region, box, PAPER, 0.85, at.px(8))
    base = (box[1] + box[3]) // 2 + round(0.36 * size)
    write(region, (box[0] + at.px(27), base), text, size, INK, bold=True)
    return box


def draw_corner_note(region: np.ndarray, text: str, at: Arrangement, occupied: Sequence[Box]) -> Box:
    """A small line of figures in the corner of a frame that hides least, in place; where it is."""
    size = at.px(12)
    box = _corner(region, (text_width(text, size) + at.px(18), at.px(24)), at, occupied)
    panel(region, box, PAPER, 0.8, at.px(7))
    write(region, (box[0] + at.px(9), (box[1] + box[3]) // 2 + round(0.36 * size)), text, size, INK)
    return box


def _frame(picture: np.ndarray, at: Arrangement) -> np.ndarray:
    left, top, right, bottom = at.picture
    return picture[top:bottom, left:right]


def _corner(region: np.ndarray, size: tuple[int, int], at: Arrangement, occupied: Sequence[Box]) -> Box:
    margin = at.px(8)
    width, height = region.shape[1], region.shape[0]
    corners = [
        (x, y, x + size[0], y + size[1])
        for y in (margin, height - margin - size[1], 2 * margin + size[1])  # at last below what is in a corner
        for x in (width - margin - size[0], margin)
    ]
    return min(corners, key=lambda box: sum(overlap(box, other) for other in occupied))


def _place(region: np.ndarray, size: tuple[int, int], at: Arrangement, occupied: Sequence[Box], lift: int = 0) -> Box:
    left = (region.shape[1] - size[0]) // 2
    foot = region.shape[0] - at.px(12) - lift - size[1]
    places = [(left, y, left + size[0], y + size[1]) for y in (foot, at.px(12) + lift)]
    return min(places, key=lambda box: sum(overlap(box, other) for other in occupied))
