"""Where everything lies on the painted picture: the frame, a card per face, the legend, the line of figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .circle import Circle
from .lettering import Box, text_width

#: Pixels of the frame as it is shown: smaller ones are enlarged, so that what is written on them can be read.
LEAST_HEIGHT = 480
LARGEST = (1920, 1080)

_PANEL, _STRIP_WIDTH, _NAME_COLUMN = 292, 420, 176
_LEAST_CARD, _BELOW_CARD, _BELOW_CARDS = 84, 62, 4
_ROWS_CARD = (70, 30)  # height of a card with a row per label: its head, and each row


class Timelines(Circle):
    """Where the timelines are."""

    BESIDE = "beside"
    BELOW = "below"
    OFF = "off"


@dataclass(frozen=True)
class Arrangement:
    """Places in pixels.

    Attributes:
        size: ``(width, height)`` of the whole, both even.
        scale: of letters and margins, 1 at 480 rows.
        picture: of the frame.
        cards: one per face, as many as there is room for.
        in_rows: whether a card has a row per label, not all labels on top of one another.
        legend: where labels are explained by colour; none where rows name them.
        foot: of the line of figures; none: they go onto the frame.
    """

    size: tuple[int, int]
    scale: float
    picture: Box
    cards: tuple[Box, ...] = ()
    in_rows: bool = False
    legend: Box | None = None
    foot: Box | None = None

    def px(self, size: float) -> int:
        """Pixels of a length that is given at scale 1."""
        return max(1, round(size * self.scale))

    @property
    def name_column(self) -> int:
        """Width of the part of a card below the frame that holds the name."""
        return self.px(_NAME_COLUMN)


def shown_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """``(width, height)`` in which a frame of this size is shown."""
    width, height = image_size
    scale = max(1.0, LEAST_HEIGHT / height)
    scale = min(scale, LARGEST[0] / width, LARGEST[1] / height)
    return max(2, round(width * scale)), max(2, round(height * scale))


def arrange(image_size: tuple[int, int], timelines: Timelines, faces: int, labels: Sequence[str]) -> Arrangement:
    """The places of everything.

    Args:
        image_size: ``(width, height)`` of the frames.
        timelines: where they are wanted.
        faces: how many people there may be at once.
        labels: K names, for the legend.
    """
    width, height = shown_size(image_size)
    scale = float(np.clip(height / 600, 1.0, 1.8))
    if timelines is Timelines.BESIDE:
        return _beside(width, height, scale, faces, labels)
    if timelines is Timelines.BELOW:
        return _below(width, height, scale, faces, labels)
    return Arrangement(_even(width, height), scale, (0, 0, width, height))


def legend_lines(labels: Sequence[str], width: int, size: int) -> list[list[tuple[int, int]]]:
    """Lines of ``(x, label number)`` in which chips and names of all labels fit into a width."""
    lines: list[list[tuple[int, int]]] = [[]]
    x = 0
    for number, label in enumerate(labels):
        wide = round(1.5 * size) + text_width(label, size)
        if lines[-1] and x + wide > width:
            lines.append([])
            x = 0
        lines[-1].append((x, number))
        x += wide + round(1.2 * size)
    return lines


def legend_size(scale: float) -> int:
    """Size of the letters of the legend in pixels."""
    return round(12 * scale)


def _beside(width: int, height: int, scale: float, faces: int, labels: Sequence[str]) -> Arrangement:
    def px(size: float) -> int:
        return round(size * scale)

    tall = max(height, px(LEAST_HEIGHT / scale))
    size = _even(width + px(_PANEL), tall)
    left, right, margin = width + px(10), size[0] - px(10), px(10)
    foot = (left, size[1] - px(30), right, size[1] - px(8))
    room = foot[1] - margin
    in_rows = room / faces - margin >= px(_ROWS_CARD[0] + _ROWS_CARD[1] * len(labels))
    legend = None
    if not in_rows:
        lines = legend_lines(labels, right - left, legend_size(scale))
        top = foot[1] - px(6) - round(1.7 * legend_size(scale)) * len(lines)
        legend = (left, top, right, foot[1] - px(6))
        room = top - margin
    count = max(1, min(faces, room // px(_LEAST_CARD)))
    each = room / count
    cards = tuple(
        (left, round(margin + each * index), right, round(margin + each * (index + 1)) - px(8))
        for index in range(count)
    )
    return Arrangement(size, scale, _centred(width, height, width, size[1]), cards, in_rows, legend, foot)


def _below(width: int, height: int, scale: float, faces: int, labels: Sequence[str]) -> Arrangement:
    def px(size: float) -> int:
        return round(size * scale)

    wide = max(width, px(_STRIP_WIDTH))
    margin = px(10)
    left, right = margin, wide - margin
    count = min(faces, _BELOW_CARDS)
    each = px(_BELOW_CARD * (1.5 if count == 1 else 1.0))
    cards = tuple(
        (left, height + margin + each * i, right, height + margin + each * (i + 1) - px(6)) for i in range(count)
    )
    lines = legend_lines(labels, right - left, legend_size(scale))
    legend_top = height + margin + each * count + px(2)
    legend_end = legend_top + round(1.7 * legend_size(scale)) * len(lines)
    foot = (left, legend_end, right, legend_end + px(22))
    size = _even(wide, foot[3] + px(6))
    return Arrangement(
        size, scale, _centred(width, height, wide, height), cards, False, (left, legend_top, right, legend_end), foot
    )


def _centred(width: int, height: int, within_width: int, within_height: int) -> Box:
    left, top = (within_width - width) // 2, (within_height - height) // 2
    return left, top, left + width, top + height


def _even(width: int, height: int) -> tuple[int, int]:
    return width + width % 2, height + height % 2
