"""From windows to clips."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: The class of a face that shows nothing.
NEUTRAL = "neutral"


def pool_windows(
    values: NDArray[np.floating], share: NDArray[np.floating], clip: NDArray[np.integer], count: int
) -> NDArray[np.float64]:
    """Mean of the windows of each clip, weighted by their shares of frames with a face.

    Args:
        values: (M, K) of the windows, such as probabilities; a window without any face may hold anything, NaN included.
        share: (M,) share of valid frames per window.
        clip: (M,) number of the clip that each window is from.
        count: number of clips N.

    Returns:
        (N, K); NaN for a clip without a window that holds a face.

    >>> pool_windows(np.array([[1.0, 0.0], [0.4, 0.6]]), np.array([1.0, 0.5]), np.array([0, 0]), 1).round(3)
    array([[0.8, 0.2]])
    """
    values = np.asarray(values, dtype=np.float64)
    share, clip = np.asarray(share, dtype=np.float64), np.asarray(clip, dtype=np.int64)
    seen = share > 0
    weighted = np.zeros((count, values.shape[1]))
    total = np.zeros(count)
    np.add.at(weighted, clip[seen], values[seen] * share[seen, None])
    np.add.at(total, clip[seen], share[seen])
    return np.divide(weighted, total[:, None], out=np.full_like(weighted, np.nan), where=total[:, None] > 0)


def peak_class(pooling: str, labels: Sequence[str]) -> int | None:
    """The number of the class neutral if clips are what they show at their peak; None if they are the mean."""
    return list(labels).index(NEUTRAL) if pooling == "peak" and NEUTRAL in labels else None


def pool_clips(
    probabilities: NDArray[np.floating],
    share: NDArray[np.floating],
    clip: NDArray[np.integer],
    count: int,
    peak: int | None = None,
) -> NDArray[np.float64]:
    """Probabilities of clips from those of their windows.

    Where every window was trained to say what its clip is called, that is the mean (``pool_windows``). Where windows
    say what they show themselves, a clip that shows a face at rest and then a smile is a smile: it is neutral only
    as far as all of its windows are. With ``a`` for a window's probability of not being neutral, the clip's is the
    largest ``a``, and its expressions are those of the windows, weighted by ``a`` squared. Windows that hold a face in
    less than half as many frames as the clip's best window are left out.

    Args:
        probabilities: (M, K) of the windows; a window without any face may hold anything, NaN included.
        share: (M,) share of valid frames per window.
        clip: (M,) number of the clip that each window is from.
        count: number of clips N.
        peak: the class neutral; none: the mean.

    Returns:
        (N, K); NaN for a clip without a window that holds a face.

    >>> windows = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    >>> pool_clips(windows, np.ones(2), np.zeros(2, int), 1, peak=0).round(3)
    array([[0.2, 0.8, 0. ]])
    """
    if peak is None:
        return pool_windows(probabilities, share, clip, count)
    best = np.zeros(count)
    np.maximum.at(best, clip, share)
    seen = (share > 0) & (share >= 0.5 * best[clip])
    expressive = np.where(seen, 1 - np.where(seen, probabilities[:, peak], 0), 0).astype(np.float64)
    expressions = np.delete(np.asarray(probabilities, np.float64), peak, axis=1)
    strongest, mixed = np.zeros(count), np.zeros((count, expressions.shape[1]))
    np.maximum.at(strongest, clip, expressive)
    np.add.at(mixed, clip[seen], expressions[seen] * expressive[seen, None] ** 2)
    total = mixed.sum(axis=1, keepdims=True)
    mixed = np.divide(mixed, total, out=np.full_like(mixed, 1 / mixed.shape[1]), where=total > 0)
    pooled = np.insert(mixed * strongest[:, None], peak, 1 - strongest, axis=1)
    pooled[best == 0] = np.nan
    return pooled
