"""Facial actions as vectors: what expressions, speech and small movements are all made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from stgt.errors import StgtError
from stgt.synthetic.anny_data import ACTIONS

#: The eight classes: neutral, then alphabetical.
LABELS = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

#: Which of the 52 actions lie on the person's left, on the right, and on the mouth and jaw.
LEFT = np.array([name.endswith("Left") and name not in ("mouthLeft", "jawLeft") for name in ACTIONS])
RIGHT = np.array([name.endswith("Right") and name not in ("mouthRight", "jawRight") for name in ACTIONS])
MOUTH = np.array([name.startswith(("mouth", "jaw", "tongue")) for name in ACTIONS])


@dataclass(frozen=True)
class Unit:
    """One action unit of a drawn expression.

    Attributes:
        number: of the Facial Action Coding System.
        intensity: at the apex; 1 is the strongest that the head can show.
        actions: ``(52,)`` float32 weights at the apex.
    """

    number: int
    intensity: float
    actions: np.ndarray


@lru_cache(maxsize=1)
def expression_data() -> dict[str, Any]:
    """The contents of expressions.toml."""
    import tomllib

    return tomllib.loads(resources.files("stgt.synthetic").joinpath("expressions.toml").read_text(encoding="utf-8"))


def action_vector(actions: Mapping[str, float]) -> np.ndarray:
    """``(52,)`` float32 weights for action names; a name without Left or Right stands for both sides.

    Raises:
        StgtError: a name that is none of the 52 actions.
    """
    weights = np.zeros(len(ACTIONS), dtype=np.float32)
    for name, weight in actions.items():
        matching = [index for index, action in enumerate(ACTIONS) if action in (name, f"{name}Left", f"{name}Right")]
        if name in ACTIONS:
            matching = [ACTIONS.index(name)]
        if not matching:
            raise StgtError(f"there is no facial action {name!r}; the 52 actions are those of ARKit")
        weights[matching] = weight
    return weights


def sides(tilt: float) -> np.ndarray:
    """``(52,)`` factors that make one side weaker: left over right is exp(2 tilt), and the stronger keeps 1."""
    factors = np.ones(len(ACTIONS), dtype=np.float32)
    if tilt < 0:
        factors[LEFT] = np.exp(2 * tilt)
    else:
        factors[RIGHT] = np.exp(-2 * tilt)
    return factors


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number from an interval; for single numbers much faster than ``rng.uniform``."""
    return low + (high - low) * rng.random()


def smooth(t: np.ndarray) -> np.ndarray:
    """0 to 1 with no jerk at either end (Perlin's smootherstep), like measured onsets of facial action."""
    t = np.minimum(np.maximum(t, 0.0), 1.0)
    return t * t * t * (t * (6 * t - 15) + 10)


def combine(curves: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Sum over k of ``curves (K, T)`` times ``vectors (K, 52)``: ``(T, 52)`` float32, to the same last bit everywhere.

    A matrix product sums in an order that depends on alignment and threads.
    """
    total = np.zeros((curves.shape[1], vectors.shape[1]), np.float32)
    for curve, vector in zip(curves.astype(np.float32), vectors, strict=True):
        total += curve[:, None] * vector
    return total
