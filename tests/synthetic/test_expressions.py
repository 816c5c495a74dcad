"""Expressions: drawn from the table, weaker or stronger, with one side or both."""

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.synthetic.actions import LABELS, action_vector, expression_data
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.expressions import sample_event, sample_expression, sample_units
from stgt.synthetic.settings import PerformanceSettings

#: The action that tells each expression from neutral (the stronger side), and what full ones reach on average at least.
TELLING = {
    "anger": ("browDown", 0.75),
    "contempt": ("mouthDimple", 0.7),
    "disgust": ("noseSneer", 0.55),
    "fear": ("browInnerUp", 0.75),
    "happiness": ("mouthSmile", 0.7),
    "sadness": ("mouthFrown", 0.6),
    "surprise": ("browOuterUp", 0.6),
}
PLAIN = PerformanceSettings(speaking=0, blend=0, sustained=0)


def strongest(weights, name):
    """The stronger side of an action in ``(..., 52)``."""
    return weights[..., [index for index, action in enumerate(ACTIONS) if action.startswith(name)]].max(axis=-1)


def apexes(label, intensity=1.0, count=40):
    units = [sample_units(label, np.random.default_rng(seed), intensity) for seed in range(count)]
    return np.array([sum(unit.actions for unit in drawn) for drawn in units])


def test_every_unit_of_the_table_is_known_and_every_action_exists():
    data = expression_data()
    for actions in [*data["units"].values(), dict.fromkeys(data["idle"], 1.0)]:
        assert action_vector(actions).any()
    assert all(action_vector(habit["actions"]).any() for habit in data["everyday"])
    for label in LABELS:
        for variant in data[label]:
            drawn = variant["always"] + variant["sometimes"]
            numbers = [number for number, *_ in drawn]
            assert len(set(numbers)) == len(numbers)
            assert set(variant.get("one_sided", [])) <= set(numbers)
            for number, low, high, *share in drawn:
                assert str(number) in data["units"]
                assert 0 < low <= high <= 1.3
                assert all(0 < value < 1 for value in share)
        if label != "neutral":
            assert set(data["blends"][label]) <= set(LABELS) - {label, "neutral"}


@pytest.mark.parametrize("label", TELLING)
def test_a_full_expression_has_its_telling_action_in_a_range(label):
    name, least = TELLING[label]
    drawn = apexes(label)
    assert strongest(drawn, name).mean() > least
    assert drawn.std(axis=0).max() > 0.1  # not one fixed pose


@pytest.mark.parametrize("label", TELLING)
def test_units_scale_with_intensity(label):
    """The same draws, weaker: exactly so, down to what is barely visible."""
    assert np.allclose(apexes(label, 0.15), 0.15 * apexes(label), atol=1e-6)


@pytest.mark.parametrize("label", sorted(set(TELLING) - {"contempt"}))
def test_every_class_but_contempt_has_open_and_closed_mouths(label):
    drawn = apexes(label, count=80)
    apart = strongest(drawn, "jawOpen") + strongest(drawn, "mouthLowerDown")
    assert (apart > 0.15).mean() > 0.1
    assert (apart < 0.1).mean() > 0.1


def test_contempt_is_mostly_one_sided():
    def share_one_sided(label, name):
        drawn = apexes(label, count=100)
        left, right = (drawn[:, ACTIONS.index(name + side)] for side in ("Left", "Right"))
        return (np.minimum(left, right) < 0.5 * np.maximum(left, right)).mean(), (left > right).mean()

    one_sided, left = share_one_sided("contempt", "mouthDimple")
    assert 0.7 < one_sided < 1
    assert 0.3 < left < 0.7
    assert share_one_sided("happiness", "mouthSmile")[0] < 0.2


def test_sides_differ_a_little_and_sometimes_much():
    smiles = apexes("happiness", count=60)
    ratios = np.abs(np.log(smiles[:, ACTIONS.index("mouthSmileLeft")] / smiles[:, ACTIONS.index("mouthSmileRight")]))
    assert 0.05 < np.median(ratios) < 0.3
    assert ratios.max() > 0.4


def test_a_blend_adds_a_weaker_expression_and_keeps_its_name():
    blended = [
        sample_event("happiness", np.random.default_rng(seed), PerformanceSettings(blend=1), intensity=1.0)
        for seed in range(60)
    ]
    alone = [sample_event("happiness", np.random.default_rng(seed), PLAIN, intensity=1.0) for seed in range(60)]
    assert {event.label for event in blended} == {"happiness"}
    assert np.mean([len(event.units) for event in blended]) > np.mean([len(event.units) for event in alone]) + 1
    smiles = np.array([strongest(sum(unit.actions for unit in event.units), "mouthSmile") for event in blended])
    brows = np.array([strongest(sum(unit.actions for unit in event.units), "browOuterUp") for event in blended])
    assert smiles.min() > 0.3
    assert 0.1 < brows.max() < 0.6  # happily surprised, not surprised


@pytest.mark.parametrize("label", LABELS)
def test_clips_are_weights_and_repeat_with_the_seed(label):
    first, same, other = (sample_expression(label, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.label == label
    assert first.weights.shape == (32, 52)
    assert first.weights.min() >= 0
    assert first.weights.max() <= 1
    assert first.times[1] - first.times[0] == pytest.approx(1 / 16)
    assert np.array_equal(first.weights, same.weights)
    assert np.array_equal(first.rotation, same.rotation)
    assert not np.array_equal(first.weights, other.weights)


def test_intensity_is_drawn_from_the_settings_or_given():
    settings = PerformanceSettings(least_intensity=0.2, most_intensity=0.5)
    drawn = [sample_expression("fear", np.random.default_rng(seed), settings=settings).intensity for seed in range(40)]
    assert 0.2 <= min(drawn) < 0.27
    assert 0.43 < max(drawn) <= 0.5
    assert sample_expression("fear", np.random.default_rng(0), intensity=0.9).intensity == 0.9
    assert sample_expression("neutral", np.random.default_rng(0)).intensity == 0


def test_an_unknown_expression_is_named():
    with pytest.raises(StgtError, match="no expression 'calm'; the expressions are neutral, anger, contempt"):
        sample_expression("calm", np.random.default_rng(0))
    with pytest.raises(StgtError, match="no facial action 'smirk'"):
        action_vector({"smirk": 1.0})
