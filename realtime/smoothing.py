"""Smoothing by time, so that it is the same at any rate of predictions; and labels that do not flicker."""

import math

import numpy as np

from stgt.errors import StgtError


class ExponentialSmoother:
    """Exponential moving average with a time constant.

    A value counts for ``1 - exp(-dt / time_constant_s)``, where ``dt`` is the time since the one before: after one time
    constant, 63 % of a step has arrived. Averages of probabilities still sum to one.

    Args:
        time_constant_s: seconds; 0 switches smoothing off.

    Raises:
        StgtError: a negative time constant.
    """

    def __init__(self, time_constant_s: float) -> None:
        if not time_constant_s >= 0:
            raise StgtError(f"the time constant of smoothing is {time_constant_s} s; it must be 0 (off) or more")
        self.time_constant_s = time_constant_s
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next value is taken as it is."""
        self._value: np.ndarray | None = None
        self._time_s = 0.0

    def update(self, time_s: float, value: np.ndarray) -> np.ndarray:
        """The average after ``value``, an array of any one shape, at ``time_s``."""
        if self._value is not None and self.time_constant_s > 0:
            share = -math.expm1(-max(time_s - self._time_s, 0.0) / self.time_constant_s)
            value = self._value + share * (value - self._value)
        self._value, self._time_s = value, time_s
        return value


class SteadyLabel:
    """Which class is named, with hysteresis: another one must be clearly more probable before it takes over.

    Args:
        margin: by how much, as a probability; 0 switches hysteresis off.
        min_confidence: below this probability nothing is named. It takes ``margin`` more, or half of what is left to
            certainty if that is less, to name something again.

    Raises:
        StgtError: a margin that is no probability.
    """

    def __init__(self, margin: float, min_confidence: float = 0.0) -> None:
        if not 0 <= margin < 1:
            raise StgtError(f"the margin of hysteresis is {margin}; it must be 0 (off) or more, and below 1")
        self._margin = margin
        self._least = min_confidence
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next label is the most probable one."""
        self._named: int | None = None
        self._uncertain = False

    def update(self, probabilities: np.ndarray) -> int | None:
        """The class that is named after (K,) probabilities; ``None``: none is probable enough."""
        best = int(probabilities.argmax())
        least = self._least
        if self._uncertain:
            least += min(self._margin, (1 - least) / 2)
        self._uncertain = bool(probabilities[best] < least)
        if self._uncertain:
            self._named = None
            return None
        named = self._named
        if named is None or probabilities[named] < max(probabilities[best] - self._margin, self._least):
            self._named = best
        return self._named
