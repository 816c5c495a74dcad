"""Writes the data of this room: ``layouts/reference_face.json`` and one ``layouts/<name>.json`` per node layout.

``python -m stgt.graphs.build_layouts TRACK...`` measures the reference face from saved landmark tracks of many people
(best rendered heads: many identities, evenly lit, no occlusion) and derives every layout from it. Without tracks the
reference face on disk is kept and only the layouts are built anew.

What is chosen by hand is here and nowhere else: the landmarks of each layout, the contours of the face parts, the root
and the landmarks that alignment rests on. All else (mirror, surface neighbours, bones, positions) follows from the
measured face.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Delaunay

from stgt.files import write_text
from stgt.graphs.actions import mirrored_actions
from stgt.graphs.alignment import OUTER_EYE_CORNERS, similarity_transforms

FOLDER = Path(__file__).parent / "layouts"

# Eye corners, bridge of the nose, forehead and temples, each with its mirror image.
STABLE = (
    *(33, 133, 362, 263, 168, 6, 197, 195, 10, 109, 338, 67, 297, 103, 332, 54, 284),
    *(21, 251, 162, 389, 127, 356),
)

# Contours on MediaPipe's mesh, on the subject's right side or in the middle; the left side is their mirror image.
OVAL = (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
BROW_UPPER, BROW_LOWER = (70, 63, 105, 66, 107), (46, 53, 52, 65, 55)
EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7, 33)
IRIS = (469, 470, 471, 472, 469)
IRIS_CENTRE = 468
LIPS_OUTER_UPPER, LIPS_OUTER_LOWER = (61, 185, 40, 39, 37, 0), (61, 146, 91, 181, 84, 17)
LIPS_INNER_UPPER, LIPS_INNER_LOWER = (78, 191, 80, 81, 82, 13), (78, 95, 88, 178, 87, 14)
NOSE_BRIDGE = (8, 168, 6, 197, 195, 5, 4, 1)

# The points of the iBUG 300-W annotation in its own order, on MediaPipe's mesh.
IBUG_68 = (
    *(127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356),  # jaw
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),  # outer lips
    *(78, 81, 13, 311, 308, 402, 14, 178),  # inner lips
)
IBUG_CONTOURS = (
    (127, 234, 93, 132, 58, 172, 150, 176, 152),
    (70, 63, 105, 66, 107),
    (168, 197, 5, 4),
    (98, 97, 2),
    (33, 160, 158, 133, 153, 144, 33),
    (61, 40, 37, 0),
    (61, 91, 84, 17),
    (78, 81, 13),
    (78, 178, 14),
)
MEDIAPIPE_CONTOURS = (
    *(OVAL, BROW_UPPER, BROW_LOWER, EYE, IRIS, NOSE_BRIDGE),
    *(LIPS_OUTER_UPPER, LIPS_OUTER_LOWER, LIPS_INNER_UPPER, LIPS_INNER_LOWER),
    *((IRIS_CENTRE, point) for point in IRIS[:-1]),
)
ROOT = 4  # of the bones of every layout: the tip of the nose

# A surface edge longer than this (inter-ocular units) is a sliver along the hull, not a neighbourhood.
LONGEST_EDGE = 0.6


def mirror_of_mesh(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """For each landmark the one on the other side: the cheapest matching of the face with its mirror image."""
    flipped = points * (-1, 1, 1)
    cost = np.square(points[:, None] - flipped[None]).sum(axis=2)
    mirror = linear_sum_assignment(cost)[1]
    if not np.array_equal(mirror[mirror], np.arange(len(points))):
        raise ValueError("the measured face is too asymmetric for its landmarks to be matched with their mirror images")
    return mirror


def measure_reference(faces: Iterable[NDArray[np.floating]], rounds: int = 5) -> NDArray[np.float64]:
    """Mean face of many people by generalised Procrustes analysis at the stable landmarks, made symmetric.

    Args:
        faces: per person (N, 478, 3), tracked frames in image pixels, mostly frontal; each person counts once.
        rounds: of aligning to the mean and averaging anew.

    Returns:
        (478, 3) in inter-ocular units, the origin between the outer eye corners.
    """
    people = [np.asarray(frames, np.float64) for frames in faces]
    stable = list(STABLE)
    mean = np.mean([_normalised(frames.mean(axis=0)) for frames in people], axis=0)
    mirror = mirror_of_mesh(mean)
    for _ in range(rounds):
        aligned = []
        for frames in people:
            scale, rotation, shift = similarity_transforms(frames[:, stable], mean[stable])
            moved = frames @ (scale[:, None, None] * rotation).swapaxes(1, 2) + shift[:, None]
            aligned.append(np.median(moved, axis=0))
        mean = np.mean(aligned, axis=0)
        mean = _normalised((mean + mean[mirror] * (-1, 1, 1)) / 2)
    return mean


def measure_actions(people: Iterable[NDArray[np.floating]]) -> list[float]:
    """The 52 blendshapes of a face at rest: mean over people of each one's median frame, the same on both sides."""
    mean = np.mean([np.median(frames, axis=0) for frames in people], axis=0)
    return ((mean + mean[mirrored_actions()]) / 2).round(4).tolist()


def _normalised(face: NDArray[np.float64]) -> NDArray[np.float64]:
    """The face with its outer eye corners level, their midpoint in the origin and their distance 1."""
    right, left = face[list(OUTER_EYE_CORNERS)]
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return (face - (left + right) / 2) @ turn.T / np.linalg.norm((left - right)[:2])


