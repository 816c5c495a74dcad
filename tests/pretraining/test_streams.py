"""Streams: windows out of nothing, labelled by what they show."""

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.graphs.layout import load_layout
from stgt.learning.augmentation import Augmentation
from stgt.pretraining.config import PretrainConfig, StreamConfig
from stgt.pretraining.run import collate_streams
from stgt.pretraining.streams import LABELS, StreamDataset, shares


def dataset(**changes):
    config = PretrainConfig()
    augmentation = Augmentation(config.augmentation, load_layout(config.model.layout))
    return StreamDataset(
        StreamConfig(subjects=12, **changes), config.model, config.window, augmentation, length=40, seed=3
    )


def test_an_item_is_a_function_of_seed_epoch_and_index():
    streams, again = dataset(), dataset()
    again[(1, 6)]  # the order of visits does not matter
    for one, two in zip(streams[(1, 5)], again[(1, 5)], strict=True):
        np.testing.assert_array_equal(one.geometry, two.geometry)
        np.testing.assert_array_equal(one.actions, two.actions)
        np.testing.assert_array_equal(one.target, two.target)
    assert not np.array_equal(streams[(1, 5)][-1].geometry, streams[(2, 5)][-1].geometry)


def test_windows_have_the_shapes_of_every_other_window_and_make_a_batch():
    batch = collate_streams([dataset()[(0, index)] for index in range(6)])
    count = len(batch)
    assert batch.geometry.shape == (count, 16, 68, 12)
    assert batch.actions.shape == (count, 16, 104)
    assert batch.target.shape == (count, len(LABELS))
    np.testing.assert_allclose(batch.target.sum(dim=1), 1, atol=1e-5)
    assert bool(batch.mask.any(dim=1).all())
    assert np.isfinite(batch.geometry.numpy()).all()


def test_targets_say_what_the_window_shows():
    shown = np.zeros((10, len(LABELS)))
    assert shares(shown)[0] == 1
    shown[:, LABELS.index("fear")] = 0.8
    assert shares(shown)[LABELS.index("fear")] == pytest.approx(1)
    faint = np.zeros((10, len(LABELS)))
    faint[:, LABELS.index("fear")] = 0.15
    assert 0.1 < shares(faint)[LABELS.index("fear")] < 0.9
    late = shown.copy()
    late[:9] = 0
    assert shares(late)[0] > 0.9


def test_streams_of_resting_faces_are_neutral_even_if_they_talk():
    silent = [window for index in range(8) for window in dataset(neutral=1.0, earlier=0.0, speaking=1.0)[(0, index)]]
    assert all(window.target[0] == 1 for window in silent)
    motion = [np.abs(window.geometry[window.mask][:, 48:, 3:6]).mean() for window in silent]
    resting = [window for index in range(8) for window in dataset(neutral=1.0, earlier=0.0, speaking=0.0)[(0, index)]]
    assert np.mean(motion) > np.mean([np.abs(w.geometry[w.mask][:, 48:, 3:6]).mean() for w in resting])


@pytest.mark.parametrize("subjects", [0, 2_000_000])
def test_a_senseless_number_of_people_is_refused(subjects):
    with pytest.raises(StgtError, match="between 1 and 1000000"):
        PretrainConfig(streams=StreamConfig(subjects=subjects))
