"""Performances: events on a clip's clock over a resting face, speech, blinks, and the head."""

import dataclasses

import numpy as np
import pytest

from stgt.synthetic.actions import LABELS, MOUTH, Unit, action_vector
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.expressions import sample_event, sample_expression
from stgt.synthetic.motion import Event, perform
from stgt.synthetic.settings import PerformanceSettings
from stgt.synthetic.speech import sample_speaking

SMILE = ACTIONS.index("mouthSmileLeft")
JAW = ACTIONS.index("jawOpen")
EYES = np.array([name.startswith("eye") for name in ACTIONS])


def smile(**timing):
    unit = Unit(12, 0.8, action_vector({"mouthSmile": 0.8}))
    usual = {"onset_s": 1.0, "rise_s": 0.5, "hold_s": 1.0, "fall_s": 0.5, "residue": 0.0, "intensity": 0.8}
    return Event("happiness", (unit,), **{**usual, **timing})


def clip(events=(), label="neutral", seed=0, frames=64, **options):
    return perform(label, events, np.random.default_rng(seed), frames, 16.0, **options)


def test_an_event_is_shown_when_it_says_and_only_then():
    curve = clip([smile()], "happiness")
    column = LABELS.index("happiness")
    assert curve.shown.shape == (64, 8)
    assert curve.shown.dtype == np.float32
    assert not curve.shown[:16, 1:].any()
    assert np.allclose(curve.shown[24:40, column], 0.8, atol=1e-6)
    assert not curve.shown[49:, 1:].any()
    assert np.allclose(curve.shown.sum(axis=1), 1)
    assert 24 <= curve.apex <= 40
    assert curve.intensity == 0.8
    assert curve.weights[24:40, SMILE].min() > 0.7
    assert curve.weights[[*range(14), *range(52, 64)], SMILE].max() < 0.2


def test_an_expression_may_begin_before_the_clip_outlast_it_and_leave_something():
    before = clip([smile(onset_s=-2.0, hold_s=60.0)], "happiness")
    assert np.allclose(before.shown[:, LABELS.index("happiness")], 0.8)
    assert before.weights[:, SMILE].min() > 0.7
    assert before.apex == 0
    left = clip([smile(residue=0.25)], "happiness").shown[-1]
    assert left[LABELS.index("happiness")] == pytest.approx(0.2)
    assert left[0] == pytest.approx(0.8)


def test_two_events_are_both_shown():
    anger = dataclasses.replace(smile(onset_s=2.5), label="anger", units=(Unit(4, 1, action_vector({"browDown": 1})),))
    curve = clip([smile(onset_s=0.0, hold_s=0.5), anger], "anger")
    assert set(np.flatnonzero(curve.shown[:, 1:].max(axis=0) > 0.5) + 1) == {
        LABELS.index("anger"),
        LABELS.index("happiness"),
    }


def test_a_resting_face_is_neutral_and_gives_way_to_an_expression():
    resting = action_vector({"browDown": 0.35, "mouthFrown": 0.3})
    still = clip(resting=resting)
    assert np.all(still.shown[:, 0] == 1)
    assert still.intensity == 0
    frown = ACTIONS.index("mouthFrownRight")
    assert np.median(still.weights[:, frown]) == pytest.approx(0.3, abs=0.05)
    smiling = clip([smile(onset_s=-2.0, hold_s=60.0, intensity=1.0)], "happiness", resting=resting)
    assert np.median(smiling.weights[:, frown]) < 0.2


def test_speech_moves_jaw_and_lips_at_syllable_rate_and_is_neutral():
    rates, peaks = [], []
    for seed in range(12):
        curve = clip(seed=seed, speaking=((0.0, 4.0),))
        assert curve.speaking.all()
        assert np.all(curve.shown[:, 0] == 1)
        jaw = curve.weights[:, JAW]
        tops = (jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:]) & (jaw[1:-1] > 0.03)
        rates.append(tops.sum() / 4)
        peaks.append(jaw.max())
        assert (curve.weights[:, MOUTH].max(axis=0) > 0.05).sum() >= 8  # many lips' actions, not the jaw alone
    assert 2 < np.mean(rates) < 6
    assert min(peaks) > 0.08
    assert max(peaks) < 0.7
    assert np.ptp(peaks) > 0.1  # some people mumble
    silent = [clip(seed=seed).weights[:, JAW] for seed in range(12)]
    assert np.mean([np.abs(np.diff(jaw)).mean() for jaw in silent]) < 0.006


