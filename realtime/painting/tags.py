"""Tags that name faces, laid where they hide none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .lettering import CARD, INK, MUTED, PAPER, Box, Colour, ink_on, panel, text_width, write

_LOYALTY = 0.08  # of a tag's area: a place must be better by this before a tag moves there at once
_PATIENCE = 45  # frames that a place which is liked better must be free before a tag moves back there


@dataclass(frozen=True)
class Tag:
    """What a tag says.

    Attributes:
        face: number of the person.
        text: the label, or the state.
        figure: the confidence, such as ``87 %``; may be empty.
        colour: of the label.
        progress: from 0 to 1, how much of the window is filled; none: it is.
        quiet: whether it speaks of a face that is out of sight.
    """

    face: int
    text: str
    figure: str
    colour: Colour
    progress: float | None = None
    quiet: bool = False


def tag_size(tag: Tag, size: int) -> tuple[int, int]:
    """``(width, height)`` in pixels, for letters of this size."""
    chip = max(round(1.5 * size), text_width(str(tag.face), size, bold=True) + size)
    width = chip + round(0.6 * size) + text_width(tag.text, size, bold=True) + round(0.7 * size)
    if tag.figure:
        width += text_width("100 %", size) + round(0.5 * size)  # of the longest: a tag must not change its width
    return width, round(1.75 * size)


def draw_tag(picture: np.ndarray, corner: tuple[int, int], tag: Tag, size: int) -> None:
    """Draw a tag whose left upper corner is given, in place."""
    width, height = tag_size(tag, size)
    left, top = corner
    right, bottom, radius = left + width, top + height, round(0.45 * size)
    base = top + round(0.5 * height + 0.36 * size)
    panel(picture, (left, top, right, bottom), PAPER, 0.6 if tag.quiet else 0.85, radius)
    chip = max(round(1.5 * size), text_width(str(tag.face), size, bold=True) + size)
    colour = CARD if tag.quiet else tag.colour
    panel(picture, (left, top, left + chip, bottom), colour, 1.0, radius)
    write(picture, (left + chip // 2, base), str(tag.face), size, ink_on(colour), "centre", bold=True)
    words = MUTED if tag.quiet or tag.progress is not None else INK
    write(picture, (left + chip + round(0.6 * size), base), tag.text, size, words, bold=True)
    if tag.figure:
        write(picture, (right - round(0.7 * size), base), tag.figure, size, words, "right")
    if tag.progress is not None:
        start, end = left + chip + round(0.6 * size), right - round(0.7 * size)
        full = start + round((end - start) * float(np.clip(tag.progress, 0, 1)))
        panel(picture, (start, bottom - max(2, size // 6) - 1, full, bottom - 1), MUTED)


class TagPlaces:
    """Finds places for tags and remembers them, so that a tag stays on its side of the face."""

    def __init__(self) -> None:
        self._chosen: dict[int, int] = {}
        self._waited: dict[int, int] = {}

    def place(
        self, sizes: Mapping[int, tuple[int, int]], boxes: Mapping[int, Box], bounds: Box, gap: int
    ) -> dict[int, tuple[int, int]]:
        """Left upper corners of the tags of all faces.

        Args:
            sizes: ``(width, height)`` of each face's tag.
            boxes: of the faces.
            bounds: of the picture; tags stay inside while they fit.
            gap: pixels between a tag and its box.
        """
        for memory in (self._chosen, self._waited):
            for face in memory.keys() - sizes.keys():
                del memory[face]
        taken: list[Box] = []
        corners = {}
        for face, size in sizes.items():
            options = [inside(option, size, bounds) for option in _around(boxes[face], size, gap)]
            costs = [self._cost(corner, size, boxes, taken) for corner in options]
            best = int(np.argmin(costs))
            before = self._chosen.get(face, best)
            waited = self._waited.get(face, 0) + 1 if best != before else 0
            if costs[before] <= costs[best] + _LOYALTY * size[0] * size[1] and waited < _PATIENCE:
                best = before
            self._waited[face] = waited if best == before else 0
            self._chosen[face] = best
            corners[face] = options[best]
            taken.append((*options[best], options[best][0] + size[0], options[best][1] + size[1]))
        return corners

    @staticmethod
    def _cost(corner: tuple[int, int], size: tuple[int, int], boxes: Mapping[int, Box], taken: Sequence[Box]) -> float:
        """Pixels that a tag would hide: of faces, and twice those of other tags."""
        tag = (*corner, corner[0] + size[0], corner[1] + size[1])
        return sum(overlap(tag, box) for box in boxes.values()) + 2 * sum(overlap(tag, other) for other in taken)


def overlap(one: Box, other: Box) -> float:
    """Pixels that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return float(width * height) if width > 0 and height > 0 else 0.0


def inside(corner: tuple[int, int], size: tuple[int, int], bounds: Box) -> tuple[int, int]:
    """The corner moved so that a box of this size lies within bounds, from the left and top if it is too large."""
    x = max(bounds[0], min(corner[0], bounds[2] - size[0]))
    y = max(bounds[1], min(corner[1], bounds[3] - size[1]))
    return x, y


def _around(box: Box, size: tuple[int, int], gap: int) -> list[tuple[int, int]]:
    """Places around a box in the order in which they are liked."""
    left, top, right, bottom = box
    above, below = top - size[1] - gap, bottom + gap
    middle = (left + right - size[0]) // 2
    beside = [(right + gap, top), (left - size[0] - gap, top), (right + gap, bottom - size[1])]
    return [
        *((left, above), (right - size[0], above), (middle, above)),
        *((left, below), (right - size[0], below), (middle, below)),
        *beside,
        (left - size[0] - gap, bottom - size[1]),
        (left, top),  # nowhere else: on the forehead
    ]
