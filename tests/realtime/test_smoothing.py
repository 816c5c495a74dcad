import numpy as np
import pytest
from stgt.realtime.smoothing import ExponentialSmoother, SteadyLabel

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


def named(values: list[float], **settings: float) -> list[int | None]:
    """What is named of two classes while the probability of the second goes through ``values``."""
    steady = SteadyLabel(**settings)
    return [steady.update(np.array([1 - value, value])) for value in values]


def test_a_label_gives_way_only_to_one_that_is_clearly_more_probable():
    wavering = [0.45, 0.52, 0.48, 0.53, 0.47, 0.56, 0.52, 0.48, 0.44]
    assert named(wavering, margin=0.1) == [0, 0, 0, 0, 0, 1, 1, 1, 0]
    assert named(wavering, margin=0.0) == [0, 1, 0, 1, 0, 1, 1, 0, 0]


def test_uncertainty_does_not_flicker_either():
    wavering = [0.72, 0.68, 0.72, 0.79, 0.81, 0.75, 0.69]
    assert named(wavering, margin=0.1, min_confidence=0.7) == [1, None, None, None, 1, 1, None]
    assert named([0.93, 0.97, 0.99], margin=0.1, min_confidence=0.95) == [None, None, 1], "certainty can be reached"
    assert named([0.99, 0.94, 0.97, 0.98], margin=0.1, min_confidence=0.95) == [1, None, None, 1]


def test_a_label_is_forgotten_when_told_to():
    steady = SteadyLabel(0.3)
    assert steady.update(np.array([0.6, 0.4])) == 0
    assert steady.update(np.array([0.4, 0.6])) == 0
    steady.reset()
    assert steady.update(np.array([0.4, 0.6])) == 1


def test_a_margin_is_a_probability():
    for margin in (-0.1, 1.0):
        with pytest.raises(StgtError, match="must be 0"):
            SteadyLabel(margin)
