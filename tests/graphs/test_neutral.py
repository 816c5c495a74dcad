"""The estimate of a person's neutral face: what it rests on, and what it does not depend on."""

import tracemalloc

import numpy as np
import pytest

from stgt.faces.landmarker import BLENDSHAPE_NAMES
from stgt.graphs.layout import load_layout
from stgt.graphs.neutral import MEMORY_S, NeutralEstimator, average_neutral, frame_weights, resting_mean

LAYOUT = load_layout("landmarks68")
AVERAGE = average_neutral(LAYOUT)
#: Blendshapes of a broad smile: expressiveness 2.4 above the average face at rest.
SMILE = np.zeros(52, np.float32)
SMILE[[BLENDSHAPE_NAMES.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]] = 0.9
SMILE[[BLENDSHAPE_NAMES.index(name) for name in ("cheekPuff", "jawOpen")]] = 0.3
SHIFT = np.random.default_rng(0).normal(0, 0.05, (len(LAYOUT), 3)).astype(np.float32)
#: Where this person's nodes are at rest, and how a smile moves them.
PERSON = AVERAGE.nodes + SHIFT
SMILE_MOVES = np.random.default_rng(1).normal(0, 0.1, (len(LAYOUT), 3)).astype(np.float32)


def course(strength, rate=30.0, seconds=6.0, start_s=0.0):
    """Frames of a person who smiles as ``strength`` (a function of seconds, 0 to 1) says: (nodes, actions, times)."""
    times = start_s + np.arange(round(seconds * rate)) / rate
    share = np.array([strength(time_s) for time_s in times], np.float32)
    nodes = PERSON + share[:, None, None] * SMILE_MOVES
    return nodes, AVERAGE.actions + share[:, None] * SMILE, times


def estimate(nodes, actions, times, valid=None):
    valid = np.ones(len(times), bool) if valid is None else valid
    return NeutralEstimator(LAYOUT).update(nodes, actions, times, valid)


def distance(face, nodes):
    """How far a face is from what it should be: 1 is as far as the average face is from this person's at rest."""
    return np.linalg.norm(face.nodes - nodes) / np.linalg.norm(SHIFT)


def in_waves(time_s):
    return max(0.0, np.sin(2 * time_s))


def at_rest(time_s):
    return 0.0


def test_frames_in_chunks_give_what_all_of_them_give_at_once():
    nodes, actions, times = course(in_waves, seconds=8)
    valid = np.random.default_rng(2).random(len(times)) > 0.2
    whole = estimate(nodes, actions, times, valid)
    for sizes in ((1,) * len(times), (7, 0, 100, 33, 100)):
        estimator, first = NeutralEstimator(LAYOUT), 0
        for size in sizes:
            part = slice(first, first + size)
            last = estimator.update(nodes[part], actions[part], times[part], valid[part])
            first += size
        np.testing.assert_allclose(last.nodes, whole.nodes, atol=1e-6)
        np.testing.assert_allclose(last.actions, whole.actions, atol=1e-6)
    assert distance(whole, AVERAGE.nodes) > 0.2, "an estimate that never moves would show nothing"


def test_the_frame_rate_does_not_matter():
    slow, fast = (estimate(*course(in_waves, rate)) for rate in (10.0, 30.0))
    assert distance(slow, fast.nodes) < 0.03
    np.testing.assert_allclose(slow.actions, fast.actions, atol=0.01)
    assert distance(slow, AVERAGE.nodes) > 0.2


def test_long_gaps_in_time_are_not_long_rests():
    weights = frame_weights(np.tile(AVERAGE.actions, (3, 1)), np.array([0.0, 0.1, 9.0]), np.ones(3, bool))
    assert weights[2] == pytest.approx(2 * weights[1])
    assert frame_weights(np.zeros((0, 52)), np.zeros(0), np.zeros(0, bool)).shape == (0,)


def test_invalid_frames_count_nothing_whatever_they_hold():
    nodes, actions, times = course(in_waves)
    valid = np.arange(len(times)) % 3 > 0
    clean = estimate(nodes * valid[:, None, None], actions * valid[:, None], times, valid)
    nodes[~valid], actions[~valid] = np.nan, np.nan
    dirty = estimate(nodes, actions, times, valid)
    assert np.array_equal(clean.nodes, dirty.nodes)
    assert np.array_equal(clean.actions, dirty.actions)


