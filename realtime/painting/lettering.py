"""Text and soft shapes on pictures, fast enough for every frame: whatever is drawn twice is kept as a mask."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stgt.evaluation.plots import PALETTE

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Colour = tuple[int, int, int]
#: ``(left, top, right, bottom)`` in pixels.
Box = tuple[int, int, int, int]

#: Colours (RGB) of everything that is painted around a picture.
PAPER, CARD, LINE = (17, 20, 25), (27, 32, 38), (58, 66, 76)
INK, MUTED, WARNING = (236, 240, 244), (150, 161, 172), (232, 74, 66)
#: Of labels in the order of a model: those of the plots.
LABEL_COLOURS: tuple[Colour, ...] = tuple(tuple(bytes.fromhex(colour[1:])) for colour in PALETTE)

_FINER = 4  # shapes are drawn this much larger and shrunk, which makes their edges smooth


def label_colour(labels: tuple[str, ...], label: str) -> Colour:
    """The colour of a label, the same as in plots and reports; grey for what is none of them."""
    return LABEL_COLOURS[labels.index(label) % len(LABEL_COLOURS)] if label in labels else MUTED


def write(
    picture: np.ndarray,
    position: tuple[int, int],
    text: str,
    size: int,
    colour: Colour = INK,
    align: str = "left",
    bold: bool = False,
) -> None:
    """Write one line of text, in place; what lies outside the picture is cut off.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB.
        position: ``(x, y)`` of the start of the base line, or of its middle or end.
        text: the line.
        size: of the letters in pixels.
        colour: RGB.
        align: ``left``, ``centre`` or ``right``.
        bold: heavier letters.
    """
    mask, left, top, advance = _letters(text, size, bold)
    shift = {"left": 0, "centre": advance // 2, "right": advance}[align]
    blend(picture, (position[0] - shift + left, position[1] + top), mask, colour)


def text_width(text: str, size: int, bold: bool = False) -> int:
    """Pixels from the start of a line of text to where the next one would go on."""
    return _letters(text, size, bold)[3]


def panel(picture: np.ndarray, box: Box, colour: Colour, opacity: float = 1.0, radius: int = 0) -> None:
    """Fill a rectangle with round corners, in place."""
    width, height = box[2] - box[0], box[3] - box[1]
    if width > 0 and height > 0:
        mask = _rounded(width, height, min(radius, width // 2, height // 2), opacity)
        blend(picture, box[:2], mask, colour)


def fill(region: np.ndarray, colour: Colour) -> None:
    """Make a whole region one colour, in place; numpy would take ten times as long."""
    cv2.rectangle(region, (0, 0), region.shape[1::-1], colour, -1)


def dot(picture: np.ndarray, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    """Fill a circle, in place."""
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    panel(picture, box, colour, radius=radius)


def blend(picture: np.ndarray, corner: tuple[int, int], mask: np.ndarray, colour: Colour) -> None:
    """Lay a colour over a picture, in place, where and as strongly as ``mask`` ``(h, w)`` uint8 says."""
    left, top = max(0, -corner[0]), max(0, -corner[1])
    x, y = max(corner[0], 0), max(corner[1], 0)
    region = picture[y : y + max(0, mask.shape[0] - top), x : x + max(0, mask.shape[1] - left)]
    if not region.size:
        return
    share = mask[top : top + region.shape[0], left : left + region.shape[1], None].astype(np.int16)
    difference = np.array(colour, np.int32) - region
    region[...] = region + ((difference * share + 127) // 255)


def ink_on(colour: Colour) -> Colour:
    """Light or dark letters, whichever are easier to read on this colour (its luma as in ITU-R BT.601)."""
    return PAPER if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140 else (255, 255, 255)


@lru_cache(maxsize=2048)
def _letters(text: str, size: int, bold: bool) -> tuple[np.ndarray, int, int, int]:
    """Mask of a line, its left and top relative to the start of the base line, and its advance."""
    from PIL import Image, ImageDraw

    font = _font(size, bold)
    left, top, right, bottom = (round(value) for value in font.getbbox(text, anchor="ls"))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, 255, font, anchor="ls")
    return np.asarray(image), left, top, round(font.getlength(text))


@lru_cache(maxsize=32)
def _font(size: int, bold: bool) -> "FreeTypeFont":
    """DejaVu Sans, which comes with matplotlib."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


@lru_cache(maxsize=256)
def _rounded(width: int, height: int, radius: int, opacity: float) -> np.ndarray:
    value = round(255 * opacity)
    if radius <= 0:
        return np.full((height, width), value, np.uint8)
    large = np.zeros((height * _FINER, width * _FINER), np.uint8)
    reach = radius * _FINER
    right, bottom = width * _FINER - 1, height * _FINER - 1
    cv2.rectangle(large, (reach, 0), (right - reach, bottom), value, -1)
    cv2.rectangle(large, (0, reach), (right, bottom - reach), value, -1)
    for x in (reach, right - reach):
        for y in (reach, bottom - reach):
            cv2.circle(large, (x, y), reach, value, -1)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
