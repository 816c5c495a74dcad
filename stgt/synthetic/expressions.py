"""Expressions: which facial actions and how strong, drawn from ranges of the FACS literature in expressions.toml."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from stgt.errors import StgtError
from stgt.synthetic.actions import LABELS, Unit, action_vector, between, expression_data, sides
from stgt.synthetic.motion import DEFAULTS, ActionCurve, Event, draw_timing, perform
from stgt.synthetic.settings import PerformanceSettings
from stgt.synthetic.speech import sample_speaking

__all__ = ["LABELS", "Blend", "Unit", "sample_blend", "sample_event", "sample_expression", "sample_units"]

#: sd of the log ratio between a unit's left and right side; of expressions that are visibly one-sided.
ASYMMETRY_SD, ONE_SIDED_SD = 0.08, 0.35
#: What the weaker side keeps of a unit that one side shows, most.
WEAK_SIDE = 0.2
#: Strength of the second expression of a blend over that of the first, least and most.
SECOND = (0.15, 0.4)
#: Share of the first expression in a blend of two with known shares, least and most.
FIRST = (0.52, 0.95)


class _Variant(NamedTuple):
    until: float  # cumulative share of draws
    always: list[tuple[int, float, float]]
    sometimes: list[tuple[int, float, float, float]]
    one_sided: frozenset[int]


@lru_cache(maxsize=len(LABELS))
def _variants(label: str) -> tuple[_Variant, ...]:
    if label not in LABELS:
        raise StgtError(f"there is no expression {label!r}; the expressions are {', '.join(LABELS)}")
    table = expression_data()[label]
    until = np.cumsum([variant["weight"] for variant in table])
    return tuple(
        _Variant(float(end), variant["always"], variant["sometimes"], frozenset(variant.get("one_sided", ())))
        for variant, end in zip(table, until / until[-1], strict=True)
    )


@lru_cache(maxsize=1)
def _leaks() -> dict[int, np.ndarray]:
    """``(K, 52)`` what each unit may bring along, an action (on both sides) per row."""
    return {
        int(number): np.stack([action_vector({name: most}) for name, most in actions.items()])
        for number, actions in expression_data()["leaks"].items()
    }


@lru_cache(maxsize=1)
def _unit_actions() -> dict[int, np.ndarray]:
    return {int(number): action_vector(actions) for number, actions in expression_data()["units"].items()}


def sample_units(
    label: str, rng: np.random.Generator, intensity: float = 1.0, one_sided: float = DEFAULTS.one_sided
) -> list[Unit]:
    """Draw the action units of one showing of an expression; none for ``neutral``.

    Args:
        label: one of ``LABELS``.
        rng: fixes what is drawn.
        intensity: in (0, 1]: 1 is the full strength of the variant, 0.15 is barely visible; all units scale with it.
        one_sided: probability that one side is visibly stronger.

    Raises:
        StgtError: a label that is not one of ``LABELS``.
    """
    variants = _variants(label)
    draw = rng.random()
    variant = next((variant for variant in variants if draw < variant.until), variants[-1])
    drawn = [*variant.always, *(unit[:3] for unit in variant.sometimes if rng.random() < unit[3])]
    # People differ in how much they show: the units of one showing are strong or weak together.
    vigour = rng.random()
    tilt = rng.normal(0, ONE_SIDED_SD if rng.random() < one_sided else ASYMMETRY_SD)
    one_side = (1.0 if rng.random() < 0.5 else -1.0) * -0.5 * np.log(between(rng, 0.01, WEAK_SIDE))
    units = []
    for number, low, high in drawn:
        strength = intensity * (low + (high - low) * (0.5 * vigour + 0.5 * rng.random()))
        leaning = (one_side if number in variant.one_sided else tilt) + rng.normal(0, ASYMMETRY_SD)
        actions = _unit_actions()[number]
        if number in _leaks():
            leaks = _leaks()[number]
            actions = actions + (rng.random(len(leaks)).astype(np.float32) ** 2) @ leaks
        units.append(Unit(number, strength, actions * np.float32(strength) * sides(leaning)))
    return units


def sample_event(
    label: str,
    rng: np.random.Generator,
    settings: PerformanceSettings = DEFAULTS,
    *,
    duration_s: float = 2.0,
    intensity: float | None = None,
) -> Event:
    """Draw one showing of an expression in a clip: variant, intensity, sides, a weaker second expression, timing.

    Args:
        label: one of ``LABELS``; an event of ``neutral`` has no units and intensity 0.
        rng: fixes what is drawn.
        settings: shares and ranges.
        duration_s: of the clip.
        intensity: instead of a draw from the settings' range.

    Raises:
        StgtError: an unknown label.
    """
    if intensity is None:
        intensity = between(rng, settings.least_intensity, settings.most_intensity)
    units = sample_units(label, rng, intensity, settings.one_sided)
    timing = draw_timing(rng, duration_s, settings)
    if not units:
        return Event(label, (), intensity=0.0, **timing)
    if rng.random() < settings.blend:
        others = expression_data()["blends"][label]
        other = others[int(rng.integers(len(others)))]
        units += sample_units(other, rng, intensity * between(rng, *SECOND), settings.one_sided)
    return Event(label, tuple(units), intensity=float(intensity), **timing)


class Blend(NamedTuple):
    """A second expression in a clip, and how much of what is shown is the first."""

    other: str
    share: float


def sample_blend(label: str, rng: np.random.Generator, blends: float) -> Blend | None:
    """Draw whether a clip blends two expressions, which is the second, and what share of both the first has.

    Args:
        label: the first expression, and the clip's label.
        rng: fixes what is drawn.
        blends: probability that there is a second expression; beside neutral there never is.
    """
    others = [other for other in LABELS if other not in (label, LABELS[0])]
    blended, other, share = rng.random() < blends, others[int(rng.integers(len(others)))], between(rng, *FIRST)
    return Blend(other, round(share, 3)) if blended and label != LABELS[0] else None


def add_blend(event: Event, blend: Blend, rng: np.random.Generator, settings: PerformanceSettings) -> list[Event]:
    """An event, and a second one beside it with the same timing, so strong that the first has the blend's share."""
    intensity = event.intensity * (1 - blend.share) / blend.share
    units = sample_units(blend.other, rng, intensity, settings.one_sided)
    return [event, replace(event, label=blend.other, units=tuple(units), intensity=float(intensity))]


def sample_expression(
    label: str,
    rng: np.random.Generator,
    frames: int = 32,
    frame_rate: float = 16.0,
    *,
    intensity: float | None = None,
    resting: np.ndarray | None = None,
    settings: PerformanceSettings = DEFAULTS,
    blend: Blend | None = None,
    blend_rng: np.random.Generator | None = None,
) -> ActionCurve:
    """A clip with one showing of an expression (none for ``neutral``), or of a blend, with or without speech.

    Args:
        label: one of ``LABELS``.
        rng: fixes everything that is drawn.
        frames: T.
        frame_rate: Hz.
        intensity: instead of a draw from the settings' range.
        resting: ``(52,)`` actions of the person's face at rest.
        settings: shares and ranges.
        blend: a second expression that is shown at the same time.
        blend_rng: fixes what is drawn of the second expression; needed for a blend.

    Raises:
        StgtError: an unknown label.
    """
    duration = frames / frame_rate
    event = sample_event(label, rng, settings, duration_s=duration, intensity=intensity)
    events = [event] if blend is None or blend_rng is None else add_blend(event, blend, blend_rng, settings)
    speaking = sample_speaking(rng, duration, settings)
    return perform(label, events, rng, frames, frame_rate, resting=resting, speaking=speaking, settings=settings)
