"""The scores of experiments/real_faces, on windows small enough to count by hand."""

import itertools

import numpy as np
import pytest
from real_faces.observations import PY_FEAT, TALKING, UNSURE, Span
from real_faces.scoring import (
    Row,
    Windows,
    average_frames,
    episodes,
    false_episodes,
    per_minute,
    recall_table,
    runs,
    time_shares,
    truth_at,
)

LABELS = ("neutral", "anger", "happiness")
N, A, H, NOBODY = (0.8, 0.1, 0.1), (0.3, 0.45, 0.25), (0.1, 0.1, 0.8), (np.nan, np.nan, np.nan)


def windows(*rows, hop=0.5, length=1.5):
    starts = hop * np.arange(len(rows))
    probabilities = np.array(rows, float)
    shares = np.isfinite(probabilities).all(axis=1).astype(float)
    return Windows(LABELS, starts, starts + length, probabilities, shares)


def test_labels_of_windows_with_and_without_a_least_confidence():
    some = windows(N, A, H, NOBODY)
    assert some.called() == ["neutral", "anger", "happiness", "none"]
    assert some.called(0.5) == ["neutral", "uncertain", "happiness", "none"]


def test_windows_share_the_time_without_gaps():
    # Middles 0.75, 1.25, 1.75: the first and last speak to the ends of the clip.
    np.testing.assert_allclose(windows(N, N, N).edges, [0, 1.0, 1.5, 2.5])


def test_an_episode_is_a_run_of_one_expression():
    some = windows(N, H, H, A, A, NOBODY, A, N, H)
    found = episodes(some.called(), some.edges)
    assert [episode.label for episode in found] == ["happiness", "anger", "anger", "happiness"]
    assert (found[0].start_s, found[0].end_s) == (1.0, 2.0)
    # What is not sure of itself is no episode, and nothing is left of anger.
    assert [e.label for e in episodes(some.called(0.5), some.edges)] == ["happiness", "happiness"]
    assert sum(run.end_s - run.start_s for run in runs(some.called(), some.edges)) == pytest.approx(some.edges[-1])


def test_an_episode_is_false_where_its_expression_was_not_seen():
    some = windows(N, H, H, N, H, N, A, A, N)
    found = episodes(some.called(), some.edges)  # happiness 1.0–2.0 and 2.5–3.0, anger 3.5–4.5
    seen = [Span(0.0, 1.2, "neutral"), Span(1.2, 2.4, "happiness"), Span(2.4, 3.6, "neutral"), Span(3.6, 4.0, UNSURE)]
    assert [(e.label, e.start_s) for e in false_episodes(found, seen)] == [("happiness", 2.5), ("anger", 3.5)]
    # More than half of its time is enough.
    assert [e.start_s for e in false_episodes(found, [*seen[:3], Span(3.6, 4.2, UNSURE)])] == [2.5]


def test_shares_of_time_within_what_was_seen():
    some = windows(N, H, H, N)
    assert time_shares(some.called(), some.edges) == pytest.approx({"neutral": 2 / 3, "happiness": 1 / 3})
    within = [Span(0.5, 1.5, ""), Span(2.5, 9.0, "")]
    assert time_shares(some.called(), some.edges, within) == pytest.approx({"neutral": 2 / 3, "happiness": 1 / 3})
    assert time_shares(some.called(), some.edges, []) == {}


def test_per_minute():
    assert per_minute(3, 90.0) == 2.0
    assert np.isnan(per_minute(0, 0.0))


def test_windows_inside_a_part_and_the_nearest_where_none_is_short_enough():
    some = windows(N, N, H, H)
    assert some.inside(0.0, 2.0).tolist() == [True, True, False, False]
    assert some.inside(1.1, 2.0).tolist() == [False, True, False, False]
    np.testing.assert_allclose(some.mean(some.inside(0.9, 3.0)), H)


def test_the_mean_leaves_out_windows_without_a_face():
    np.testing.assert_allclose(windows(NOBODY, H).mean(), H)
    assert np.isnan(windows(NOBODY, NOBODY).mean()).all()


def test_frames_are_averaged_over_the_same_windows():
    frames = np.array([N, N, H, NOBODY, NOBODY, H], float)
    times = 0.5 * np.arange(6)
    averaged = average_frames(frames, times, LABELS, np.array([0.0, 1.0, 1.5]), np.array([1.0, 2.0, 2.0]))
    np.testing.assert_allclose(averaged.probabilities[0], (2 * np.array(N) + H) / 3)
    np.testing.assert_allclose(averaged.probabilities[1], H)
    assert np.isnan(averaged.probabilities[2]).all()
    np.testing.assert_allclose(averaged.shares, [1, 1 / 3, 0])


def test_recall_over_the_classes_present_with_an_interval_over_people():
    rows = [Row(f"{person} n", str(person), "neutral", np.array(N)) for person in range(20)]
    rows += [Row(f"{person} s", str(person), "happiness", np.array(H if person < 15 else N)) for person in range(20)]
    scores = recall_table(rows, LABELS)
    assert scores["uar"] == pytest.approx(0.875)
    assert scores["recalls"] == {"neutral": 1.0, "happiness": 0.75}
    assert scores["confusion"]["happiness"] == {"happiness": 15, "neutral": 5}
    assert scores["wrong"]["19 s"] == "neutral"
    assert scores["truth_probability"]["neutral"] == pytest.approx(0.8)
    low, high = scores["interval"]
    assert 0.7 < low < 0.875 < high < 1.0
    assert recall_table(rows[:3], LABELS)["interval"] is None


@pytest.mark.parametrize("spans", [TALKING, *PY_FEAT.values()])
def test_what_was_seen_is_in_order_and_known(spans):
    assert all(before.end_s <= after.start_s for before, after in itertools.pairwise(spans))
    assert all(span.start_s < span.end_s for span in spans)
    assert {span.label for span in spans} <= {"neutral", "happiness", "sadness", UNSURE}


def test_truth_at_a_time():
    spans = [Span(0.0, 1.0, "neutral"), Span(1.0, 2.0, UNSURE)]
    assert [truth_at(spans, time) for time in (0.5, 1.0, 3.0)] == ["neutral", None, None]
