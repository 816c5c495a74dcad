"""Smoothing by time, so that it is the same at any rate of predictions."""

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
