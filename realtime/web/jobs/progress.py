"""How far a job is, and how long it will still take."""

import time
from collections import deque
from collections.abc import Callable

_MARK_EVERY_S = 0.25
_MARKS = 24  # the pace is that of the last six seconds
_KNOWN_AFTER_S = 0.5  # a pace that was measured for less says nothing


class Progress:
    """Counts frames, and measures their pace. One thread counts, any may ask.

    Args:
        clock: seconds.

    Attributes:
        done: frames.
        expected: frames in all, as far as known.
        after_s: how long what comes after the frames is expected to take.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.done = 0
        self.expected: int | None = None
        self.after_s = 0.0
        self._share = 0.0
        self._began_s = clock()
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)

    def count(self, done: int, expected: int | None) -> None:
        """So many frames are done, of so many; None: nobody knows."""
        self.done = done
        # Containers lie: a count that was passed is no longer expected.
        self.expected = None if expected is None else max(done, expected)
        now_s = self._clock()
        # Before the first frame there was only the opening of things.
        if not self._marks or now_s - self._marks[-1][0] >= _MARK_EVERY_S:
            self._marks.append((now_s, done))

    def all_frames_are_done(self) -> None:
        """There are no more than those that were counted."""
        self.expected = self.done

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the end at the present pace; None: not known so far."""
        if self.expected is None:
            return None
        left = self.expected - self.done
        if not left:
            return self.after_s
        marks = list(self._marks)
        if not marks or marks[-1][0] - marks[0][0] < _KNOWN_AFTER_S:
            return None
        (first_s, first), (last_s, last) = marks[0], marks[-1]
        return left * (last_s - first_s) / (last - first) + self.after_s

    @property
    def share(self) -> float | None:
        """Of the time that it all takes, from 0 to 1; it never shrinks. None: not known so far."""
        remaining_s = self.remaining_s
        if remaining_s is None:
            return None
        passed_s = self._clock() - self._began_s
        self._share = max(self._share, passed_s / max(passed_s + remaining_s, 1e-9))
        return min(self._share, 1.0)
