"""From a single picture to a track of one frame and its face crop: the road of videos, with one frame on it.

The landmarker of videos finds in a first frame what MediaPipe's image mode finds: landmarks to a thousandth of a pixel,
blendshapes to the last bit (a test holds it to that), so that pictures and videos need one landmarker between them.
"""

import logging
from pathlib import Path

import cv2
import numpy as np

from stgt.errors import SourceError
from stgt.faces.crops import CROP_SIZE, CropSequence, crop_face, encode_crop
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.tracks import BLENDSHAPES, LANDMARKS, LandmarkTrack
from stgt.faces.video import read_image

logger = logging.getLogger("stgt")

#: A face that fills the picture is not found by MediaPipe's detector, nor is one of a few pixels: a picture that was
#: cut around a face is shown to it with a border this wide (of the longer side), at least this large.
BORDER, SEARCHED_SIDE = 0.35, 384


def extract_still(
    path: Path | str, landmarker: FaceLandmarker, aligned: bool = False
) -> tuple[LandmarkTrack, CropSequence]:
    """The face of a picture: a track of one frame at time 0, and its crop.

    Args:
        path: an image file; grey ones become RGB.
        landmarker: reset first, so that no picture knows of the one before it.
        aligned: the picture shows nothing but an upright face. It is then looked for in the picture with a border
            around it; where it is not found all the same, the whole picture is the crop, of a frame that is invalid.

    Raises:
        SourceError: the file cannot be read as an image.
    """
    rgb = read_image(Path(path))
    if rgb is None:
        raise SourceError(f"{path} cannot be read as an image; it is damaged or of an unknown format")
    height, width = rgb.shape[:2]
    face = find_face(rgb, landmarker, aligned)
    if face is not None:
        jpeg = encode_crop(crop_face(rgb, face.points))
        points, blendshapes, transform = face
    else:
        jpeg = encode_crop(whole_as_crop(rgb)) if aligned else b""
        points = np.zeros((LANDMARKS, 3), np.float32)
        blendshapes, transform = np.zeros(BLENDSHAPES, np.float32), np.zeros((4, 4), np.float32)
        kept = "the whole picture is kept as the crop" if aligned else "it takes no part in training"
        logger.warning("%s: no face was found; %s", path, kept)
    valid = np.array([face is not None])
    track = LandmarkTrack(
        points[None], np.zeros(1), valid, blendshapes[None], transform[None], (width, height), str(path)
    )
    return track, CropSequence.from_jpegs([jpeg])


def find_face(rgb: np.ndarray, landmarker: FaceLandmarker, aligned: bool = False) -> Landmarks | None:
    """The face in an ``(H, W, 3)`` picture, in its pixels, or ``None``; ``aligned`` as for ``extract_still``."""
    landmarker.reset()
    if not aligned:
        return landmarker.detect(0.0, rgb)
    shown, scale, border = bordered(rgb)
    face = landmarker.detect(0.0, shown)
    if face is None:
        return None
    # Pixel centres: a picture that is enlarged by s moves pixel i to s * i + (s - 1) / 2.
    points = face.points.copy()
    points[:, :2] = (points[:, :2] - border - (scale - 1) / 2) / scale
    points[:, 2] /= scale
    return Landmarks(points, face.blendshapes, face.transform)


def bordered(rgb: np.ndarray) -> tuple[np.ndarray, float, int]:
    """A picture enlarged to ``SEARCHED_SIDE`` and with its edges drawn out; the scale, and the border in pixels."""
    side = max(rgb.shape[:2])
    scale = max(1.0, SEARCHED_SIDE / (side * (1 + 2 * BORDER)))
    if scale > 1:
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
    border = round(BORDER * max(rgb.shape[:2]))
    return cv2.copyMakeBorder(rgb, *[border] * 4, cv2.BORDER_REPLICATE), scale, border


def whole_as_crop(rgb: np.ndarray) -> np.ndarray:
    """A picture as a crop, ``(CROP_SIZE, CROP_SIZE, 3)``: the middle square of it, scaled."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    smaller = side > CROP_SIZE
    return cv2.resize(square, (CROP_SIZE,) * 2, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
