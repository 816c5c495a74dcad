"""Clips from windows: the mean, or what they show at their peak."""

import numpy as np
import pytest

from stgt.evaluation.pooling import peak_class, pool_clips, pool_windows

WINDOWS = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.85, 0.05, 0.1], [0.97, 0.02, 0.01]])
CLIPS = np.array([0, 0, 0, 1])


def test_a_clip_that_rests_and_then_smiles_is_a_smile_at_its_peak():
    share = np.ones(4)
    peak = pool_clips(WINDOWS, share, CLIPS, 2, peak=0)
    assert peak.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(peak.sum(axis=1), 1)
    assert peak[0, 0] == pytest.approx(0.1)
    assert pool_clips(WINDOWS, share, CLIPS, 2).argmax(axis=1).tolist() == [0, 0]


def test_a_window_that_hardly_sees_a_face_is_no_peak():
    share = np.array([1.0, 0.2, 1.0, 1.0])
    assert pool_clips(WINDOWS, share, CLIPS, 2, peak=0)[0].argmax() == 0


def test_one_window_is_its_clip_and_no_face_is_unknown():
    values = np.vstack([WINDOWS[1], np.full(3, np.nan)])
    pooled = pool_clips(values, np.array([0.5, 0.0]), np.array([0, 1]), 3, peak=0)
    np.testing.assert_allclose(pooled[0], WINDOWS[1])
    assert np.isnan(pooled[1:]).all()


def test_only_a_model_that_knows_neutral_has_a_peak():
    assert peak_class("peak", ("anger", "neutral")) == 1
    assert peak_class("peak", ("anger", "fear")) is None
    assert peak_class("mean", ("anger", "neutral")) is None
    np.testing.assert_array_equal(
        pool_clips(WINDOWS, np.ones(4), CLIPS, 2, None), pool_windows(WINDOWS, np.ones(4), CLIPS, 2)
    )
