"""Losses that train a classifier, against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from stgt.config import OptimisationConfig, TrainConfig, from_dict
from stgt.errors import StgtError
from stgt.learning.losses import TrainingLoss
from stgt.learning.losses.class_balanced import effective_number_weights
from stgt.terms import CLASSIFICATION_LOSSES

#: Clips of three classes.
FREQUENCIES = np.array([8.0, 2.0, 1.0])
#: Logits of two clips, of which the second is of a rare class, and their log softmax by hand.
LOGITS = torch.tensor([[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, 0.0]])
LABELS = torch.tensor([0, 1])
#: Probabilities are 1/4, 1/4, 1/2 and 3/5, 1/5, 1/5.
CROSS_ENTROPIES = (math.log(4.0), math.log(5.0))
#: Half and half of the first two classes, and all of the third.
SHARES = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])


def loss(text: str, frequencies=FREQUENCIES, **settings) -> TrainingLoss:
    settings = {"label_smoothing": 0.0, "class_weights": False, **settings}
    return TrainingLoss(3, 4, OptimisationConfig(loss=text, **settings), frequencies)


def value(function: TrainingLoss, target=LABELS, logits=LOGITS, extras=None) -> float:
    return function.total(function(logits, target, extras)).item()


def test_cross_entropy_by_hand():
    assert value(loss("cross_entropy")) == pytest.approx(sum(CROSS_ENTROPIES) / 2)
    # Inverse square roots of 8 and 2 are to each other as 1 to 2; the mean is over weights.
    weighted = value(loss("cross_entropy", class_weights=True))
    assert weighted == pytest.approx((CROSS_ENTROPIES[0] + 2 * CROSS_ENTROPIES[1]) / 3)
    # Inverse frequencies, as 1 to 4.
    weighted = value(loss("cross_entropy(class_weights=1)"))
    assert weighted == pytest.approx((CROSS_ENTROPIES[0] + 4 * CROSS_ENTROPIES[1]) / 5)
    assert value(loss("cross_entropy:2.5")) == pytest.approx(2.5 * sum(CROSS_ENTROPIES) / 2)


@pytest.mark.parametrize("given", [{"label_smoothing": 0.3}, {}])
def test_label_smoothing_by_hand(given):
    # With smoothing 0.3 a tenth of the target is on each class.
    text = "cross_entropy" if given else "cross_entropy(smoothing=0.3)"
    smooth = value(loss(text, **given), LABELS[:1], LOGITS[:1])
    assert smooth == pytest.approx(0.7 * math.log(4) + 0.1 * (math.log(4) + math.log(4) + math.log(2)))


def test_class_balanced_loss_by_hand():
    # Effective numbers with beta 1/2: 2 - 2^-7 = 255/128, 3/2 and 1; their inverses sum to 128/255 + 2/3 + 1.
    inverse = np.array([128 / 255, 2 / 3, 1.0])
    weights = 3 * inverse / inverse.sum()
    np.testing.assert_allclose(effective_number_weights(FREQUENCIES, 0.5), weights, rtol=1e-6)
    expected = (weights[0] * CROSS_ENTROPIES[0] + weights[1] * CROSS_ENTROPIES[1]) / 2
    assert value(loss("class_balanced", class_balance=0.5)) == pytest.approx(expected, rel=1e-6)
    assert value(loss("class_balanced(beta=0.5)")) == pytest.approx(expected, rel=1e-6)
    # Of shares, the mean weight of the classes.
    expected = ((weights[0] + weights[1]) / 2 * math.log(4) + weights[2] * math.log(5)) / 2
    assert value(loss("class_balanced(beta=0.5)"), SHARES) == pytest.approx(expected, rel=1e-6)


def test_the_effective_number_runs_from_one_to_the_number_of_clips():
    np.testing.assert_allclose(effective_number_weights(FREQUENCIES, 0.0), 1.0)
    inverse = 1 / FREQUENCIES
    np.testing.assert_allclose(effective_number_weights(FREQUENCIES, 1 - 1e-9), 3 * inverse / inverse.sum(), rtol=1e-6)
    # A class without a clip counts nothing, and the others sum to their number.
    np.testing.assert_allclose(effective_number_weights(np.array([4.0, 0.0, 4.0]), 0.9), [1, 0, 1])


def test_logit_adjusted_loss_by_hand():
    # The logits become log(8/11 · 1), log(2/11 · 1), log(1/11 · 2) and log(8/11 · 3), log(2/11), log(1/11).
    expected = (math.log((8 + 2 + 2) / 8) + math.log((24 + 2 + 1) / 2)) / 2
    assert value(loss("logit_adjusted")) == pytest.approx(expected, rel=1e-6)
    # With tau 0 nothing is adjusted, and a class without a clip does no harm.
    for text, settings in (("logit_adjusted", {"logit_adjustment": 0.0}), ("logit_adjusted(tau=0)", {})):
        assert value(loss(text, **settings)) == pytest.approx(sum(CROSS_ENTROPIES) / 2)
    absent = value(loss("logit_adjusted", np.array([8.0, 2.0, 0.0]), label_smoothing=0.1))
    assert math.isfinite(absent)


def test_focal_loss_by_hand():
    # (1 - 1/4)^2 log 4 and (1 - 1/5)^2 log 5.
    expected = (9 / 16 * math.log(4) + 16 / 25 * math.log(5)) / 2
    assert value(loss("focal")) == pytest.approx(expected)
    assert value(loss("focal(gamma=0)")) == pytest.approx(sum(CROSS_ENTROPIES) / 2)
    # Of shares: half of (3/4)^2 log 4 twice, and (4/5)^2 log 5.
    assert value(loss("focal"), SHARES) == pytest.approx(expected)


def test_kullback_leibler_by_hand():
    # 1/2 log(1/2 / 1/4) twice = log 2, and log(1 / 1/5).
    assert value(loss("kullback_leibler"), SHARES) == pytest.approx((math.log(2) + math.log(5)) / 2)
    agreed = torch.tensor([[0.25, 0.25, 0.5], [0.6, 0.2, 0.2]])
    assert value(loss("kullback_leibler"), agreed) == pytest.approx(0, abs=1e-6)
    # One class alone: cross entropy.
    assert value(loss("kullback_leibler")) == pytest.approx(sum(CROSS_ENTROPIES) / 2)


def test_jeffreys_by_hand():
    # Shares 1/2, 1/4, 1/4 against 1/4, 1/4, 1/2: (1/4) log 2 + 0 + (-1/4) log(1/2).
    shares = torch.tensor([[0.5, 0.25, 0.25]])
    assert value(loss("jeffreys(smoothing=0)"), shares, LOGITS[:1]) == pytest.approx(math.log(2) / 2, rel=1e-4)
    # Smoothing by 0.3 takes a class's 1 to 0.8, and the others to 0.1.
    expected = 0.55 * math.log(0.8 / 0.25) + 0.15 * math.log(2.5) + 0.4 * math.log(5)
    assert value(loss("jeffreys(smoothing=0.3)"), LABELS[:1], LOGITS[:1]) == pytest.approx(expected)
    assert math.isfinite(value(loss("jeffreys(smoothing=0)")))


def test_any_accepted_class_will_do():
    accepted = torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    assert value(loss("multi_label"), accepted) == pytest.approx((math.log(2) + math.log(5)) / 2)
    assert value(loss("multi_label")) == pytest.approx(sum(CROSS_ENTROPIES) / 2)


def test_angular_margin_by_hand():
    # Angles of 60 and 90 degrees to the class and the other ones; a margin of 30 makes it 90: all alike.
    cosines = torch.tensor([[0.5, 0.0, 0.0]])
    sample = (torch.zeros(1, 3), {"features": torch.zeros(1, 4), "cosine": cosines})
    text = f"additive_angular_margin(margin={math.pi / 6},scale=10)"
    function = TrainingLoss(3, 4, OptimisationConfig(loss=text), None, sample)
    extras = {"cosine": cosines}
    assert value(function, LABELS[:1], 10 * cosines, extras) == pytest.approx(math.log(3), rel=1e-5)
    # Where angle and margin are more than half a turn, it goes on falling: cos 170° - (pi / 6) sin 30°.
    far = math.cos(math.radians(170))
    cosines = torch.tensor([[far, 0.0, 0.0]])
    expected = math.log1p(2 * math.exp(-10 * (far - math.pi / 6 / 2)))
    assert value(function, LABELS[:1], 10 * cosines, {"cosine": cosines}) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("text", [name for name in CLASSIFICATION_LOSSES if name != "branches"])
@pytest.mark.parametrize("shared", [False, True])
def test_gradients(text, shared):
    generator = torch.Generator().manual_seed(0)
    cosine = text == "additive_angular_margin"
    sample = (torch.zeros(1, 3), {"features": torch.zeros(1, 4), "cosine": torch.zeros(1, 3)}) if cosine else None
    config = OptimisationConfig(loss=text, label_smoothing=0.1)
    function = TrainingLoss(3, 4, config, FREQUENCIES, sample).double()
    logits = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    target = torch.rand(4, 3, dtype=torch.float64, generator=generator) if shared else torch.tensor([0, 1, 2, 0])
    target = target / target.sum(dim=1, keepdim=True) if shared else target

    def total(values: torch.Tensor) -> torch.Tensor:
        return function.total(function(values, target, {"cosine": values.tanh()}))

    assert torch.autograd.gradcheck(total, logits.requires_grad_())


def test_rare_classes_pull_harder():
    pulls = {}
    for kind in ("cross_entropy", "class_balanced", "logit_adjusted"):
        logits = torch.zeros(2, 3, requires_grad=True)
        function = loss(kind)
        function.total(function(logits, torch.tensor([0, 2]))).backward()
        pulls[kind] = (logits.grad[1, 2] / logits.grad[0, 0]).item()
    assert pulls["cross_entropy"] == pytest.approx(1)
    assert pulls["class_balanced"] > 5
    assert pulls["logit_adjusted"] == pytest.approx((10 / 11) / (3 / 11), rel=1e-5)


@pytest.mark.parametrize("text", ["cross_entropy", "class_balanced", "logit_adjusted"])
def test_without_clips_of_its_own_a_training_is_not_corrected(text):
    function = loss(text, None, class_weights=True)
    assert value(function) == pytest.approx(sum(CROSS_ENTROPIES) / 2)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"loss": "triplet"}, "has 'triplet', which is none of cross_entropy, class_balanced"),
        ({"loss": "affinity"}, "begins with affinity, which alone trains no classifier"),
        ({"loss": "cross_entropy+affinity:much"}, "the weight of affinity is 'much', which is no number"),
        ({"loss": "cross_entropy+affinity:-1"}, "must not be negative"),
        ({"loss": "cross_entropy+"}, "joined by \\+"),
        ({"loss": "cross_entropy+centre+centre"}, "has centre twice"),
        ({"loss": "focal(alpha=1)"}, "focal has no parameter 'alpha'; it has smoothing, gamma"),
        ({"loss": "focal(gamma=x)"}, "gamma of focal is 'x', which is no number"),
        ({"targets": "votes"}, "optimisation.targets has 'votes', which is none of single"),
        ({"targets": "draw+single"}, "without a weight"),
    ],
)
def test_bad_settings_are_one_sentence(setting, sentence):
    with pytest.raises(StgtError, match=sentence):
        from_dict(TrainConfig, {"dataset": "x", "optimisation": setting})


def test_a_loss_that_no_classifier_of_the_model_fits():
    with pytest.raises(StgtError, match="as the first term needs a model that classifies by angles"):
        loss("additive_angular_margin")
    with pytest.raises(StgtError, match="the loss partition needs heads, which this model does not give"):
        loss("cross_entropy+partition")
