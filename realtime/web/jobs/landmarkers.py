"""Landmarkers that stay open from one job to the next: opening one takes longer than most photos."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stgt.faces.landmarker import FaceLandmarker

_OPEN = 2  # at once; each has networks in memory


class Landmarkers:
    """One landmarker for each number of faces, made when it is first asked for; for one thread."""

    def __init__(self) -> None:
        self._open: dict[int, FaceLandmarker] = {}

    def for_faces(self, faces: int) -> "FaceLandmarker":
        """A landmarker that finds so many faces at most; it may remember the last source, so reset it."""
        from stgt.faces.landmarker import FaceLandmarker

        landmarker = self._open.pop(faces, None) or FaceLandmarker(faces=faces)
        self._open[faces] = landmarker  # the last used comes last
        while len(self._open) > _OPEN:
            self._open.pop(next(iter(self._open))).close()
        return landmarker

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> "Landmarkers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
