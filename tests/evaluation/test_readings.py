import cv2
import numpy as np
import pytest

from stgt.evaluation.annotation import Panel, frame_probabilities
from stgt.evaluation.plots import PALETTE, to_png
from stgt.evaluation.readings import describe, label_spans, no_face_spans, rows, timeline_figure
from stgt.faces.tracks import LandmarkTrack
from stgt.inference import Prediction, Reading

LABELS = ("neutral", "happiness")


def reading_of(
    rows: list[tuple[float, float] | None], valid: list[bool], rate: float = 10.0, least: float = 0.0
) -> Reading:
    """One-second windows every half second with these probabilities, and a track with these valid frames."""
    predictions = tuple(
        Prediction(
            *("made", 0.5 * i, 0.5 * i + 1, LABELS, np.array(row or (np.nan, np.nan)), float(row is not None)),
            min_confidence=least,
        )
        for i, row in enumerate(rows)
    )
    count = len(valid)
    track = LandmarkTrack(
        points=np.zeros((count, 478, 3)),
        times=np.arange(count) / rate,
        valid=np.array(valid, bool),
        blendshapes=np.zeros((count, 52)),
        transforms=np.zeros((count, 4, 4)),
        image_size=(64, 64),
        source="made",
    )
    return Reading(predictions, track, LABELS, least)


def test_spans_without_a_face_reach_halfway_to_their_neighbours():
    reading = reading_of([], [False, True, True, False, False, True])
    assert no_face_spans(reading.track) == [pytest.approx((0, 0.05)), pytest.approx((0.25, 0.45))]
    assert no_face_spans(reading_of([], [True, True]).track) == []
    assert no_face_spans(reading_of([], [False, False, False]).track) == [pytest.approx((0, 0.2))]
    assert no_face_spans(reading_of([], []).track) == []


def test_neighbouring_windows_of_one_label_are_told_together():
    reading = reading_of([(0.9, 0.1), (0.7, 0.3), (0.2, 0.8), None], [True] * 20)
    spans = label_spans(reading)
    assert [span[2] for span in spans] == ["neutral", "happiness", "none"]
    assert [span[:2] for span in spans] == [(0, 1.25), (1.25, 1.75), (1.75, 2.5)]
    assert spans[0][3] == pytest.approx(0.8)
    text = describe(reading)
    assert "no face" in text
    assert "as a whole: neutral 0.60, happiness 0.40" in text
    many = reading_of([(0.9, 0.1), (0.1, 0.9)] * 10, [True] * 100)
    assert "… and 8 more" in describe(many, most=12)
    assert "as a whole: no face found" in describe(reading_of([None], [False]))


def test_what_is_not_probable_enough_is_uncertain_in_table_text_and_picture(tmp_path):
    windows = [(0.9, 0.1), (0.45, 0.55), (0.2, 0.8), None]
    reading = reading_of(windows, [True] * 25, least=0.6)
    assert [window.label for window in reading] == ["neutral", "uncertain", "happiness", "none"]
    assert [row["label"] for row in rows(reading)] == ["neutral", "uncertain", "happiness", "none"]
    assert rows(reading)[1]["p_happiness"] == 0.55
    assert rows(reading)[1]["confidence"] == 0.55
    assert reading.label == "uncertain"
    assert "as a whole: uncertain (neutral 0.52" in describe(reading)

    def grey(least: float) -> int:
        to_png(timeline_figure(reading_of(windows, [True] * 25, least=least)), tmp_path / "t.png")
        picture = cv2.imread(str(tmp_path / "t.png")).astype(int)
        return int((np.abs(picture - [0xBF, 0xB6, 0xAE]).sum(axis=2) < 12).sum())

    assert grey(0.6) > grey(0.0) + 500, "hatched"


def test_the_panel_says_uncertain_and_nobody_leads():
    panel = Panel(LABELS, 480)
    times, now = np.arange(0, 2, 0.1), np.tile((0.45, 0.55), (20, 1))
    sure, unsure = (panel.draw(2.0, times, now, min_confidence=least) for least in (0.5, 0.6))
    colour = np.array(tuple(bytes.fromhex(PALETTE[1][1:])))
    assert (sure == colour).all(axis=2).any()
    assert not (unsure == colour).all(axis=2).any()
    absent = panel.draw(2.0, times, now * np.nan, min_confidence=0.6)
    title = slice(30, 70), slice(10, 200)
    assert (unsure[title] != absent[title]).any(), "not the words for a missing face"


def test_between_windows_the_video_interpolates_and_without_a_face_it_says_nothing():
    reading = reading_of([(1.0, 0.0), (0.0, 1.0), None], [True] * 14 + [False] * 6)
    values = frame_probabilities(reading)
    np.testing.assert_allclose(values[0], (1, 0))  # before the first middle
    np.testing.assert_allclose(values[7], (0.6, 0.4), atol=1e-9)  # 0.7 s lies between the middles 0.5 and 1.0
    np.testing.assert_allclose(values[13], (0, 1))
    assert np.isnan(values[14:]).all()


def test_the_panel_shows_the_leader_in_its_colour_and_the_past_to_the_left():
    panel = Panel(LABELS, 480)
    times = np.arange(0, 6.01, 0.1)
    happy_now = np.where(times[:, None] > 3, (0.1, 0.9), (0.9, 0.1))
    picture = panel.draw(6.0, times, happy_now)
    assert picture.shape == (480, panel.width, 3)
    colour = np.array(tuple(bytes.fromhex(PALETTE[1][1:])))
    lead = (picture == colour).all(axis=2)
    columns = lead[120:].sum(axis=0)  # below the bar of the confidence
    middle = panel.width // 2
    assert columns[middle + 20 : -25].min() > 5 * columns[25 : middle - 20].max()
    nothing = panel.draw(6.0, times, np.full_like(happy_now, np.nan))
    assert not (nothing == colour).all(axis=2).any()
    assert panel.draw(0.0, np.zeros(0), np.zeros((0, 2))).shape == picture.shape
