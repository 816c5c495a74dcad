"""From windows to clips."""

import numpy as np
from numpy.typing import NDArray


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
