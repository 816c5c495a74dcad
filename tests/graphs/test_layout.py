"""Every layout: a proper graph, the same on both sides of the face."""

import numpy as np
import pytest
import torch

from stgt.errors import StgtError
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.layout import LAYOUTS, load_layout


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return load_layout(request.param)


def as_set(edges):
    return {tuple(sorted(map(int, edge))) for edge in edges}


def test_sizes():
    assert {name: len(load_layout(name)) for name in LAYOUTS} == {"mediapipe146": 146, "landmarks68": 68}


def test_unknown_layout_names_the_known_ones():
    with pytest.raises(StgtError, match=r"landmarks70.*mediapipe146, landmarks68"):
        load_layout("landmarks70")


def test_nodes_are_distinct_landmarks_and_edges_join_two_of_them(layout):
    assert len(set(layout.landmarks.tolist())) == len(layout)
    assert layout.landmarks.min() >= 0
    assert layout.landmarks.max() < 478
    assert (layout.edges[:, 0] != layout.edges[:, 1]).all()
    assert len(as_set(layout.edges)) == len(layout.edges)
    assert set(layout.edges.ravel().tolist()) == set(range(len(layout)))


def test_every_node_is_in_exactly_one_region(layout):
    nodes = np.concatenate(list(layout.regions.values()))
    assert sorted(nodes.tolist()) == list(range(len(layout)))


def test_mirror_is_an_involution_that_keeps_edges_bones_and_regions(layout):
    mirror = layout.mirror
    assert np.array_equal(mirror[mirror], np.arange(len(layout)))
    assert as_set(mirror[layout.edges]) == as_set(layout.edges)
    assert np.array_equal(layout.parents[mirror], mirror[layout.parents])
    swapped = {"right": "left", "left": "right"}
    for name, nodes in layout.regions.items():
        side, _, part = name.partition("_")
        other = f"{swapped[side]}_{part}" if part else name
        assert sorted(mirror[nodes].tolist()) == sorted(layout.regions[other].tolist())


def test_reference_face_is_symmetric_level_and_one_unit_wide(layout):
    assert np.allclose(layout.reference[layout.mirror], layout.reference * (-1, 1, 1), atol=1e-5)
    eyes = load_reference_face().points[[33, 263]]
    assert np.allclose(eyes[:, :2], ((-0.5, 0), (0.5, 0)), atol=1e-5)
    # The subject's right is on the left of the image, the chin below the brows, the nose nearer to the camera.
    assert layout.reference[layout.regions["right_eye"], 0].max() < 0
    assert layout.reference[layout.regions["jaw"], 1].max() > layout.reference[layout.regions["left_brow"], 1].max()
    assert layout.reference[layout.root, 2] == layout.reference[:, 2].min()


def test_bones_are_edges_of_one_tree(layout):
    assert load_reference_face().mirror[layout.landmarks[layout.root]] == layout.landmarks[layout.root]
    reached = np.arange(len(layout))
    for _ in range(len(layout)):
        reached = layout.parents[reached]
    assert (reached == layout.root).all()


def test_adjacency_is_what_torch_geometric_gives(layout):
    from torch_geometric.nn.conv.gcn_conv import gcn_norm
    from torch_geometric.utils import to_dense_adj

    edge_index, weight = gcn_norm(layout.graph().edge_index, num_nodes=len(layout))
    assert torch.allclose(layout.adjacency(), to_dense_adj(edge_index, edge_attr=weight)[0], atol=1e-6)


def test_adjacency_is_the_symmetric_normalisation_with_self_loops(layout):
    size = len(layout)
    plain = np.eye(size)
    plain[layout.edges[:, 0], layout.edges[:, 1]] = plain[layout.edges[:, 1], layout.edges[:, 0]] = 1
    degree = plain.sum(1)
    adjacency = layout.adjacency()
    assert adjacency.dtype == torch.float32
    assert np.allclose(adjacency.numpy(), plain / np.sqrt(np.outer(degree, degree)), atol=1e-6)
    graph = layout.graph()
    assert graph.num_nodes == size
    assert graph.num_edges == 2 * len(layout.edges)
    assert graph.is_undirected()


def test_data_can_be_made_anew_from_the_reference_face(tmp_path, monkeypatch):
    from stgt.graphs import build_layouts

    monkeypatch.setattr(build_layouts, "FOLDER", tmp_path)
    source = build_layouts.Path(build_layouts.__file__).parent / "layouts"
    (tmp_path / "reference_face.json").write_bytes((source / "reference_face.json").read_bytes())
    build_layouts.main([])
    for name in LAYOUTS:
        assert (tmp_path / f"{name}.json").read_text() == (source / f"{name}.json").read_text()


def test_reference_face_is_measured_from_tracks(pose_faces):
    """From the faces of three people in several poses the mean comes back, whatever poses and sizes they had."""
    from stgt.graphs.build_layouts import measure_reference, mirror_of_mesh

    face = load_reference_face().points.astype(np.float64)
    people = [
        np.stack([pose_faces(face, yaw + tilt, tilt, 60 + 30 * tilt, (200, 100, 0)) for yaw in (-8, 0, 8)])
        for tilt in (-1, 0, 1)
    ]
    measured = measure_reference(people)
    assert np.abs(measured - face)[:, :2].max() < 0.01
    assert np.array_equal(mirror_of_mesh(measured), load_reference_face().mirror)
