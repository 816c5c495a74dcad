"""The card of one face: who it is, what is said of it, and its timeline; the legend and the line of figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arrangement import Arrangement, legend_lines, legend_size
from .lettering import CARD, INK, LABEL_COLOURS, LINE, MUTED, PAPER, Box, Colour, fill, ink_on, panel, text_width, write
from .timeline import Timeline, draw_rows, draw_stack


@dataclass(frozen=True, eq=False)
class CardContent:
    """What a card shows.

    Attributes:
        face: number of the person; none: nobody.
        title: the label, or the state.
        figure: the confidence in words; may be empty.
        share: the same from 0 to 1; none: not known.
        colour: of the label.
        leader: number of the label that is said; none: no label is.
        probabilities: (K,); NaN where nothing is known.
        timeline: of the face.
        quiet: whether the face is out of sight.
    """

    face: int | None
    title: str
    figure: str
    share: float | None
    colour: Colour
    leader: int | None
    probabilities: np.ndarray
    timeline: Timeline | None
    quiet: bool = False


def draw_ground(labels: Sequence[str], at: Arrangement) -> np.ndarray:
    """``(H, W, 3)`` uint8: all that stays the same from frame to frame."""
    ground = np.empty((at.size[1], at.size[0], 3), np.uint8)
    fill(ground, PAPER)
    for box in at.cards:
        panel(ground, box, CARD, radius=at.px(8))
    if at.legend is not None:
        draw_legend(ground, labels, at)
    return ground


def draw_large_card(
    picture: np.ndarray, box: Box, card: CardContent, now_s: float, labels: Sequence[str], at: Arrangement
) -> None:
    """What a card with a row per label says, in place."""
    left, right = box[0] + at.px(14), box[2] - at.px(14)
    base, size = box[1] + at.px(34), at.px(22)
    words = MUTED if card.quiet or card.leader is None else INK
    start = _id_chip(picture, left, base, at.px(15), card) if card.face is not None else left
    size = _fitting(card.title, size, right - start - text_width("100 %", at.px(17)) - at.px(10))
    write(picture, (start, base), card.title, size, words, bold=True)
    write(picture, (right, base), card.figure, at.px(17), words, "right")
    bar = (left, box[1] + at.px(46), right, box[1] + at.px(52))
    panel(picture, bar, LINE, radius=at.px(3))
    if card.share is not None:
        end = left + max(at.px(6), round(card.share * (right - left)))
        panel(picture, (left, bar[1], end, bar[3]), card.colour, radius=at.px(3))
    rows = (left, box[1] + at.px(62), right, box[3] - at.px(12))
    draw_rows(picture, rows, card.timeline, now_s, labels, LABEL_COLOURS, card.probabilities, card.leader, at.px(12))


def draw_small_card(picture: np.ndarray, box: Box, card: CardContent, now_s: float, at: Arrangement) -> None:
    """What a card with all labels on top of one another says, in place: the name above them."""
    left, right = box[0] + at.px(10), box[2] - at.px(10)
    _name_line(picture, left, right, box[1] + at.px(21), card, at)
    draw_stack(picture, (left, box[1] + at.px(30), right, box[3] - at.px(8)), card.timeline, now_s, LABEL_COLOURS)


def draw_flat_card(picture: np.ndarray, box: Box, card: CardContent, now_s: float, at: Arrangement) -> None:
    """The same with the name to the left of the labels."""
    start = box[0] + at.name_column
    base = (box[1] + box[3]) // 2 + at.px(5)
    _name_line(picture, box[0] + at.px(10), start - at.px(4), base, card, at)
    chart = (start + at.px(4), box[1] + at.px(7), box[2] - at.px(8), box[3] - at.px(7))
    draw_stack(picture, chart, card.timeline, now_s, LABEL_COLOURS)


def draw_legend(picture: np.ndarray, labels: Sequence[str], at: Arrangement) -> None:
    """A chip and a name for each label, in place."""
    size = legend_size(at.scale)
    left, top, right, _ = at.legend
    for number, line in enumerate(legend_lines(labels, right - left, size)):
        base = top + round(1.7 * size * number + 1.25 * size)
        for x, label in line:
            chip = (left + x, base - round(0.8 * size), left + x + round(0.9 * size), base + round(0.1 * size))
            panel(picture, chip, LABEL_COLOURS[label % len(LABEL_COLOURS)], radius=round(0.25 * size))
            write(picture, (left + x + round(1.4 * size), base), labels[label], size, MUTED)


def draw_foot(picture: np.ndarray, figures: str, clock: str, at: Arrangement) -> None:
    """The line of figures, in place."""
    base = at.foot[3] - at.px(7)
    size = _fitting(figures, at.px(12), at.foot[2] - at.foot[0] - text_width(clock, at.px(12)) - at.px(10), bold=False)
    write(picture, (at.foot[0] + at.px(2), base), figures, size, MUTED)
    write(picture, (at.foot[2] - at.px(2), base), clock, at.px(12), MUTED, "right")


def _name_line(picture: np.ndarray, left: int, right: int, base: int, card: CardContent, at: Arrangement) -> None:
    words = MUTED if card.quiet or card.leader is None else INK
    start = left
    if card.face is not None:
        start = _id_chip(picture, left, base, at.px(13), card)
    size = _fitting(card.title, at.px(14), right - start - text_width("100 %", at.px(13)) - at.px(8))
    write(picture, (start, base), card.title, size, words, bold=True)
    write(picture, (right, base), card.figure, at.px(13), words, "right")


def _id_chip(picture: np.ndarray, left: int, base: int, size: int, card: CardContent) -> int:
    """The number of the person on its colour; where the text after it starts."""
    width = max(round(1.5 * size), text_width(str(card.face), size, bold=True) + round(0.8 * size))
    middle = base - round(0.36 * size)
    colour = LINE if card.quiet or card.leader is None else card.colour
    chip = (left, middle - round(0.75 * size), left + width, middle + round(0.75 * size))
    panel(picture, chip, colour, radius=round(0.35 * size))
    write(picture, (left + width // 2, base), str(card.face), size, ink_on(colour), "centre", bold=True)
    return left + width + round(0.6 * size)


def _fitting(text: str, size: int, width: int, bold: bool = True) -> int:
    """The largest size up to ``size`` at which a line is no wider than ``width``, but never too small to read."""
    while size > 9 and text_width(text, size, bold) > width:
        size -= 1
    return size
