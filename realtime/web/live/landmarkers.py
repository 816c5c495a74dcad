"""Landmarkers that one session after the other uses: making one takes longer than a browser's first second."""

import contextlib
import threading
from collections.abc import Iterator

from stgt.faces.landmarker import FaceLandmarker

from ...session import session_landmarker


class Landmarkers:
    """Keeps landmarkers that nobody uses at the moment.

    Whoever gets one gets it for themselves. A `LiveSession` resets it before its first frame, so that nothing of one
    session is seen in the next.

    Args:
        most: that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[FaceLandmarker] = []
        self._closed = False

    @property
    def idle(self) -> int:
        """How many nobody uses."""
        with self._lock:
            return len(self._idle)

    @contextlib.contextmanager
    def lent(self, faces: int) -> Iterator[FaceLandmarker]:
        """One for so many faces. If the block raises, it is not used again."""
        landmarker = self._take(faces) or session_landmarker(faces, shared=True)
        try:
            yield landmarker
        except BaseException:
            landmarker.close()
            raise
        for surplus in self._give_back(landmarker):
            surplus.close()

    def close(self) -> None:
        """Close them; those in use when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for landmarker in idle:
            landmarker.close()

    def _take(self, faces: int) -> FaceLandmarker | None:
        # One for more faces would do other things: a single face is smoothed, several are not.
        with self._lock:
            fitting = next((landmarker for landmarker in self._idle if landmarker.faces == faces), None)
            if fitting is not None:
                self._idle.remove(fitting)
            return fitting

    def _give_back(self, landmarker: FaceLandmarker) -> list[FaceLandmarker]:
        """Those to be closed."""
        with self._lock:
            if self._closed:
                return [landmarker]
            self._idle.append(landmarker)
            surplus = self._idle[: -self._most]  # those that were used longest ago
            del self._idle[: -self._most]
            return surplus
