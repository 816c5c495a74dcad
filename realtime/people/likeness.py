"""How alike two faces look: a small signature of an aligned crop, to know people again within one session.

Not an identity: it tells the people apart that sit before one camera in one light. It holds a thumbnail, brought to
mean 0 and unit length so that brightness does not count, and the face's histogram of colours.
"""

import math
from functools import cache

import cv2
import numpy as np

from stgt.faces.crops import CROP_SIZE

_THUMBNAIL = 12  # px: finer ones tell expressions apart rather than people
_COLOURS = 32  # px, the side of the crop that colours are counted in
_BINS, _RANGE = 16, (100.0, 180.0)  # of a and b in OpenCV's 8-bit CIELAB, where skin and light fall
_CENTRE, _RADII = (63.5, 62.0), (42.0, 52.0)  # px of the crop: the oval of the face, without hair and background


def signature(crop: np.ndarray) -> np.ndarray:
    """What an aligned crop, ``(CROP_SIZE, CROP_SIZE, 3)`` uint8 RGB, looks like: (D,) float32."""
    coloured = cv2.resize(crop, (_COLOURS, _COLOURS), interpolation=cv2.INTER_AREA)
    small = cv2.resize(coloured, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)[_oval(_THUMBNAIL)]
    thumbnail = small.astype(np.float32) - small.mean(axis=0, dtype=np.float32)
    lab = cv2.cvtColor(coloured, cv2.COLOR_RGB2LAB)
    mask = _oval(_COLOURS).view(np.uint8)
    colours = np.sqrt(cv2.calcHist([lab], [1, 2], mask, [_BINS, _BINS], [*_RANGE, *_RANGE]))
    return normalised(np.concatenate([thumbnail.ravel(), colours.ravel()]))


def normalised(signatures: np.ndarray) -> np.ndarray:
    """A signature, or a sum of several of one face, with each of its two parts of unit length."""
    result = signatures.astype(np.float32)
    for part in (result[: _parting()], result[_parting() :]):
        part /= max(math.sqrt(part @ part), 1e-6)
    return result


def unlikeness(one: np.ndarray, other: np.ndarray) -> float:
    """Between two signatures: 0 for the same picture; two people mostly differ by 0.3 to 1.5.

    The sum of the thumbnails' cosine distance and the squared Hellinger distance of the colours.
    """
    return 2.0 - float(one @ other)


@cache
def _oval(side: int) -> np.ndarray:
    """(side, side) bool, where the face is in a crop of that size."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) * (CROP_SIZE / side) - 0.5
    return ((columns - _CENTRE[0]) / _RADII[0]) ** 2 + ((rows - _CENTRE[1]) / _RADII[1]) ** 2 < 1


@cache
def _parting() -> int:
    return 3 * int(_oval(_THUMBNAIL).sum())
