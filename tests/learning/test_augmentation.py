"""What training does to a window."""

import numpy as np
import pytest

from stgt.config import AugmentationConfig
from stgt.graphs.actions import mirrored_actions
from stgt.graphs.layout import load_layout
from stgt.graphs.neutral import NeutralFace
from stgt.learning.augmentation import Augmentation, rotation

NOTHING = AugmentationConfig(mirror=0, rotation_deg=0, scale=0, jitter=0, drop_frames=0, speed=0)


@pytest.fixture
def layout():
    return load_layout("landmarks68")


@pytest.fixture
def points(layout):
    return np.repeat(layout.reference[None], 5, axis=0).astype(np.float32)


@pytest.fixture
def actions():
    return np.random.default_rng(5).random((5, 52)).astype(np.float32)


@pytest.fixture
def neutral(layout):
    """The face of somebody whose two sides differ."""
    rng = np.random.default_rng(6)
    nodes = layout.reference + rng.normal(0, 0.05, layout.reference.shape)
    return NeutralFace(nodes.astype(np.float32), rng.random(52).astype(np.float32))


def test_all_switched_off_changes_nothing(layout, points, actions, neutral):
    augmentation = Augmentation(NOTHING, layout)
    valid = np.array([True, True, False, True, True])
    window = augmentation(points, actions, valid, neutral, np.random.default_rng(0))
    assert np.allclose(window.points, points)
    assert np.array_equal(window.actions, actions)
    assert np.allclose(window.neutral.nodes, neutral.nodes)
    assert np.array_equal(window.neutral.actions, neutral.actions)
    assert (window.valid == valid).all()
    assert not window.mirrored
    assert augmentation.playing_speed(np.random.default_rng(0)) == 1.0


def test_a_mirrored_reference_face_is_itself(layout, points, actions, neutral):
    config = AugmentationConfig(mirror=1, rotation_deg=0, scale=0, jitter=0, drop_frames=0, speed=0)
    window = Augmentation(config, layout)(points, actions, np.ones(5, bool), neutral, np.random.default_rng(0))
    assert window.mirrored
    assert np.allclose(window.points, points, atol=1e-4)


def test_mirroring_moves_a_raised_brow_to_the_other_side(layout, points, actions, neutral):
    config = AugmentationConfig(mirror=1, rotation_deg=0, scale=0, jitter=0, drop_frames=0, speed=0)
    node = next(v for v in range(len(layout)) if layout.mirror[v] != v)
    points[:, node, 1] -= 0.5
    window = Augmentation(config, layout)(points, actions, np.ones(5, bool), neutral, np.random.default_rng(0))
    moved = np.abs(window.points - layout.reference)[..., 1].max(0)
    assert moved.argmax() == layout.mirror[node]


def test_actions_and_the_neutral_face_are_mirrored_with_the_points(layout, points, actions, neutral):
    """So that a face at rest stays one, whatever was drawn."""
    points[:] = neutral.nodes
    actions[:] = neutral.actions
    config = AugmentationConfig(mirror=1, jitter=0, drop_frames=0)
    window = Augmentation(config, layout)(points, actions, np.ones(5, bool), neutral, np.random.default_rng(0))
    assert np.allclose(window.points, window.neutral.nodes, atol=1e-6)
    assert np.array_equal(window.actions, np.tile(neutral.actions[mirrored_actions()], (5, 1)))
    assert np.array_equal(window.neutral.actions, window.actions[0])
    # Neither is the face that was handed in changed, nor does it come out as it went in.
    assert np.abs(window.neutral.nodes - neutral.nodes).max() > 0.05
    assert np.array_equal(points[0], neutral.nodes)


def test_the_same_generator_gives_the_same_window(layout, points, actions, neutral):
    augmentation = Augmentation(AugmentationConfig(), layout)
    first, second, other = (
        augmentation(points, actions, np.ones(5, bool), neutral, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.points, second.points)
    assert not np.array_equal(first.points, other.points)


def test_dropping_frames_always_leaves_one(layout, points, actions, neutral):
    config = AugmentationConfig(drop_frames=1.0)
    window = Augmentation(config, layout)(
        points, actions, np.array([False, True, False, False, False]), neutral, np.random.default_rng(0)
    )
    assert window.valid.tolist() == [False, True, False, False, False]


def test_rotation_is_a_rotation():
    matrix = rotation(np.array([0.3, -0.2, 1.0]))
    assert np.allclose(matrix @ matrix.T, np.eye(3))
    assert np.isclose(np.linalg.det(matrix), 1)
    assert np.allclose(rotation(np.array([0, 0, np.pi / 2])) @ [1, 0, 0], [0, 1, 0])
