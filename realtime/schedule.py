"""When a prediction is due, how fast frames come, and whether there are more than there is time for."""

import logging
from collections import deque
from collections.abc import Mapping

import numpy as np

logger = logging.getLogger("stgt")

_RATE_SPAN_S = 2.0  # over which the frame rate is measured
_JUDGED_AFTER = 60  # frames, before anyone complains that too many are passed over
_TOO_MANY = 0.2  # share of the frames


class Schedule:
    """When the next prediction is due: on a grid of times, so that an irregular frame rate does not make it drift.

    Args:
        every_s: seconds between two predictions.
        every_frames: predict at every so many frames instead.
    """

    def __init__(self, every_s: float, every_frames: int | None = None) -> None:
        self._every_s = every_s
        self._every_frames = every_frames
        self._frames = 0
        self._next_s: float | None = None
        self._last_s = -np.inf

    def is_due(self, timestamp_s: float) -> bool:
        """Whether a prediction is due at the next frame, which has this time."""
        if self._every_frames is not None:
            self._frames += 1
            return (self._frames - 1) % self._every_frames == 0
        begins_anew = self._next_s is None or timestamp_s < self._last_s
        self._last_s = timestamp_s
        slack_s = 1e-6  # times are sums of float steps
        if not begins_anew and timestamp_s < self._next_s - slack_s:
            return False
        # After a gap the grid starts again, instead of many predictions in a row.
        late = begins_anew or timestamp_s > self._next_s + self._every_s
        self._next_s = (timestamp_s if late else self._next_s) + self._every_s
        return True


class RateMeter:
    """Frames per second over the last seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1024)

    def tick(self, now_s: float) -> float:
        """Count a frame; the rate with it, 0 at the first."""
        self._times.append(now_s)
        while now_s - self._times[0] > _RATE_SPAN_S:
            self._times.popleft()
        elapsed_s = now_s - self._times[0]
        return (len(self._times) - 1) / elapsed_s if elapsed_s > 0 else 0.0


class DropWarning:
    """Says once when a live source gives clearly more frames than can be analysed, and what takes the time."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._frames = 0
        self._told = False

    def count(self, dropped: int, stages: Mapping[str, float], name: str) -> None:
        """Take in an analysed frame: frames of the source ``name`` passed over so far, and seconds per stage."""
        self._frames += 1
        if self._told:
            return
        for stage, seconds in stages.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
        came = self._frames + dropped
        if came < _JUDGED_AFTER or dropped < _TOO_MANY * came:
            return
        self._told = True
        work = {stage: seconds for stage, seconds in self._seconds.items() if stage != "capture"}
        slowest = max(work, key=work.__getitem__)
        logger.warning(
            "%s gives more frames than there is time for: %d of %d were passed over so far, so that results stay in "
            "time; most of it, %.0f ms for each frame, goes into %s",
            *(name, dropped, came, 1000 * work[slowest] / self._frames, slowest),
        )
