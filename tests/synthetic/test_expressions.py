"""Expressions: drawn from the table, as curves that start near neutral and reach an apex."""

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.expressions import LABELS, action_vector, expression_data, sample_expression, sample_units

#: The action that tells each expression from neutral, and what it reaches on average at least.
TELLING = {
    "anger": ("browDownLeft", 0.6),
    "disgust": ("noseSneerRight", 0.6),
    "fear": ("mouthStretchLeft", 0.5),
    "happiness": ("mouthSmileRight", 0.5),
    "sadness": ("mouthFrownLeft", 0.5),
    "surprise": ("browOuterUpRight", 0.5),
}


def curves(label, count=20):
    return [sample_expression(label, np.random.default_rng(seed)) for seed in range(count)]


def test_every_unit_of_the_table_is_known_and_every_action_exists():
    data = expression_data()
    for actions in [*data["units"].values(), dict.fromkeys(data["idle"], 1.0)]:
        assert action_vector(actions).any()
    for label in LABELS:
        for variant in data[label]:
            for number, low, high, *share in variant["always"] + variant["sometimes"]:
                assert str(number) in data["units"]
                assert 0 < low <= high <= 1.2
                assert all(0 < value < 1 for value in share)


@pytest.mark.parametrize("label", LABELS)
def test_curves_are_weights_and_repeat_with_the_seed(label):
    first, same, other = (sample_expression(label, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.weights.shape == (32, 52)
    assert first.weights.min() >= 0
    assert first.weights.max() <= 1
    assert first.times[1] - first.times[0] == pytest.approx(1 / 16)
    assert np.array_equal(first.weights, same.weights)
    assert np.array_equal(first.rotation, same.rotation)
    assert not np.array_equal(first.weights, other.weights)


@pytest.mark.parametrize("label", TELLING)
def test_an_expression_rises_from_neutral_to_its_telling_action(label):
    name, least = TELLING[label]
    drawn = curves(label)
    action = ACTIONS.index(name)
    assert np.mean([curve.weights[curve.apex, action] for curve in drawn]) > least
    assert np.mean([curve.weights[0, action] for curve in drawn]) < 0.15
    peaks = np.array([curve.weights[curve.apex] for curve in drawn])
    assert peaks.std(axis=0).max() > 0.1  # a range, not one fixed pose


def test_some_expressions_are_held_and_some_go_back():
    smile = ACTIONS.index("mouthSmileLeft")
    end = np.array([curve.weights[-1, smile] / curve.weights[:, smile].max() for curve in curves("happiness", 40)])
    assert (end > 0.8).mean() > 0.3
    assert (end < 0.4).mean() > 0.1


def test_neutral_moves_a_little_and_blinks():
    drawn = curves("neutral", 30)
    eyes = [index for index, name in enumerate(ACTIONS) if name.startswith("eye")]
    others = [index for index in range(52) if index not in eyes]
    assert max(curve.weights[:, others].max() for curve in drawn) < 0.35
    assert min(curve.weights.max() for curve in drawn) > 0
    assert max(curve.weights[:, ACTIONS.index("eyeBlinkLeft")].max() for curve in drawn) > 0.8
    assert all(np.ptp(curve.rotation, axis=0).max() > 0.1 for curve in drawn)


def test_sides_differ_a_little_and_sometimes_much():
    ratios = []
    for seed in range(60):
        weights = sum(unit.actions for unit in sample_units("happiness", np.random.default_rng(seed)))
        ratios.append(weights[ACTIONS.index("mouthSmileLeft")] / weights[ACTIONS.index("mouthSmileRight")])
    ratios = np.abs(np.log(ratios))
    assert 0.05 < np.median(ratios) < 0.3
    assert ratios.max() > 0.4


def test_an_unknown_expression_is_named():
    with pytest.raises(StgtError, match="no expression 'contempt'; the expressions are neutral, anger"):
        sample_expression("contempt", np.random.default_rng(0))
    with pytest.raises(StgtError, match="no facial action 'smirk'"):
        action_vector({"smirk": 1.0})
