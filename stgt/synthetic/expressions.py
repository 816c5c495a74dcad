"""Expressions: which facial actions and how strong, drawn from ranges of the FACS literature in expressions.toml."""

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from stgt.errors import StgtError
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.motion import ActionCurve, animate

#: The seven classes, alphabetical after neutral.
LABELS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

#: sd of the log ratio between a unit's left and right side, and the share of expressions that are visibly one-sided.
ASYMMETRY_SD = 0.08
ONE_SIDED = 0.1


@dataclass(frozen=True)
class Unit:
    """One action unit of a drawn expression: its actions at the apex."""

    number: int
    intensity: float
    actions: np.ndarray  # (52,)


@lru_cache(maxsize=1)
def expression_data() -> dict[str, Any]:
    """The contents of expressions.toml."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(resources.files("stgt.synthetic").joinpath("expressions.toml").read_text(encoding="utf-8"))


def action_vector(actions: dict[str, float]) -> np.ndarray:
    """``(52,)`` weights for action names; a name without Left or Right stands for both sides."""
    weights = np.zeros(len(ACTIONS), dtype=np.float32)
    for name, weight in actions.items():
        matching = [index for index, action in enumerate(ACTIONS) if action in (name, f"{name}Left", f"{name}Right")]
        if not matching:
            raise StgtError(f"there is no facial action {name!r}; the 52 actions are those of ARKit")
        weights[matching] = weight
    return weights


def sample_units(label: str, rng: np.random.Generator) -> list[Unit]:
    """Draw the action units of one showing of an expression; none for ``neutral``.

    Raises:
        StgtError: a label that is not one of ``LABELS``.
    """
    if label not in LABELS:
        raise StgtError(f"there is no expression {label!r}; the expressions are {', '.join(LABELS)}")
    data = expression_data()
    variants = data[label]
    weights = np.array([variant["weight"] for variant in variants])
    variant = variants[rng.choice(len(variants), p=weights / weights.sum())]
    drawn = [(number, low, high) for number, low, high in variant["always"]]
    drawn += [(number, low, high) for number, low, high, share in variant["sometimes"] if rng.random() < share]
    # People differ in how much they show; the units of one showing are strong or weak together.
    vigour = rng.beta(2.0, 1.6)
    tilt = rng.normal(0, 0.35) if rng.random() < ONE_SIDED else rng.normal(0, ASYMMETRY_SD)
    units = []
    for number, low, high in drawn:
        intensity = low + (high - low) * float(np.clip(0.65 * vigour + 0.35 * rng.random(), 0, 1))
        actions = action_vector(data["units"][str(number)]) * intensity
        units.append(Unit(number, intensity, actions * _sides(tilt + rng.normal(0, ASYMMETRY_SD))))
    return units


def sample_expression(label: str, rng: np.random.Generator, frames: int = 32, frame_rate: float = 16.0) -> ActionCurve:
    """One showing of an expression as curves over the 52 facial actions, with blinks, gaze and head motion.

    Args:
        label: one of ``LABELS``.
        rng: fixes everything that is drawn.
        frames: T.
        frame_rate: Hz.

    Raises:
        StgtError: an unknown label.
    """
    units = sample_units(label, rng)
    idle = {name: action_vector({name: 1.0}) * _sides(rng.normal(0, 0.5)) for name in expression_data()["idle"]}
    ranges = expression_data()["idle"]
    movements = [(vector, ranges[name]) for name, vector in idle.items()]
    return animate(label, [unit.actions for unit in units], movements, rng, frames, frame_rate)


def _sides(tilt: float) -> np.ndarray:
    """``(52,)`` factors that make one side weaker: left over right is exp(2 tilt), and the stronger keeps 1."""
    left, right = np.exp(tilt - abs(tilt)), np.exp(-tilt - abs(tilt))
    return np.array(
        [left if name.endswith("Left") else right if name.endswith("Right") else 1.0 for name in ACTIONS],
        dtype=np.float32,
    )