def test_speech_stays_within_its_intervals_and_lies_over_the_expression():
    jaw = np.array([clip(seed=seed, speaking=((0.0, 2.0),)).weights[:, JAW] for seed in range(10)])
    assert np.abs(np.diff(jaw[:, :32])).mean() > 4 * np.abs(np.diff(jaw[:, 40:])).mean()
    assert clip(speaking=((0.0, 2.0),)).speaking.tolist() == [True] * 32 + [False] * 32
    event = smile(onset_s=-2.0, hold_s=60.0)
    talking = clip([event], "happiness", speaking=((0.0, 4.0),))
    assert 0.45 < np.median(talking.weights[:, SMILE]) < 0.85
    assert np.allclose(talking.shown[:, LABELS.index("happiness")], 0.8)


def test_the_share_of_talking_clips_is_the_settings():
    rng = np.random.default_rng(0)
    spoken = [sample_speaking(rng, 3.0, PerformanceSettings(speaking=0.4)) for _ in range(300)]
    assert np.mean([bool(intervals) for intervals in spoken]) == pytest.approx(0.4, abs=0.08)
    assert all(0 <= start < end <= 3.0 for intervals in spoken for start, end in intervals)
    assert sample_speaking(rng, 3.0, PerformanceSettings(speaking=0)) == ()


def test_timings_span_short_and_long_onsets_and_follow_their_shares():
    settings = PerformanceSettings(sustained=0.25, returning=0.4)
    events = [sample_event("fear", np.random.default_rng(seed), settings, duration_s=8.0) for seed in range(300)]
    rises = np.array([event.rise_s for event in events])
    assert 0.2 <= rises.min() < 0.3
    assert 2.0 < rises.max() <= 3.0
    assert np.mean([event.onset_s < 0 for event in events]) == pytest.approx(0.25, abs=0.07)
    times = np.arange(128) / 16
    shown = np.array([event.envelope(times) for event in events])
    assert shown.max(axis=1).min() > 0.99  # every apex lies in the clip
    assert np.mean(shown[:, -1] < 0.9) == pytest.approx(0.4, abs=0.1)
    begun = [event.onset_s < 0 for event in events]
    assert np.all(shown[begun, 0] == 1)


def test_neutral_moves_a_little_and_blinks():
    quiet = PerformanceSettings(speaking=0)
    drawn = [sample_expression("neutral", np.random.default_rng(seed), settings=quiet) for seed in range(60)]
    strongest = np.array([curve.weights[:, ~EYES].max() for curve in drawn])
    assert np.median(strongest) < 0.3
    assert strongest.max() > 0.4  # now and then somebody yawns, or licks the lips
    assert strongest.min() > 0
    assert max(curve.weights[:, ACTIONS.index("eyeBlinkLeft")].max() for curve in drawn) > 0.8
    assert all(np.ptp(curve.rotation, axis=0).max() > 0.1 for curve in drawn)


def test_heads_are_mostly_frontal_turn_far_and_lean():
    drawn = [sample_expression("neutral", np.random.default_rng(seed)) for seed in range(150)]
    rotation = np.array([np.abs(curve.rotation).max(axis=0) for curve in drawn])
    assert 0.4 < (rotation[:, 1] < 15).mean() < 0.9
    assert 28 < rotation[:, 1].max() < 45
    assert 14 < rotation[:, 0].max() < 32
    leaned = np.array([np.ptp(curve.translation[:, 2]) for curve in drawn])
    assert 0.05 < leaned.max() < 0.25
    still = PerformanceSettings(frontal=1.0, most_lean=0.0)
    calm = [sample_expression("neutral", np.random.default_rng(seed), settings=still) for seed in range(30)]
    assert np.median([np.abs(curve.rotation[:, 1]).max() for curve in calm]) < 15
    assert max(np.abs(curve.translation).max() for curve in calm) < 0.06


@pytest.mark.parametrize(("frames", "rate"), [(2, 16.0), (5, 5.0), (300, 60.0)])
def test_any_length_and_rate(frames, rate):
    for seed in range(6):
        curve = sample_expression(
            LABELS[seed], np.random.default_rng(seed), frames, rate, settings=PerformanceSettings(speaking=1.0)
        )
        assert curve.weights.shape == (frames, 52)
        assert np.isfinite(curve.weights).all()
        assert np.isfinite(curve.rotation).all()
        assert 0 <= curve.apex < frames
