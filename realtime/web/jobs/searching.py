"""Many faces in one photo, small ones too.

MediaPipe's detector looks at a picture scaled down to a few hundred pixels. Measured with portraits pasted into a large
picture, it finds every face that is at least a sixth as tall as the picture's longer side, and none below a tenth; in a
square cut out around a small face it finds it as well as any. So the picture is looked at as a whole, and then in
overlapping tiles of a half, a quarter and an eighth of its longer side. What a tile shows is believed if it is found
again in a picture cut out around it.
"""

from collections.abc import Callable, Iterator

import numpy as np

from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.stills import find_face

from ...people.person import box_of

_LEVELS = 3  # of tiles, each half as large as the one before
_STEP = 0.7  # from tile to tile, of their side: the largest face that a tile is for lies whole in one of them
_LEAST_TILE = 224  # px: the faces that smaller ones would show have too few pixels to say anything
_AROUND = 3.0  # side of the picture that is cut out around a face, in faces
_SAME = 0.3  # intersection over union
_LEAST_FACE = 24.0  # px


def find_faces(rgb: np.ndarray, landmarker: FaceLandmarker, check: Callable[[], object]) -> list[Landmarks]:
    """The faces of a picture, the largest if there are more than the landmarker finds, from left to right.

    Args:
        rgb: ``(H, W, 3)`` uint8.
        landmarker: reset for every look.
        check: called before every look; raises if nobody wants to know any more.
    """
    check()
    found = _look(rgb, landmarker)
    for level in range(1, _LEVELS + 1):
        side = max(rgb.shape[:2]) // 2**level
        if side < _LEAST_TILE:
            break
        for left, top in _corners(rgb.shape[1], rgb.shape[0], side):
            check()
            tile = rgb[top : top + side, left : left + side]
            for face in _look(tile, landmarker):
                face = _shifted(face, left, top)
                again = None if _is_known(face, found) else _confirmed(rgb, face, landmarker)
                if again is not None and not _is_known(again, found):
                    found.append(again)
    if not found:
        # One that fills the picture is only found with a border around it.
        face = find_face(rgb, landmarker, aligned=True)
        found = [] if face is None else [face]
    found.sort(key=_size, reverse=True)
    return sorted(found[: landmarker.faces], key=lambda face: float(face.points[:, 0].mean()))


def _look(rgb: np.ndarray, landmarker: FaceLandmarker) -> list[Landmarks]:
    landmarker.reset()
    faces: list[Landmarks] = []
    for face in landmarker.detect_all(0.0, np.ascontiguousarray(rgb)):
        if not _is_known(face, faces):
            faces.append(face)
    return faces


def _corners(width: int, height: int, side: int) -> Iterator[tuple[int, int]]:
    """Left upper corners of the tiles that cover a picture."""
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top


def _starts(length: int, side: int) -> list[int]:
    room = max(0, length - side)
    steps = -(-room // max(1, round(_STEP * side)))
    return [round(room * index / max(1, steps)) for index in range(steps + 1)]


def _confirmed(rgb: np.ndarray, face: Landmarks, landmarker: FaceLandmarker) -> Landmarks | None:
    """The same face in a picture cut out around it, if it is seen there, too."""
    x0, y0, x1, y1 = box_of(face.points)
    if max(x1 - x0, y1 - y0) < _LEAST_FACE:
        return None
    reach = _AROUND * max(x1 - x0, y1 - y0) / 2
    left, top = (max(0, round(centre - reach)) for centre in ((x0 + x1) / 2, (y0 + y1) / 2))
    right, bottom = (round(centre + reach) for centre in ((x0 + x1) / 2, (y0 + y1) / 2))
    again = [_shifted(other, left, top) for other in _look(rgb[top:bottom, left:right], landmarker)]
    return next((other for other in again if _is_known(other, [face])), None)


def _shifted(face: Landmarks, left: int, top: int) -> Landmarks:
    points = face.points + np.array([left, top, 0], face.points.dtype)
    return Landmarks(points, face.blendshapes, face.transform)


def _is_known(face: Landmarks, others: list[Landmarks]) -> bool:
    return any(_overlap(box_of(face.points), box_of(other.points)) > _SAME for other in others)


def _size(face: Landmarks) -> float:
    x0, y0, x1, y1 = box_of(face.points)
    return (x1 - x0) * (y1 - y0)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union, or over the smaller one where it lies within the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return max(shared / (sum(areas) - shared), shared / min(areas) - 0.5)
