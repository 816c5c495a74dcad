"""Whatever a camera takes for a picture as RGB of one size."""

import logging

import cv2
import numpy as np

from stgt.faces.video import fit_into

logger = logging.getLogger("stgt")


def as_rgb(picture: np.ndarray, blue_first: bool = False) -> np.ndarray:
    """A picture as ``(H, W, 3)`` uint8 RGB; itself if it is that already.

    Args:
        picture: ``(H, W)`` or ``(H, W, C)`` uint8 or uint16 (of which the upper eight bits are kept). One channel is
            grey, two are grey and alpha, three are colours, four are colours and alpha; alpha is left out.
        blue_first: colours are BGR, as OpenCV's, not RGB.

    Raises:
        ValueError: it is none of these.
    """
    picture = np.asarray(picture)
    grey = picture.ndim == 2
    if not grey and (picture.ndim != 3 or picture.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(f"an array of shape {picture.shape} is not a picture")
    if 0 in picture.shape:
        raise ValueError("a picture without pixels")
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.dtype != np.uint8:
        raise ValueError(f"pixels of type {picture.dtype} are neither uint8 nor uint16")
    channels = 1 if grey else picture.shape[2]
    if channels < 3:
        return cv2.cvtColor(picture if grey else np.ascontiguousarray(picture[..., 0]), cv2.COLOR_GRAY2RGB)
    if channels == 4:
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB if blue_first else cv2.COLOR_RGBA2RGB)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if blue_first else picture


class Uniform:
    """Makes all pictures of a source RGB of one size; what is not a picture is named in one warning and left out.

    Args:
        name: the source's, for the warning.
        size: ``(width, height)``; a picture of another size is scaled to lie inside it, without distortion.
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self._name = name
        self._size = size
        self._warned = False

    def __call__(self, picture: np.ndarray) -> np.ndarray | None:
        """``(H, W, 3)`` uint8 RGB, or ``None``."""
        try:
            return fit_into(as_rgb(picture), self._size)
        except ValueError as error:
            if not self._warned:
                self._warned = True
                logger.warning("%s: a frame is no picture (%s); such frames are left out", self._name, error)
            return None
