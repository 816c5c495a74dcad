"""Points of a face in 16 bit steps of its own extent: how prepared tracks keep them, and how precise any are.

A face is about two inter-ocular distances wide and high, so the largest error of a coordinate, half a step, is 1.6e-5
of them: on a face that is 1000 pixels wide, a hundredth of a pixel. The landmarker rounds to these steps whatever it
finds, so that a face read live and the same face out of a store are the same to the last bit.
"""

import numpy as np

#: Codes run from 0 (the frame's lowest coordinate) to this (its highest); the one above stands for NaN.
TOP_CODE = 2**16 - 2
UNKNOWN = 2**16 - 1


def quantise(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in steps of each frame's extent, axis by axis.

    Args:
        points: (T, V, 3) float32; what is not known is NaN, and stays so.

    Returns:
        codes (T, V, 3) uint16, and the lowest and the highest coordinate, (T, 3) float32 each.
    """
    known = np.isfinite(points)
    whole = bool(known.all())
    low = points.min(axis=1, where=True if whole else known, initial=np.inf)
    high = points.max(axis=1, where=True if whole else known, initial=-np.inf)
    low, high = (np.where(np.isfinite(bound), bound, 0).astype(np.float32) for bound in (low, high))
    step = (high.astype(np.float64) - low) / TOP_CODE
    places = (points if whole else np.where(known, points, low[:, None])) - low[:, None].astype(np.float64)
    codes = np.rint(np.divide(places, step[:, None], out=np.zeros_like(places), where=step[:, None] > 0))
    return (codes if whole else np.where(known, codes, UNKNOWN)).astype(np.uint16), low, high


def restore(codes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(T, V, 3) float32, the inverse of ``quantise``; what it gave is quantised to the same codes again."""
    step = (high.astype(np.float64) - low) / TOP_CODE
    points = np.multiply(codes, step[:, None], dtype=np.float64)
    points += low[:, None]
    points = points.astype(np.float32)
    points[codes == UNKNOWN] = np.nan
    return points


def rounded(points: np.ndarray) -> np.ndarray:
    """The points (V, 3) float32 of one face, each on the nearest step: to the bit what a store gives back of them."""
    low = points.min(axis=0)
    step = (points.max(axis=0).astype(np.float64) - low) / TOP_CODE
    codes = np.rint((points - low.astype(np.float64)) / np.where(step > 0, step, 1))
    return (codes * step + low).astype(np.float32)
