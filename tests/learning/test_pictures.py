"""What training does to crops."""

from dataclasses import replace

import numpy as np
import pytest

from stgt.config import AugmentationConfig
from stgt.learning.pictures import augment_pictures

NOTHING = AugmentationConfig(rotation_deg=0, scale=0, shift=0, light=0, erase=0)


@pytest.fixture
def frames() -> np.ndarray:
    """(3, 3, 32, 32): a gradient, three times, the second one a little brighter."""
    picture = np.linspace(40, 120, 32)[None, None, :] * np.ones((3, 32, 1)) + np.arange(3)[:, None, None] * 10
    return np.stack([picture, picture + 20, picture]).astype(np.uint8)


def changed(frames: np.ndarray, seed: int = 0, **settings: float) -> np.ndarray:
    shown = np.array([True, True, False])
    return augment_pictures(frames, shown, replace(NOTHING, **settings), np.random.default_rng(seed))


def test_without_any_setting_nothing_changes(frames):
    assert np.array_equal(changed(frames), frames)


@pytest.mark.parametrize(
    "setting", [{"rotation_deg": 20}, {"scale": 0.3}, {"shift": 0.2}, {"light": 0.5}, {"erase": 1}]
)
def test_frames_of_a_window_change_alike_and_those_without_a_face_stay(frames, setting):
    before = frames.copy()
    frames[1] = frames[0]
    out = changed(frames, **setting)
    assert np.array_equal(out[0], out[1])
    assert not np.array_equal(out[0], frames[0])
    assert np.array_equal(out[2], before[2])
    assert np.array_equal(changed(frames, **setting), out), "the same generator gives the same"
    assert not np.array_equal(changed(frames, seed=1, **setting)[0], out[0])


def test_light_moves_the_level_and_a_hidden_box_is_a_part(frames):
    assert np.mean([changed(frames, seed, light=0.3)[0].mean() for seed in range(200)]) == pytest.approx(
        frames[0].mean(), rel=0.12
    )
    shares = [(changed(frames, seed, erase=1.0)[0] != frames[0]).any(axis=0).mean() for seed in range(50)]
    assert 0.005 < min(shares) <= max(shares) < 0.25
    kept = [np.array_equal(changed(frames, seed, erase=0.25)[0], frames[0]) for seed in range(200)]
    assert 0.6 < np.mean(kept) < 0.9
