"""Whether confidence is measured against being right, and the temperature found that set it wrong."""

from dataclasses import replace

import numpy as np
import pytest

from stgt.evaluation.calibration import (
    BINS,
    calibration,
    fit_temperature,
    negative_log_likelihood,
    search_temperature,
    temper,
)
from stgt.evaluation.metrics import score, summarise
from stgt.evaluation.predictions import PredictionTable


def table_from(confidences, right) -> PredictionTable:
    """Clips of two classes, named with these confidences, rightly or not; NaN: no face."""
    confidences = np.array(confidences, dtype=float)
    count = len(confidences)
    return PredictionTable(
        labels=("a", "b"),
        clip_ids=tuple(f"c{index}" for index in range(count)),
        subjects=("s",) * count,
        folds=np.zeros(count),
        truth=tuple("a" if hit else "b" for hit in right),
        probabilities=np.column_stack([confidences, 1 - confidences]),
    )


def calibrated_table(clips=4000, classes=4, seed=0) -> PredictionTable:
    """Labels drawn from the predicted probabilities themselves: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(clips, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (probabilities.cumsum(axis=1) > rng.random((clips, 1))).argmax(axis=1)
    names = tuple(f"label{index}" for index in range(classes))
    return PredictionTable(
        labels=names,
        clip_ids=tuple(f"c{index}" for index in range(clips)),
        subjects=("s",) * clips,
        folds=np.zeros(clips),
        truth=tuple(names[index] for index in truth),
        probabilities=probabilities,
    )


def test_the_expected_calibration_error_by_hand():
    # Three bins are filled: 0.55 (1 of 2 right), 0.75 (1 of 2), 1.0 (1 of 1).
    found = calibration(table_from([0.55, 0.55, 0.75, 0.75, 1.0], [1, 0, 1, 0, 1]))
    assert found.ece == pytest.approx((2 * 0.05 + 2 * 0.25 + 0) / 5)
    assert found.counts.sum() == 5
    assert found.counts[BINS - 1] == 1
    # An edge belongs to the bin below it: 9 / 15 is in the ninth.
    assert calibration(table_from([9 / 15], [1])).counts[8] == 1
    filled = found.counts > 0
    assert found.confidences[filled].tolist() == pytest.approx([0.55, 0.75, 1.0])
    assert found.accuracies[filled].tolist() == pytest.approx([0.5, 0.5, 1.0])
    assert np.isnan(found.accuracies[~filled]).all()


def test_accuracy_over_coverage_answers_the_most_confident_first_and_faceless_clips_last():
    table = table_from([0.6, 0.9, 0.8, 0.7, np.nan], [0, 1, 1, 0, 1])
    found = calibration(table)
    assert found.selective.tolist() == pytest.approx([1, 1, 2 / 3, 2 / 4, 2 / 5])
    assert found.coverages.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found.accuracy_at(0.8) == pytest.approx(0.5)
    assert found.accuracy_at(1.0) == pytest.approx(score(table).war)
    assert found.area == pytest.approx(np.mean([1, 1, 2 / 3, 2 / 4, 2 / 5]))
    assert found.counts.sum() == 4, "without a face there is no confidence"


def test_tempering_is_dividing_the_logits():
    logits = np.random.default_rng(0).normal(size=(6, 3))
    softmax = lambda values: np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)  # noqa: E731
    np.testing.assert_allclose(temper(softmax(logits), 2.5), softmax(logits / 2.5))
    probabilities = np.array([[1.0, 0.0], [np.nan, np.nan]])
    tempered = temper(probabilities, 2.0)
    assert tempered[0].tolist() == pytest.approx([1, 0], abs=1e-6)
    assert np.isnan(tempered[1]).all()


@pytest.mark.parametrize("wrong_by", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_was_done_to_calibrated_probabilities(wrong_by):
    fair = calibrated_table()
    # Logits multiplied by ``wrong_by`` want to be divided by it.
    skewed = replace(fair, probabilities=temper(fair.probabilities, 1 / wrong_by))
    temperature = fit_temperature(skewed)
    assert temperature == pytest.approx(wrong_by, rel=0.08)
    mended = replace(skewed, probabilities=temper(skewed.probabilities, temperature))
    assert calibration(mended).ece < 0.03
    assert negative_log_likelihood(mended) <= negative_log_likelihood(skewed)
    if wrong_by != 1:
        assert calibration(skewed).ece > 0.08


def test_a_temperature_from_too_little_stays_near_one():
    few, many = (fit_temperature(table_from([0.7, 0.8] * count, [1, 1] * count)) for count in (1, 100))
    assert 0.5 < few < 1
    assert many < 0.3
    assert fit_temperature(table_from([np.nan], [1])) == 1.0


def test_the_search_tempers_windows_and_not_pooled_clips(table):
    asked = []

    def predict(temperature):
        asked.append(temperature)
        return replace(table, probabilities=temper(table.probabilities, temperature))

    assert search_temperature(predict) == pytest.approx(fit_temperature(table), rel=1e-3)
    assert len(asked) > 3


def test_the_summary_carries_it_as_plain_values(with_faceless_clip):
    found = summarise(with_faceless_clip).to_dict()["calibration"]
    assert 0 < found["ece"] < 1
    assert 0 < found["accuracy_at_80_percent_coverage"] <= 1
    assert len(found["bins"]) == BINS
    assert {cell["accuracy"] for cell in found["bins"] if not cell["clips"]} <= {None}
    nothing = summarise(with_faceless_clip.select(np.zeros(len(with_faceless_clip), bool))).to_dict()["calibration"]
    assert (nothing["ece"], nothing["area_under_accuracy_over_coverage"]) == (None, None)
