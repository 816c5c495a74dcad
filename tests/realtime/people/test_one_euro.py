import numpy as np
import pytest
from stgt.realtime.people.one_euro import OneEuroFilter


def filtered(values: np.ndarray, rate: float = 30.0, scale: float = 0.01) -> np.ndarray:
    one_euro = OneEuroFilter()
    return np.array([one_euro.update(index / rate, value, scale) for index, value in enumerate(values)])


def test_what_does_not_move_is_calm_and_what_moves_is_not_late():
    noise = np.random.default_rng(0).normal(0, 0.2, (300, 5))
    still = filtered(100 + noise)
    assert still[50:].std() < 0.5 * noise.std()
    moving = 100 + 200 * np.arange(300)[:, None] / 30 + noise  # two faces a second
    late_px = (moving - filtered(moving))[100:].mean()
    assert 0 < late_px < 0.5


def test_it_goes_by_time_not_by_the_number_of_frames():
    def swing(rate):
        times = np.arange(0, 4, 1 / rate)
        return times, filtered(50 * np.sin(2 * times)[:, None], rate)[:, 0]

    slow, fast = swing(30), swing(120)
    np.testing.assert_allclose(slow[1][60:], np.interp(slow[0], *fast)[60:], atol=1.5)


def test_it_begins_anew_when_time_runs_backwards_or_it_is_told_to():
    one_euro = OneEuroFilter()
    one_euro.update(1.0, np.zeros(3))
    assert one_euro.update(0.5, np.full(3, 9.0)).tolist() == [9.0] * 3
    one_euro.reset()
    assert one_euro.update(0.6, np.full(3, 1.0)).tolist() == [1.0] * 3


def test_the_formula_is_that_of_the_paper():
    one_euro = OneEuroFilter(min_cutoff=1.0, beta=0.5, derivative_cutoff=1.0)
    one_euro.update(0.0, np.array([0.0]))
    share = 1 / (1 + 1 / (2 * np.pi * 0.1))
    cutoff = 1.0 + 0.5 * share * 20.0
    expected = 2.0 / (1 + 1 / (2 * np.pi * cutoff * 0.1))
    assert one_euro.update(0.1, np.array([2.0]))[0] == pytest.approx(expected)
