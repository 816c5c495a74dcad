"""A performance: events of expression over a resting face, with speech, small movements, blinks, gaze and the head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stgt.synthetic import idling
from stgt.synthetic.actions import LABELS, MOUTH, Unit, between, combine, smooth
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.posture import move_head
from stgt.synthetic.settings import PerformanceSettings
from stgt.synthetic.speech import Speech, talk

DEFAULTS = PerformanceSettings()
#: How far the mouth's part of an expression gives way while the person talks.
GIVING_WAY = 0.3
#: How far the resting face gives way to a full expression: a drooping mouth that smiles does not droop.
RESTING_GIVING_WAY = 0.6
#: Factor on meaningless movements while an expression is shown in the clip.
CALM = 0.5
#: sd in seconds of the starts of one expression's units.
UNIT_DELAY_S = 0.04


@dataclass(frozen=True)
class Event:
    """An expression on a clip's clock.

    Attributes:
        label: one of ``LABELS``.
        units: its action units at the apex.
        onset_s: when it starts; negative if it began before the clip.
        rise_s: from there to the apex.
        hold_s: how long the apex is held; may outlast the clip.
        fall_s: from the end of the apex to the residue.
        residue: share of the apex that stays, 0..1.
        intensity: of the expression, 0..1, that its units were drawn with.
    """

    label: str
    units: tuple[Unit, ...]
    onset_s: float
    rise_s: float
    hold_s: float
    fall_s: float
    residue: float
    intensity: float = 1.0

    def envelope(self, times: np.ndarray) -> np.ndarray:
        """How far it is shown at ``times`` (any shape), 0..1."""
        rise = smooth((times - self.onset_s) / self.rise_s)
        fall = smooth((times - (self.onset_s + self.rise_s + self.hold_s)) / self.fall_s)
        return rise * (1 - (1 - self.residue) * fall)


@dataclass(frozen=True)
class ActionCurve:
    """The true course of one clip.

    Attributes:
        label: name of the expression.
        times: ``(T,)`` s.
        weights: ``(T, 52)`` float32 in 0..1, in the order of ``ACTIONS``.
        rotation: ``(T, 3)`` float32 degrees: pitch (down positive), yaw (to the person's left positive), roll.
        translation: ``(T, 3)`` float32 metres.
        apex: index of the frame in which the expression is strongest.
        shown: ``(T, 8)`` float32: how strongly each of ``LABELS`` is shown, intensity times envelope; in the column of
            neutral what is left to 1.
        intensity: of the strongest event, 0..1; 0 if there is none.
        speaking: ``(T,)`` bool, true while the person talks, short pauses included.
    """

    label: str
    times: np.ndarray
    weights: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    apex: int
    shown: np.ndarray
    intensity: float
    speaking: np.ndarray

    def __len__(self) -> int:
        return len(self.times)


def perform(
    label: str,
    events: Sequence[Event],
    rng: np.random.Generator,
    frames: int,
    frame_rate: float,
    *,
    resting: np.ndarray | None = None,
    speaking: Sequence[tuple[float, float]] = (),
    settings: PerformanceSettings = DEFAULTS,
) -> ActionCurve:
    """One clip of one person.

    Args:
        label: what the clip is called: of the strongest event, or ``neutral``.
        events: expressions shown; none of them: a resting face.
        rng: fixes everything that is drawn.
        frames: T.
        frame_rate: Hz.
        resting: ``(52,)`` actions of the face at rest; none: all zero.
        speaking: intervals (start, end) in seconds in which the person talks.
        settings: how the head is held and moves.
    """
    times = np.arange(frames) / frame_rate
    duration = frames / frame_rate
    events = [event for event in events if event.units]
    talking = np.zeros(frames, dtype=bool)
    for start, end in speaking:
        talking |= (times >= start) & (times < end)
    speech = talk(rng, times, speaking) if talking.any() else None

    expression, shown = _show(rng, events, times)
    moving = shown.sum(axis=1)
    apex = int(np.argmax(moving)) if events else frames // 2
    shown[:, 0] = np.maximum(1 - moving, 0)

    calm = CALM if events else 1.0
    weights = _overlay(rng, times, duration, calm, speech)
    if speech is not None:
        expression[:, MOUTH] *= (1 - GIVING_WAY * speech.active)[:, None].astype(np.float32)
    weights += expression
    if resting is not None:
        weights += resting * (1 - RESTING_GIVING_WAY * np.minimum(moving, 1))[:, None]
    idling.look(rng, weights, times, duration)
    blinks_per_s = idling.BLINKS_PER_S * (1.5 if speech is not None else 1.0)
    idling.blink(rng, weights, times, duration, blinks_per_s, times[apex] if events else None)
    rotation, translation = move_head(rng, times, duration, 1.5 if speech is not None else 1.0, settings)
    if speech is not None:
        rotation[:, 0] += speech.nod
    return ActionCurve(
        label=label,
        times=times,
        weights=np.minimum(np.maximum(weights, 0), 1),
        rotation=rotation.astype(np.float32),
        translation=translation.astype(np.float32),
        apex=apex,
        shown=shown,
        intensity=float(max((event.intensity for event in events), default=0.0)),
        speaking=talking,
    )


def draw_timing(rng: np.random.Generator, duration_s: float, settings: PerformanceSettings) -> dict[str, float]:
    """When an expression starts, rises, is held and falls, as the fields of `Event`.

    Some began before the clip and are at their apex when it starts. The apex of the others is reached within the clip,
    in its first three quarters.
    """
    longest = max(min(settings.most_rise_s, 0.5 * duration_s), min(settings.least_rise_s, 0.4 * duration_s))
    least = min(settings.least_rise_s, longest)
    rise = least * (longest / least) ** rng.random()  # short ones are more frequent
    sustained = rng.random() < settings.sustained
    if sustained:
        onset = -rise - between(rng, 0.0, 3.0)
    else:
        onset = between(rng, 0.0, max(0.75 * duration_s - rise, 0.02 * duration_s))
    returns = rng.random() < settings.returning
    left = duration_s - max(onset + rise, 0.0)
    hold = between(rng, 0.1, 0.7) * left - min(onset + rise, 0.0) if returns else 1e3
    fall = between(rng, 0.2, 0.9) * max(0.5 * left, 0.3)
    residue = between(rng, 0.0, 0.3) if rng.random() < 0.5 else 0.0
    return {"onset_s": onset, "rise_s": rise, "hold_s": hold, "fall_s": fall, "residue": residue}


def _show(rng: np.random.Generator, events: Sequence[Event], times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Actions ``(T, 52)`` of the events, and how strongly each label is shown ``(T, 8)``; neutral is left 0."""
    actions = np.zeros((len(times), len(ACTIONS)), np.float32)
    shown = np.zeros((len(times), len(LABELS)), np.float32)
    for event in events:
        # Units of one expression start nearly together, not exactly; a held apex is never quite still.
        delays = rng.normal(0, UNIT_DELAY_S, len(event.units))
        frequency, phase = 0.3 + 0.5 * rng.random(), 2 * np.pi * rng.random()
        curves = event.envelope(times - delays[:, None])
        curves *= 0.97 + 0.03 * np.sin(2 * np.pi * frequency * times + phase)
        actions += combine(curves, np.stack([unit.actions for unit in event.units]))
        column = LABELS.index(event.label)
        shown[:, column] = np.maximum(shown[:, column], event.intensity * event.envelope(times))
    return actions, shown


def _overlay(
    rng: np.random.Generator, times: np.ndarray, duration: float, calm: float, speech: Speech | None
) -> np.ndarray:
    """What moves besides the expression: idle movements, habits, speech. ``(T, 52)`` float32."""
    curves, vectors = idling.idle(rng, times, duration, calm)
    if speech is not None:
        curves, vectors = np.concatenate([curves, speech.curves]), np.concatenate([vectors, speech.vectors])
    else:
        habit = idling.habit(rng, times, duration, calm)
        if habit is not None:
            curves, vectors = np.concatenate([curves, habit[0][None]]), np.concatenate([vectors, habit[1][None]])
    return combine(curves, vectors)
