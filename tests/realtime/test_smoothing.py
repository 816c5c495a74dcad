import numpy as np
import pytest
from stgt.realtime.smoothing import ExponentialSmoother

from stgt.errors import StgtError

FROM, TO = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def after_step(rate: float, seconds: float, time_constant_s: float = 0.5) -> np.ndarray:
    smoother = ExponentialSmoother(time_constant_s)
    smoother.update(0.0, FROM)
    for index in range(1, round(seconds * rate) + 1):
        value = smoother.update(index / rate, TO)
    return value


def test_smoothing_goes_by_time_not_by_the_number_of_predictions():
    np.testing.assert_allclose(after_step(4, 1.0), after_step(100, 1.0), atol=1e-9)
    np.testing.assert_allclose(after_step(10, 0.5), [np.exp(-1), 1 - np.exp(-1)])


def test_the_first_value_is_taken_as_it_is():
    smoother = ExponentialSmoother(0.5)
    assert smoother.update(3.0, FROM).tolist() == [1.0, 0.0]
    smoother.reset()
    assert smoother.update(3.1, TO).tolist() == [0.0, 1.0]


def test_no_time_constant_is_no_smoothing():
    assert after_step(10, 0.1, time_constant_s=0.0).tolist() == [0.0, 1.0]


def test_a_negative_time_constant_is_refused():
    with pytest.raises(StgtError, match="0 .off. or more"):
        ExponentialSmoother(-1.0)
