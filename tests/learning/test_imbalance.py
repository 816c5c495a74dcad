"""Rare classes: how clips are drawn."""

import numpy as np
import pytest

from stgt.config import TrainConfig, from_dict
from stgt.errors import StgtError
from stgt.learning.imbalance import class_frequencies, drawing_weights
from stgt.learning.sampler import EpochSampler

#: Three classes with 8, 2 and 1 clips.
TARGETS = np.array([0] * 8 + [1] * 2 + [2])
FREQUENCIES = np.array([8.0, 2.0, 1.0])


def shares(values, weights) -> dict:
    total = weights.sum()
    return {value: weights[np.asarray(values) == value].sum() / total for value in dict.fromkeys(values)}


def test_drawing():
    nowhere = [""] * 11
    assert drawing_weights(TARGETS, nowhere, "natural") is None
    assert shares(TARGETS.tolist(), drawing_weights(TARGETS, nowhere, "balanced")) == pytest.approx(
        {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}
    )
    roots = np.sqrt(FREQUENCIES)
    expected = dict(enumerate(roots / roots.sum()))
    assert shares(TARGETS.tolist(), drawing_weights(TARGETS, nowhere, "square_root")) == pytest.approx(expected)


def test_datasets_are_drawn_by_their_weights():
    datasets = ["a"] * 8 + ["b"] * 3
    weights = drawing_weights(TARGETS, datasets, "natural", "a=1,b=3")
    assert shares(datasets, weights) == pytest.approx({"a": 0.25, "b": 0.75})
    weights = drawing_weights(TARGETS, datasets, "balanced", "a=1, b=1")
    assert shares(datasets, weights) == pytest.approx({"a": 0.5, "b": 0.5})
    assert shares(TARGETS[8:].tolist(), weights[8:]) == pytest.approx({1: 0.5, 2: 0.5})


def test_a_dataset_that_a_fold_leaves_out_may_have_a_weight():
    datasets = ["a"] * 8 + ["b"] * 3
    np.testing.assert_array_equal(
        drawing_weights(TARGETS, datasets, "natural", "a=1,b=3,c=5"),
        drawing_weights(TARGETS, datasets, "natural", "a=1,b=3"),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a=1", "is for a, but the clips are of a, b"),
        ("a=1,b=0", "positive number"),
        ("a=1,b=many", "positive number"),
        ("a,b", "name=value"),
    ],
)
def test_bad_dataset_weights_are_one_sentence(text, sentence):
    with pytest.raises(StgtError, match=sentence):
        drawing_weights(TARGETS, ["a"] * 8 + ["b"] * 3, "natural", text)


def test_losses_correct_what_drawing_has_left():
    weights = drawing_weights(TARGETS, [""] * 11, "balanced")
    np.testing.assert_allclose(class_frequencies(TARGETS, 4), [8, 2, 1, 0])
    np.testing.assert_allclose(class_frequencies(TARGETS, 4, weights), [11 / 3, 11 / 3, 11 / 3, 0])


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"sampling": "fair"}, "it is natural, balanced or square_root"),
        ({"class_balance": 1.0}, "at least 0 and below 1"),
    ],
)
def test_bad_settings_are_one_sentence(setting, sentence):
    with pytest.raises(StgtError, match=sentence):
        from_dict(TrainConfig, {"dataset": "x", "optimisation": setting})


def test_without_weights_an_epoch_visits_every_clip_once_in_its_own_order():
    sampler = EpochSampler(11, seed=3)
    first = list(sampler)
    assert sorted(first) == [(0, index) for index in range(11)]
    sampler.set_epoch(1)
    assert sorted(index for _, index in sampler) == list(range(11))
    assert [index for _, index in sampler] != [index for _, index in first]
    # The order of earlier versions: trainings of theirs can be repeated.
    assert [index for _, index in first] == np.random.default_rng([3, 0]).permutation(11).tolist()


def test_with_weights_a_clip_is_visited_as_often_as_they_say():
    # Of 12 draws a third each: 4 of the 8 common clips, twice each of the 2, 4 times the single one.
    weights = np.append(drawing_weights(TARGETS, [""] * 11, "balanced"), 0.0)
    sampler = EpochSampler(12, seed=0, weights=weights)
    counts = []
    for epoch in range(40):
        sampler.set_epoch(epoch)
        visits = list(sampler)
        assert len(visits) == len(set(visits)) == 12, "no two visits of a clip look alike"
        counts.append(np.bincount([index for _, index, _ in visits], minlength=12))
    counts = np.array(counts)
    assert (counts[:, 8:10] == 2).all()
    assert (counts[:, 10] == 4).all()
    assert (counts[:, :8].sum(axis=1) == 4).all()
    assert counts[:, :8].max() == 1
    assert (counts[:, :8].sum(axis=0) > 10).all(), "which of them, changes"
    assert not counts[:, 11].any()
    again = EpochSampler(12, seed=0, weights=weights)
    assert list(again) == list(EpochSampler(12, seed=0, weights=weights))


def test_uniform_weights_visit_every_clip_once():
    assert sorted(index for _, index, _ in EpochSampler(50, 1, np.full(50, 0.1))) == list(range(50))


def test_wrong_number_of_weights():
    with pytest.raises(ValueError, match="3 weights for 4"):
        EpochSampler(4, 0, np.ones(3))