def test_without_a_face_it_is_the_average_face():
    nodes, actions, times = course(at_rest)
    faceless = estimate(nodes, actions, times, np.zeros(len(times), bool))
    np.testing.assert_allclose(faceless.nodes, AVERAGE.nodes, atol=1e-6)
    np.testing.assert_allclose(faceless.actions, AVERAGE.actions, atol=1e-6)


def test_one_sustained_smile_is_not_taken_for_rest():
    smiling = estimate(*course(lambda time_s: 1.0, seconds=10))
    assert distance(smiling, AVERAGE.nodes) < 0.15
    mouth = BLENDSHAPE_NAMES.index("mouthSmileLeft")
    assert smiling.actions[mouth] - AVERAGE.actions[mouth] < 0.15 * SMILE[mouth]


def test_three_seconds_of_rest_are_enough():
    resting = estimate(*course(at_rest, seconds=3))
    assert distance(resting, PERSON) < 0.4
    assert distance(resting, AVERAGE.nodes) > 0.6


def test_rest_outweighs_the_expression_before_and_after_it():
    rest, smile = (0.0, 3.0), (3.0, 9.0)
    later = estimate(*course(lambda time_s: float(smile[0] <= time_s < smile[1]), seconds=9))
    earlier = estimate(*course(lambda time_s: float(time_s < 6.0), seconds=9))
    for face in (later, earlier):
        assert distance(face, PERSON) < 0.4
        assert distance(face, PERSON + SMILE_MOVES) > 1
    only_rest = estimate(*course(at_rest, seconds=rest[1]))
    assert distance(later, only_rest.nodes) < 0.15, "six seconds of a smile hardly move what three of rest have shown"


def test_blinks_and_glances_are_rest():
    _, actions, times = course(at_rest)
    calm = frame_weights(actions, times, np.ones(len(times), bool))
    for name in ("eyeBlinkLeft", "eyeLookDownRight"):
        changed = actions.copy()
        changed[:, BLENDSHAPE_NAMES.index(name)] = 1
        assert np.array_equal(frame_weights(changed, times, np.ones(len(times), bool)), calm), name


def test_whoever_comes_later_is_learnt_and_who_left_is_forgotten():
    estimator = NeutralEstimator(LAYOUT)
    nodes, actions, times = course(at_rest, rate=10, seconds=20)
    estimator.update(nodes, actions, times, np.ones(len(times), bool))
    away = np.arange(20.0, 20.0 + 8 * MEMORY_S, 0.5)
    blank = (np.zeros((len(away), len(LAYOUT), 3)), np.zeros((len(away), 52)))
    nobody = estimator.update(*blank, away, np.zeros(len(away), bool))
    assert distance(nobody, AVERAGE.nodes) < 0.05
    estimator.update(nodes, actions, away[-1] + 1 + times, np.ones(len(times), bool))
    estimator.reset()
    fresh = estimator.update(nodes[:30], actions[:30], times[:30], np.ones(30, bool))
    assert np.array_equal(fresh.nodes, estimate(nodes[:30], actions[:30], times[:30]).nodes)


def test_memory_is_constant_for_ever():
    estimator = NeutralEstimator(LAYOUT)
    nodes, actions, _ = course(in_waves, seconds=1 / 30)
    valid, held = np.ones(1, bool), []
    tracemalloc.start()
    for index in range(2000):
        estimator.update(nodes, actions, np.array([index / 30]), valid)
        if index in (999, 1999):
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert abs(held[1] - held[0]) < 2000


def test_a_known_rest_is_the_mean_of_its_frames_with_a_face():
    nodes, actions, times = course(in_waves)
    valid = np.arange(len(times)) % 2 > 0
    face = resting_mean(nodes, actions, valid)
    np.testing.assert_allclose(face.nodes, nodes[valid].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(face.actions, actions[valid].mean(axis=0), atol=1e-6)
    assert resting_mean(nodes, actions, np.zeros(len(times), bool)) is None


def test_a_stern_face_is_known_as_soon_as_any_other():
    frown = BLENDSHAPE_NAMES.index("browDownLeft")

    def known(sternness: float) -> float:
        nodes, actions, times = course(at_rest, seconds=2)
        actions[:, frown] += sternness
        return distance(estimate(nodes, actions, times), PERSON)

    assert known(0.5) < known(0.0) + 0.05
    assert known(2.0) > known(0.0) + 0.3, "what is that lively is an expression"
