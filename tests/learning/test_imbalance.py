"""Rare classes: how clips are drawn, and losses against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from stgt.config import OptimisationConfig, TrainConfig, from_dict
from stgt.errors import StgtError
from stgt.learning.imbalance import (
    ClassificationLoss,
    class_frequencies,
    drawing_weights,
    effective_number_weights,
)
from stgt.learning.sampler import EpochSampler

#: Three classes with 8, 2 and 1 clips.
TARGETS = np.array([0] * 8 + [1] * 2 + [2])
FREQUENCIES = np.array([8.0, 2.0, 1.0])
#: Logits of two clips, of which the second is of a rare class, and their log softmax by hand.
LOGITS = torch.tensor([[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, 0.0]])
LABELS = torch.tensor([0, 1])
#: Probabilities are 1/4, 1/4, 1/2 and 3/5, 1/5, 1/5.
CROSS_ENTROPIES = (math.log(4.0), math.log(5.0))


def loss(kind: str, frequencies=FREQUENCIES, **settings) -> ClassificationLoss:
    settings = {"label_smoothing": 0.0, "class_weights": False, **settings}
    return ClassificationLoss(OptimisationConfig(loss=kind, **settings), frequencies)


def test_cross_entropy_by_hand():
    assert loss("cross_entropy")(LOGITS, LABELS).item() == pytest.approx(sum(CROSS_ENTROPIES) / 2)
    # Inverse square roots of 8 and 2 are to each other as 1 to 2; the mean is over weights.
    weighted = loss("cross_entropy", class_weights=True)(LOGITS, LABELS).item()
    assert weighted == pytest.approx((CROSS_ENTROPIES[0] + 2 * CROSS_ENTROPIES[1]) / 3)
    # With smoothing 0.3 a tenth of the target is on each class.
    smooth = loss("cross_entropy", label_smoothing=0.3)(LOGITS[:1], LABELS[:1]).item()
    assert smooth == pytest.approx(0.7 * math.log(4) + 0.1 * (math.log(4) + math.log(4) + math.log(2)))


def test_class_balanced_loss_by_hand():
    # Effective numbers with beta 1/2: 2 - 2^-7 = 255/128, 3/2 and 1; their inverses sum to 128/255 + 2/3 + 1.
    inverse = np.array([128 / 255, 2 / 3, 1.0])
    weights = 3 * inverse / inverse.sum()
    np.testing.assert_allclose(effective_number_weights(FREQUENCIES, 0.5), weights, rtol=1e-6)
    value = loss("class_balanced", class_balance=0.5)(LOGITS, LABELS).item()
    assert value == pytest.approx((weights[0] * CROSS_ENTROPIES[0] + weights[1] * CROSS_ENTROPIES[1]) / 2, rel=1e-6)


def test_the_effective_number_runs_from_one_to_the_number_of_clips():
    np.testing.assert_allclose(effective_number_weights(FREQUENCIES, 0.0), 1.0)
    inverse = 1 / FREQUENCIES
    np.testing.assert_allclose(effective_number_weights(FREQUENCIES, 1 - 1e-9), 3 * inverse / inverse.sum(), rtol=1e-6)
    # A class without a clip counts nothing, and the others sum to their number.
    np.testing.assert_allclose(effective_number_weights(np.array([4.0, 0.0, 4.0]), 0.9), [1, 0, 1])


def test_logit_adjusted_loss_by_hand():
    # The logits become log(8/11 · 1), log(2/11 · 1), log(1/11 · 2) and log(8/11 · 3), log(2/11), log(1/11).
    expected = (math.log((8 + 2 + 2) / 8) + math.log((24 + 2 + 1) / 2)) / 2
    assert loss("logit_adjusted")(LOGITS, LABELS).item() == pytest.approx(expected, rel=1e-6)
    # With tau 0 nothing is adjusted, and a class without a clip does no harm.
    plain = loss("logit_adjusted", logit_adjustment=0.0)(LOGITS, LABELS).item()
    assert plain == pytest.approx(sum(CROSS_ENTROPIES) / 2)
    absent = loss("logit_adjusted", np.array([8.0, 2.0, 0.0]), label_smoothing=0.1)(LOGITS, LABELS)
    assert torch.isfinite(absent)


@pytest.mark.parametrize("kind", ["cross_entropy", "class_balanced", "logit_adjusted"])
def test_gradients(kind):
    function = loss(kind, label_smoothing=0.1, class_weights=True).double()
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: function(values, torch.tensor([0, 1, 2, 0])), logits)


def test_rare_classes_pull_harder():
    pulls = {}
    for kind in ("cross_entropy", "class_balanced", "logit_adjusted"):
        logits = torch.zeros(2, 3, requires_grad=True)
        loss(kind)(logits, torch.tensor([0, 2])).backward()
        pulls[kind] = (logits.grad[1, 2] / logits.grad[0, 0]).item()
    assert pulls["cross_entropy"] == pytest.approx(1)
    assert pulls["class_balanced"] > 5
    assert pulls["logit_adjusted"] == pytest.approx((10 / 11) / (3 / 11), rel=1e-5)


def test_without_clips_of_its_own_a_training_is_not_corrected():
    function = ClassificationLoss(OptimisationConfig(loss="class_balanced", label_smoothing=0.0), None)
    assert function(LOGITS, LABELS).item() == pytest.approx(sum(CROSS_ENTROPIES) / 2)


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
        ({"loss": "focal"}, "optimisation.loss is 'focal'; it is cross_entropy, class_balanced or logit_adjusted"),
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
