"""Photos: their size is known before they are decoded, and they come out upright."""

from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps

from stgt.errors import SourceError
from stgt.faces.decoding import Caution

#: What Pillow may take a file for; JPEG includes the MPO of cameras with two lenses.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF")
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# A GIF is read by Pillow: OpenCV takes all of its pictures at once.
_BY_PILLOW = ("GIF",)


def load_decoders() -> None:
    """Import all that reading a picture may need."""
    Image.init()
    Image.MAX_IMAGE_PIXELS = None  # asked here, before anything is decoded
    cv2.imdecode(cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1], cv2.IMREAD_COLOR)


def read_picture(file: BinaryIO, caution: Caution) -> np.ndarray | None:
    """A photo as ``(H, W, 3)`` uint8 RGB, upright; None: the file is none (a GIF that moves is none).

    Raises:
        SourceError: it is too large, damaged, or of a kind that cannot be decoded here.
    """
    file.seek(0)
    start = file.read(32)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
        raise SourceError("the file is a HEIC photo, which cannot be read here; save it as JPEG")
    picture = _recognised(file)
    if picture is None:
        return None
    with picture:
        caution.check("the file", *picture.size)
        if picture.format == "GIF" and getattr(picture, "is_animated", False):
            return None
        rgb = None if picture.format in _BY_PILLOW else _decoded(file)
        if rgb is None:
            rgb = _decoded_by_pillow(picture)
    caution.check("the file", rgb.shape[1], rgb.shape[0])
    return np.ascontiguousarray(rgb)


def _recognised(file: BinaryIO) -> Any:
    """The picture, of which only the header was read."""
    file.seek(0)
    try:
        return Image.open(file, formats=FORMATS)
    except (OSError, ValueError, SyntaxError, RuntimeError):  # it may only begin like a picture
        return None


def _decoded(file: BinaryIO) -> np.ndarray | None:
    """As `stgt.faces.video.read_image` reads files, which turns them upright."""
    file.seek(0)
    try:
        bgr = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)


def _decoded_by_pillow(picture: Any) -> np.ndarray:
    try:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except MemoryError:
        raise
    except Exception:
        raise SourceError("the file begins like a photo, but cannot be decoded; it is cut short or damaged") from None
