"""Alignment leaves the expression, and the geometry stream says how it moves."""

import inspect

import numpy as np
import pytest
import torch

from stgt.errors import StgtError
from stgt.graphs.alignment import align_faces, load_reference_face, similarity_transforms
from stgt.graphs.batch import WindowBatch
from stgt.graphs.geometry import (
    BONE_SCALE,
    DISPLACEMENT_SCALE,
    MOTION_SCALE,
    POSITION_SCALE,
    aligned_nodes,
    geometry_stream,
)
from stgt.graphs.layout import LAYOUTS, load_layout
from stgt.models.registry import ExpressionModel


@pytest.fixture
def faces():
    """Twelve faces in inter-ocular units whose mouths move."""
    points = np.repeat(load_reference_face().points[None].astype(np.float64), 12, axis=0)
    points[:, 60:100] += np.random.default_rng(0).normal(0, 0.03, (12, 40, 3))
    points[:, 67] = load_reference_face().points[67]  # a landmark that alignment rests on
    return points


def test_alignment_removes_pose_distance_and_place_and_keeps_the_expression(faces, pose_faces):
    valid = np.ones(12, bool)
    plain = align_faces(faces.astype(np.float32), valid)
    assert np.abs(plain - faces).max() < 1e-5
    for yaw, pitch, scale, shift in (
        (25, 0, 80, (900, 400, 0)),
        (-30, 15, 300, (100, 1200, 50)),
        (0, -20, 20, (0, 0, 0)),
    ):
        assert np.abs(align_faces(pose_faces(faces, yaw, pitch, scale, shift), valid) - plain).max() < 2e-4


def test_alignment_never_reflects():
    """A mirrored face is brought as near as turning allows: a reflection would exchange left and right."""
    face = load_reference_face().points[load_reference_face().stable]
    _, rotation, _ = similarity_transforms(np.stack([face, face * (-1, 1, 1), face * (1, 1, -1)]), face)
    assert np.allclose(np.linalg.det(rotation), 1)
    assert np.allclose(rotation[0], np.eye(3), atol=1e-6)


def test_invalid_frames_are_zeros_whatever_they_hold(faces, pose_faces):
    valid = np.arange(12) % 3 > 0
    points = pose_faces(faces, 10, 5, 100, (300, 200, 0))
    expected = align_faces(points, valid)
    points[~valid] = np.nan
    assert np.array_equal(align_faces(points, valid), expected)
    assert not expected[~valid].any()


def test_streams_by_hand(faces):
    layout = load_layout("landmarks68")
    valid = np.ones(12, bool)
    valid[[3, 4]] = False
    points = faces.astype(np.float32)
    neutral = points[:2, layout.landmarks].mean(axis=0)
    stream = geometry_stream(points, valid, layout, 10.0, neutral=neutral)
    node = layout.landmarks.tolist().index(91)
    parent = layout.parents[node]
    displacement = points[:, layout.landmarks] - layout.reference
    assert stream.shape == (12, 68, 12)
    assert stream.dtype == np.float32
    assert np.allclose(stream[2, node, :3], displacement[2, node] / POSITION_SCALE, atol=1e-3)
    motion = (displacement[2, node] - displacement[1, node]) * 10 / MOTION_SCALE
    assert np.allclose(stream[2, node, 3:6], motion, atol=1e-2)
    motion_over_gap = (displacement[5, node] - displacement[2, node]) * 10 / 3 / MOTION_SCALE
    assert np.allclose(stream[5, node, 3:6], motion_over_gap, atol=1e-2)
    assert not stream[0, :, 3:6].any()
    bone = (displacement[7, node] - displacement[7, parent]) / BONE_SCALE
    assert np.allclose(stream[7, node, 6:9], bone, atol=1e-3)
    assert not stream[:, layout.root, 6:9].any()
    from_rest = (points[7, layout.landmarks[node]] - neutral[node]) / DISPLACEMENT_SCALE
    assert np.allclose(stream[7, node, 9:], from_rest, atol=1e-3)
    against_average = geometry_stream(points, valid, layout, 10.0)
    assert np.array_equal(against_average[..., :9], stream[..., :9])
    assert np.allclose(against_average[7, node, 9:], displacement[7, node] / DISPLACEMENT_SCALE, atol=1e-3)
    assert not stream[~valid].any()
    assert not geometry_stream(points, np.zeros(12, bool), layout, 10.0).any()


def test_aligned_nodes_give_the_same_stream(faces, pose_faces):
    layout, valid = load_layout("mediapipe146"), np.arange(12) != 5
    points = pose_faces(faces, 12, -7, 130, (400, 300, 0))
    nodes = aligned_nodes(points, valid, layout)
    once = geometry_stream(points, valid, layout, 10.0)
    assert np.array_equal(once, geometry_stream(nodes, valid, layout, 10.0, aligned=True))


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirrored_batch_is_the_batch_of_mirrored_faces(faces, name):
    layout, mirror = load_layout(name), load_reference_face().mirror
    valid = np.ones(12, bool)
    neutral = layout.reference + np.random.default_rng(1).normal(0, 0.03, layout.reference.shape).astype(np.float32)
    streams = [
        geometry_stream(points, valid, layout, 10.0, neutral=rest)
        for points, rest in (
            (faces, neutral),
            (faces[:, mirror] * (-1, 1, 1), neutral[layout.mirror] * np.float32((-1, 1, 1))),
        )
    ]
    batch = WindowBatch(
        geometry=torch.from_numpy(streams[0])[None],
        mask=torch.ones(1, 12, dtype=torch.bool),
        patches=torch.randint(0, 256, (1, 12, len(layout), 4, 4, 3), dtype=torch.uint8),
        frames=torch.randint(0, 256, (1, 2, 3, 8, 8), dtype=torch.uint8),
    )
    mirrored = batch.mirror(layout)
    assert np.allclose(mirrored.geometry[0].numpy(), streams[1], atol=2e-3)
    left, right = 5, int(layout.mirror[5])
    assert torch.equal(mirrored.patches[0, 3, right], batch.patches[0, 3, left].flip(1))
    assert torch.equal(mirrored.frames, batch.frames.flip(-1))
    again = mirrored.mirror(layout)
    assert torch.equal(again.geometry, batch.geometry)
    assert torch.equal(again.patches, batch.patches)


def test_batch_moves_and_hands_over_its_inputs():
    batch = WindowBatch(geometry=torch.zeros(2, 4, 68, 12), mask=torch.ones(2, 4, dtype=torch.bool))
    assert len(batch) == 2
    moved = batch.to("meta")
    assert moved.geometry.device.type == "meta"
    assert moved.patches is None
    assert tuple(batch.inputs) == ("geometry", "mask", "actions", "patches", "frames", "frames_mask")
    assert tuple(batch.inputs) == tuple(inspect.signature(ExpressionModel.forward).parameters)[1:]


def test_shape_errors_say_what_is_expected(faces):
    layout = load_layout("landmarks68")
    with pytest.raises(StgtError, match=r"\(T, 478, 3\).*\(12, 68, 3\)"):
        geometry_stream(faces[:, :68], np.ones(12, bool), layout, 10.0)
    with pytest.raises(StgtError, match=r"\(T, 68, 3\).*landmarks68.*\(12, 478, 3\)"):
        geometry_stream(faces, np.ones(12, bool), layout, 10.0, aligned=True)
