import doctest
import math
import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

import stgt.evaluation.metrics as metrics
import stgt.evaluation.pooling as pooling
import stgt.evaluation.report as report
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable


@pytest.mark.parametrize("module", [metrics, pooling, report])
def test_the_examples_in_the_documentation_hold(module):
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.attempted
    assert not result.failed


def test_scores_agree_with_scikit_learn(table):
    scores = metrics.score(table)
    truth, predicted, labels = table.truth, table.predicted, list(table.labels)
    assert scores.war == pytest.approx(accuracy_score(truth, predicted))
    assert scores.uar == pytest.approx(balanced_accuracy_score(truth, predicted))
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(truth, predicted, labels=labels))
    expected = recall_score(truth, predicted, labels=labels, average=None)
    np.testing.assert_allclose(list(scores.recalls.values()), expected)
    assert (scores.clips, scores.subjects) == (120, 20)
    assert not scores.unread.any()


def test_a_class_absent_from_the_truth_has_no_recall_even_if_it_is_predicted(table):
    part = table.select(np.array([label != "sadness" for label in table.truth]))
    assert "sadness" in part.predicted, "the case that a macro recall with zeros would get wrong"
    scores = metrics.score(part)
    assert math.isnan(scores.recalls["sadness"])
    assert scores.absent == ("sadness",)
    present = recall_score(part.truth, part.predicted, labels=["neutral", "happiness", "surprise"], average="macro")
    assert scores.uar == pytest.approx(present)


def test_a_clip_without_a_face_counts_as_a_mistake(table, with_faceless_clip):
    right = table.predicted[0] == table.truth[0]
    before, after = metrics.score(table), metrics.score(with_faceless_clip)
    assert after.war == pytest.approx(before.war - right / len(table))
    assert after.unread.sum() == 1
    assert after.confusion.sum() + 1 == before.confusion.sum()
    np.testing.assert_array_equal(after.support, before.support)


def test_a_summary_holds_folds_and_becomes_json(table):
    import json

    summary = metrics.summarise(table, repeats=50)
    wars = [accuracy_score(table.fold(f).truth, table.fold(f).predicted) for f in range(5)]
    assert summary.fold_war.mean == pytest.approx(np.mean(wars))
    assert summary.fold_war.sd == pytest.approx(np.std(wars, ddof=1))
    assert list(summary.folds) == [0, 1, 2, 3, 4]
    assert json.loads(json.dumps(summary.to_dict(), allow_nan=False))["pooled"]["clips"] == 120
    single = metrics.summarise(table.fold(0), repeats=50)
    assert math.isnan(single.fold_uar.sd)
    json.dumps(single.to_dict(), allow_nan=False)


def slow_bootstrap(table: PredictionTable, repeats: int, seed: int) -> tuple[list[float], list[float]]:
    """The same bootstrap, spelled out clip by clip."""
    subjects = sorted(set(table.subjects))
    rows = {s: [i for i, name in enumerate(table.subjects) if name == s] for s in subjects}
    draws = np.random.default_rng(seed).multinomial(len(subjects), [1 / len(subjects)] * len(subjects), size=repeats)
    truth, predicted = np.array(table.truth), np.array(table.predicted)
    wars, uars = [], []
    for draw in draws:
        drawn = [i for s, times in zip(subjects, draw, strict=True) for i in rows[s] * times]
        wars.append(accuracy_score(truth[drawn], predicted[drawn]))
        uars.append(balanced_accuracy_score(truth[drawn], predicted[drawn]))
    return wars, uars


def test_the_bootstrap_is_the_one_that_draws_subjects_clip_by_clip(table):
    intervals = metrics.bootstrap_over_subjects(table, repeats=60, seed=3)
    wars, uars = slow_bootstrap(table, 60, 3)
    assert (intervals.war.low, intervals.war.high) == pytest.approx(tuple(np.quantile(wars, [0.025, 0.975])))
    assert (intervals.uar.low, intervals.uar.high) == pytest.approx(tuple(np.quantile(uars, [0.025, 0.975])))


def test_clips_that_are_alike_within_subjects_widen_the_interval():
    """Ten subjects are always right and ten always wrong: 2,000 clips tell no more than 20 people."""
    clips, subjects = 2000, 20
    subject = np.arange(clips) % subjects
    probabilities = np.where((subject < 10)[:, None], [0.9, 0.1], [0.1, 0.9])
    table = PredictionTable(
        ("a", "b"),
        tuple(map(str, range(clips))),
        tuple(map(str, subject)),
        np.zeros(clips),
        ("a",) * clips,
        probabilities,
    )
    interval = metrics.bootstrap_over_subjects(table).war
    assert 0.5 in interval
    assert interval.high - interval.low > 0.3


def test_the_bootstrap_is_fast_and_the_same_for_a_seed(table):
    start = time.perf_counter()
    first = metrics.bootstrap_over_subjects(table, repeats=1000, seed=1)
    assert time.perf_counter() - start < 1.0
    assert first == metrics.bootstrap_over_subjects(table, repeats=1000, seed=1)
    assert first != metrics.bootstrap_over_subjects(table, repeats=1000, seed=2)


def test_one_subject_has_no_interval(table):
    alone = table.select(np.array([subject == "S00" for subject in table.subjects]))
    intervals = metrics.bootstrap_over_subjects(alone)
    assert intervals.war is None
    assert intervals.uar is None


def test_the_difference_between_models_is_paired(table_of):
    good, bad = table_of(seed=1, skill=2.5), table_of(seed=2, skill=0.8)
    shuffled = bad.select(np.random.default_rng(0).permutation(len(bad)))
    difference = metrics.paired_difference(good, shuffled)
    assert difference.war == pytest.approx(metrics.score(good).war - metrics.score(bad).war)
    assert difference.intervals.uar.low > 0, "a model this much better is better for any draw of subjects"
    assert difference == metrics.paired_difference(good, bad), "the order of the clips does not matter"
    same = metrics.paired_difference(good, good)
    assert (same.war, same.intervals.war.low, same.intervals.war.high) == (0, 0, 0)


def test_models_on_other_clips_cannot_be_compared(table):
    with pytest.raises(StgtError, match="same clips"):
        metrics.paired_difference(table, table.fold(0))


def test_chance(table):
    war, uar = metrics.chance(table)
    assert uar == 0.25
    assert war == max(table.truth.count(label) for label in table.labels) / 120


def test_an_empty_table_has_no_scores():
    nothing = PredictionTable(("a", "b"), (), (), np.zeros(0), (), np.zeros((0, 2)))
    scores = metrics.score(nothing)
    assert math.isnan(scores.war)
    assert scores.clips == 0
