"""Probabilities against true shares of the classes."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from stgt.data.catalog.layouts import Clip
from stgt.evaluation.calibration import search_temperature, temper
from stgt.evaluation.distributions import (
    distribution_scores,
    share_cross_entropy,
    shares_by_clip,
    true_shares,
)
from stgt.evaluation.predictions import PredictionTable

SHARES = {"a": {"joy": 0.5, "fear": 0.5}, "b": {"joy": 0.25, "calm": 0.5}, "gone": {"fear": 1.0}}


def table(probabilities) -> PredictionTable:
    clip_ids = ("a", "b", "single", "gone")[: len(probabilities)]
    return PredictionTable(
        labels=("joy", "fear"),
        clip_ids=clip_ids,
        subjects=clip_ids,
        folds=np.zeros(len(clip_ids)),
        truth=("joy", "joy", "fear", "fear")[: len(probabilities)],
        probabilities=np.array(probabilities),
    )


PREDICTED = table([[0.8, 0.2], [0.5, 0.5], [0.9, 0.1], [np.nan, np.nan]])


def test_scores_by_hand():
    found = distribution_scores(PREDICTED, SHARES)
    # Of b what is calm is not asked for, so that it is all joy; the single label and the unread clip do not count.
    assert found.clips == 2
    first = 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)
    assert found.kullback_leibler == pytest.approx((first + math.log(2)) / 2)
    assert found.intersection == pytest.approx((0.5 + 0.2 + 0.5) / 2)
    assert found.cosine == pytest.approx((0.5 / (math.sqrt(0.5) * math.sqrt(0.68)) + math.sqrt(0.5)) / 2)
    # Between 0.5 0.5 and 0.8 0.2 lies 0.65 0.35; between 1 0 and 0.5 0.5 lies 0.75 0.25.
    shared = 0.5 * math.log(0.5 / 0.65) + 0.5 * math.log(0.5 / 0.35)
    said = 0.8 * math.log(0.8 / 0.65) + 0.2 * math.log(0.2 / 0.35)
    other = math.log(1 / 0.75) + 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert found.jensen_shannon == pytest.approx((shared + said + other) / 4, rel=1e-5)
    # Who says 3/4 joy to all.
    chance = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert found.chance == pytest.approx((chance + math.log(1 / 0.75)) / 2)


def test_who_says_the_shares_is_perfect():
    found = distribution_scores(table([[0.5, 0.5], [1.0, 0.0]]), SHARES)
    assert found.kullback_leibler == pytest.approx(0, abs=1e-6)
    assert found.jensen_shannon == pytest.approx(0, abs=1e-6)
    assert found.intersection == pytest.approx(1)
    assert found.cosine == pytest.approx(1)


def test_without_shares_there_is_nothing_to_say():
    assert distribution_scores(PREDICTED, {}) is None
    assert distribution_scores(table([[np.nan, np.nan]]), SHARES) is None
    assert np.isnan(true_shares(PREDICTED, {"a": {"calm": 1.0}})).all()


def test_shares_of_clips():
    clips = [Clip("a", "x.mp4", "s", "joy", shares={"joy": 1.0}), Clip("b", "y.mp4", "s", "joy")]
    assert shares_by_clip(clips) == {"a": {"joy": 1.0}}


def test_cross_entropy_with_shares_and_labels():
    expected = -(0.5 * math.log(0.8) + 0.5 * math.log(0.2)) - math.log(0.5) - math.log(0.1)
    assert share_cross_entropy(PREDICTED, SHARES) == pytest.approx(expected / 3)
    assert share_cross_entropy(table([[np.nan, np.nan]]), SHARES) == math.inf


def test_a_temperature_for_shares_is_not_one_for_labels():
    # All say 0.9 of what is 0.7 of the truth, and always its label.
    names = tuple(f"c{number}" for number in range(400))
    said = PredictionTable(("joy", "fear"), names, names, np.zeros(400), ("joy",) * 400, np.tile([0.9, 0.1], (400, 1)))
    shares = {name: {"joy": 0.7, "fear": 0.3} for name in names}

    def predict(temperature: float) -> PredictionTable:
        return replace(said, probabilities=temper(said.probabilities, temperature))

    assert search_temperature(predict) < 0.5
    found = search_temperature(predict, partial(share_cross_entropy, shares=shares))
    assert found == pytest.approx(math.log(9) / math.log(7 / 3), rel=0.02)
