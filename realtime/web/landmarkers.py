"""Landmarkers that one session or job after the other uses: making one takes longer than most photos."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from stgt.faces.landmarker import FaceLandmarker


class Landmarkers:
    """Keeps landmarkers that nobody uses at the moment.

    Whoever gets one gets it for themselves, and resets it before the first frame, so that nothing of what it saw
    before is seen again.

    Args:
        make: gives a new one for so many faces.
        most: that are kept.
    """

    def __init__(self, make: Callable[[int], FaceLandmarker], most: int) -> None:
        self._make = make
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
        landmarker = self._take(faces) or self._make(faces)
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
