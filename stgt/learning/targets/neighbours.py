"""Shares of classes for clips that have one label: what people are said to show whose faces move alike.

The neighbours are looked for in the geometry of faces alone, which no training changes, so that the estimate is there
from the first epoch on. Two faces are as far from each other as they differ in what tells expressions apart (linear
discriminants of Fisher, 1936), learned from the labels of other people than the one who is asked about: what a label
says of a face must not come back as an estimate of it. That similar faces in an auxiliary space of landmarks should
have similar distributions is the idea of Chen et al., "Label distribution learning on auxiliary label space graphs for
facial expression recognition", CVPR 2020; the features, the weights and the annealing are ours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.prepared import Prepared
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.aligned import align_track
from stgt.graphs.geometry import DISPLACEMENT_SCALE
from stgt.graphs.layout import NodeLayout, load_layout
from stgt.graphs.neutral import NeutralEstimator

LAYOUT = "landmarks68"
#: Part of a clip's frames that speak for it: those farthest from the person's face at rest.
STRONGEST = 0.25
#: Groups of subjects; the metric for one of them is learned from the others.
GROUPS = 5
#: Part of the covariance within classes that is taken for alike in all directions.
SHRINKAGE = 0.3
#: Rows of the matrix of distances that are in memory at once.
ROWS = 512


def estimated_shares(
    clips: Sequence[Clip], shares: NDArray[np.floating], prepared: Prepared, neighbours: int
) -> NDArray[np.float64]:
    """(N, K) shares of the classes among each clip's neighbours.

    Args:
        clips: all are prepared.
        shares: (N, K) what is known of each, one class or several.
        prepared: their tracks.
        neighbours: how many of them speak, those of the clip's own subject not among them: they look alike whatever
            they show. The k-th is the scale of ``exp(-d^2 / (2 d_k^2))``, by which each of them counts (self-tuning:
            Zelnik-Manor and Perona, "Self-tuning spectral clustering", NIPS 2004).

    Returns:
        what is known of the clip itself, where it has no face or no neighbours.
    """
    layout = load_layout(LAYOUT)
    found = [geometry_features(prepared.track(clip), layout) for clip in clips]
    seen = np.array([features is not None for features in found], bool)
    estimated = np.array(shares, np.float64)
    if not seen.any():
        return estimated
    features = np.stack([features for features in found if features is not None])
    _, subjects = np.unique([clip.subject for clip in clips], return_inverse=True)
    subjects, known = subjects[seen], estimated[seen]
    found_shares = np.array(known)
    for group in range(GROUPS):
        asked = subjects % GROUPS == group
        if asked.any():
            told = discriminants(features, known.argmax(axis=1), learned_from=~asked)
            found_shares[asked] = neighbour_shares(told, subjects, known, neighbours, asked)
    estimated[seen] = found_shares
    return estimated


def geometry_features(track: LandmarkTrack, layout: NodeLayout) -> NDArray[np.float32] | None:
    """(V * 3,) how far the nodes are from the person's neutral face, in the frames in which they are farthest from it.

    None: the track has no face.
    """
    aligned = align_track(track, layout)
    if not aligned.valid.any():
        return None
    neutral = NeutralEstimator(layout).update(aligned.points, aligned.blendshapes, aligned.times, aligned.valid)
    displacement = (aligned.points[aligned.valid] - neutral.nodes) / DISPLACEMENT_SCALE
    strength = np.linalg.norm(displacement, axis=(1, 2))
    strongest = np.argsort(-strength, kind="stable")[: max(1, round(STRONGEST * len(strength)))]
    return displacement[strongest].mean(axis=0).ravel()


def discriminants(
    features: NDArray[np.floating], labels: NDArray[np.integer], learned_from: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N, D) -> (N, classes - 1): the directions in which classes differ, in units of what differs within a class.

    Args:
        features: (N, D).
        labels: (N,) numbers of classes.
        learned_from: (N,) those whose labels are looked at; of fewer than two classes, features stay as they are.
    """
    features = features.astype(np.float64)
    seen, own = features[learned_from], labels[learned_from]
    classes = np.unique(own)
    if len(classes) < 2:
        return features
    means = np.array([seen[own == label].mean(axis=0) for label in classes])
    within = seen - means[np.searchsorted(classes, own)]
    covariance = within.T @ within / len(within)
    alike = max(np.trace(covariance) / len(covariance), 1e-9)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * alike * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    whitened = vectors / np.sqrt(values)
    _, _, directions = np.linalg.svd((means - means.mean(axis=0)) @ whitened, full_matrices=False)
    return features @ whitened @ directions[: len(classes) - 1].T


def neighbour_shares(
    features: NDArray[np.floating],
    subjects: NDArray[np.integer],
    shares: NDArray[np.floating],
    neighbours: int,
    asked: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """(M, K) weighted means of the neighbours' shares; see `estimated_shares`.

    Args:
        features: (N, D).
        subjects: (N,) numbers of the subjects.
        shares: (N, K).
        neighbours: k.
        asked: (N,) the M of them whose neighbours are wanted; none: all.
    """
    features = features.astype(np.float64)
    squares = (features**2).sum(axis=1)
    wanted = np.arange(len(features)) if asked is None else np.flatnonzero(asked)
    result = np.array(shares[wanted], np.float64)
    count = min(neighbours, len(features))
    for start in range(0, len(wanted), ROWS):
        part = slice(start, start + ROWS)
        rows = wanted[part]
        distances = squares[rows, None] + squares - 2 * features[rows] @ features.T
        distances[subjects[rows, None] == subjects] = np.inf
        # By distance, then by number: the same neighbours on every machine but for rounding.
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
        distances = np.maximum(np.take_along_axis(distances, nearest, axis=1), 0)
        others = np.isfinite(distances)
        scale = np.where(others, distances, 0).max(axis=1, keepdims=True, initial=1e-12)
        weights = np.where(others, np.exp(-np.where(others, distances, 0) / (2 * scale)), 0)
        total = weights.sum(axis=1, keepdims=True)
        means = (weights[..., None] * shares[nearest]).sum(axis=1) / np.maximum(total, 1e-12)
        result[part] = np.where(total > 0, means, result[part])
    return result
