"""The action stream: which channel is which, and what a mirror does to it."""

import numpy as np
import torch

from stgt.faces.landmarker import BLENDSHAPE_NAMES
from stgt.graphs.actions import ACTION_CHANNELS, action_stream, mirrored_actions
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.batch import WindowBatch
from stgt.graphs.layout import load_layout


def test_blendshapes_come_first_and_then_their_difference_from_rest():
    actions = np.random.default_rng(0).random((6, 52)).astype(np.float32)
    neutral = np.random.default_rng(1).random(52).astype(np.float32)
    valid = np.array([True, True, False, True, True, True])
    actions[2] = np.nan
    stream = action_stream(actions, neutral, valid)
    assert stream.shape == (6, ACTION_CHANNELS) == (6, 104)
    assert stream.dtype == np.float32
    assert not stream[2].any()
    smile = BLENDSHAPE_NAMES.index("mouthSmileLeft")
    assert stream[4, smile] == actions[4, smile]
    assert stream[4, 52 + smile] == actions[4, smile] - neutral[smile]


def test_a_mirror_exchanges_left_and_right_and_nothing_else():
    order = mirrored_actions()
    assert np.array_equal(order[order], np.arange(52))
    for name, other in (("mouthSmileLeft", "mouthSmileRight"), ("jawRight", "jawLeft"), ("mouthLeft", "mouthRight")):
        assert BLENDSHAPE_NAMES[order[BLENDSHAPE_NAMES.index(name)]] == other
    sided = [index for index, name in enumerate(BLENDSHAPE_NAMES) if name.endswith(("Left", "Right"))]
    assert np.flatnonzero(order != np.arange(52)).tolist() == sided


def test_mirrored_batch_is_the_batch_of_mirrored_actions():
    rng = np.random.default_rng(0)
    actions, neutral, valid = rng.random((5, 52)), rng.random(52), np.ones(5, bool)
    order = mirrored_actions()
    plain, expected = (
        torch.from_numpy(action_stream(a, n, valid))[None]
        for a, n in ((actions, neutral), (actions[:, order], neutral[order]))
    )
    layout = load_layout("landmarks68")
    batch = WindowBatch(geometry=torch.zeros(1, 5, 68, 12), mask=torch.ones(1, 5, dtype=torch.bool), actions=plain)
    mirrored = batch.mirror(layout)
    assert torch.equal(mirrored.actions, expected)
    assert torch.equal(mirrored.mirror(layout).actions, plain)
    assert not torch.equal(mirrored.actions, plain)


def test_the_average_face_has_actions_of_its_own():
    actions = load_reference_face().actions
    assert actions.shape == (52,)
    assert actions.dtype == np.float32
    assert actions.min() >= 0
    assert actions.max() < 0.9
    assert np.abs(actions - actions[mirrored_actions()]).max() < 0.15, "a face at rest is the same on both sides"