def surface_edges(points: NDArray[np.floating], mirror: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Neighbours on the face: Delaunay triangulation of the frontal view, slivers removed, closed under the mirror."""
    triangles = Delaunay(points[:, :2]).simplices
    edges = {tuple(sorted(pair)) for a, b, c in triangles for pair in ((a, b), (b, c), (c, a))}
    edges = {(int(a), int(b)) for a, b in edges if np.linalg.norm(points[a, :2] - points[b, :2]) < LONGEST_EDGE}
    return edges | {tuple(sorted((int(mirror[a]), int(mirror[b])))) for a, b in edges}


def spanning_tree(
    points: NDArray[np.floating], edges: Iterable[tuple[int, int]], mirror: NDArray[np.int64], root: int
) -> NDArray[np.int64]:
    """Parents on shortest paths to the root, the same on both sides of the face (``parent[mirror] == mirror[parent]``).

    Paths of the right half with the middle are found without the left half, and mirrored: so a bone of the middle is
    never on one side only, which mirroring could not undo.
    """
    node = np.arange(len(points))
    half = (points[:, 0] < 0) | (mirror == node)
    inside = [(a, b) for a, b in edges if half[a] and half[b]]
    middle = mirror == node
    parents = np.full(len(points), -1)
    # The middle first, as a chain of its own; then the right half hangs on to it.
    order = node[middle][np.argsort(points[middle, 1], kind="stable")]
    place = int(np.flatnonzero(order == root)[0])
    for towards, away in [*pairwise(order[place::-1]), *pairwise(order[place:])]:
        parents[away] = towards
    lengths = [float(np.linalg.norm(points[a] - points[b])) for a, b in inside]
    graph = csr_matrix((lengths, tuple(np.array(inside).T)), shape=(len(points), len(points)))
    _, previous, _ = dijkstra(graph, directed=False, indices=node[middle], min_only=True, return_predecessors=True)
    right = half & ~middle
    parents[right] = previous[right]
    parents[mirror[right]] = mirror[previous[right]]
    parents[root] = root
    if (parents < 0).any():
        raise ValueError(f"nodes {np.flatnonzero(parents < 0).tolist()} are not connected to the root")
    return parents


def write_layout(
    name: str,
    landmarks: Sequence[int],
    contours: Sequence[Sequence[int]],
    face: NDArray[np.floating],
    mirror_mesh: NDArray[np.int64],
) -> None:
    """Derive a layout and write it, in node numbers (0 … V-1, in the order of ``landmarks``)."""
    node = {landmark: index for index, landmark in enumerate(landmarks)}
    points = face[list(landmarks)]
    mirror = np.array([node[int(mirror_mesh[landmark])] for landmark in landmarks])
    edges = surface_edges(points, mirror)
    for contour in contours:
        for a, b in pairwise(contour):
            edges.add(tuple(sorted((node[a], node[b]))))
            edges.add(tuple(sorted((int(mirror[node[a]]), int(mirror[node[b]])))))
    layout = {
        "name": name,
        "landmarks": list(landmarks),
        "edges": sorted(edges),
        "parents": spanning_tree(points, edges, mirror, node[ROOT]).tolist(),
        "mirror": mirror.tolist(),
        "regions": regions(landmarks, mirror_mesh),
    }
    write_text(FOLDER / f"{name}.json", json.dumps(layout) + "\n")


def regions(landmarks: Sequence[int], mirror_mesh: NDArray[np.int64]) -> dict[str, list[int]]:
    """Which nodes lie in which part of the face; every node in exactly one. Right and left are the subject's own."""
    right = {
        "brow": {*BROW_UPPER, *BROW_LOWER},
        "eye": {*EYE, *IRIS, IRIS_CENTRE},
    }
    both = {
        "nose": {*NOSE_BRIDGE, 98, 97, 2},
        "mouth": {*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER, *LIPS_INNER_UPPER, *LIPS_INNER_LOWER},
        "forehead": set(OVAL[: OVAL.index(127)]),
        "jaw": set(OVAL[OVAL.index(127) :]),
    }
    parts = {f"right_{part}": members for part, members in right.items()}
    parts |= {f"left_{part}": {int(mirror_mesh[m]) for m in members} for part, members in right.items()}
    parts |= {part: members | {int(mirror_mesh[m]) for m in members} for part, members in both.items()}
    found = {
        part: [i for i, landmark in enumerate(landmarks) if landmark in members] for part, members in parts.items()
    }
    return {part: nodes for part, nodes in found.items() if nodes}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the reference face if tracks are given, then write all layouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracks", nargs="*", type=Path, help="saved landmark tracks (.safetensors), one person each")
    paths = parser.parse_args(arguments).tracks
    reference_path = FOLDER / "reference_face.json"
    if paths:
        from stgt.faces.tracks import LandmarkTrack

        tracks = [LandmarkTrack.load(path) for path in paths]
        face = measure_reference(track.points[track.valid] for track in tracks if track.valid.any()).round(5)
        mirror = mirror_of_mesh(face)
        data = {"points": face.tolist(), "mirror": mirror.tolist(), "stable": sorted(STABLE)}
        data["actions"] = measure_actions(track.blendshapes[track.valid] for track in tracks if track.valid.any())
        write_text(reference_path, json.dumps(data) + "\n")
    stored = json.loads(reference_path.read_text(encoding="utf-8"))
    face, mirror = np.array(stored["points"]), np.array(stored["mirror"])
    # Exactly the landmarks that MediaPipe's own blendshape model reads (its face_blendshapes_graph.cc).
    right = {point for contour in MEDIAPIPE_CONTOURS for point in contour}
    mediapipe_146 = sorted(right | {int(mirror[point]) for point in right})
    write_layout("mediapipe146", mediapipe_146, MEDIAPIPE_CONTOURS, face, mirror)
    write_layout("landmarks68", IBUG_68, IBUG_CONTOURS, face, mirror)


if __name__ == "__main__":
    main()
