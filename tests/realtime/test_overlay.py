from dataclasses import replace

import cv2
import numpy as np
import pytest
from stgt.realtime.overlay import Overlay
from stgt.realtime.session import LiveSession, LiveState


@pytest.fixture(scope="module")
def live_frames(reader, landmarker, rendered_face_clip):
    with LiveSession(reader, rendered_face_clip, landmarker=landmarker) as session:
        return list(session)


def test_the_mesh_lies_on_the_frame_that_was_analysed(live_frames):
    overlay = Overlay(live_frames[0].labels, (320, 320))
    live = live_frames[-1]
    before = live.rgb.copy()
    with_mesh = overlay.paint(live)
    np.testing.assert_array_equal(live.rgb, before)
    assert with_mesh.shape == (overlay.image_size[1], overlay.image_size[0], 3)
    overlay.show_mesh = False
    without = overlay.paint(live)
    changed = np.argwhere((with_mesh != without).any(axis=2)[:, :480])
    points = live.landmarks.points[:, 1::-1] * 480 / 320  # rows, columns
    assert changed[:, 0].min() >= points[:, 0].min() - 8
    assert changed[:, 0].max() <= points[:, 0].max() + 8
    assert changed[:, 1].min() >= points[:, 1].min() - 8
    assert changed[:, 1].max() <= points[:, 1].max() + 8
    assert len(changed) > 3000
    # Apart from the badge the picture is the frame itself, enlarged.
    enlarged = cv2.resize(live.rgb, (480, 480), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(without[60:, :480], enlarged[60:])


def test_the_panel_shows_the_past_seconds(live_frames):
    overlay = Overlay(live_frames[0].labels, (320, 320))
    panels = [overlay.paint(live)[:, 480:] for live in live_frames]
    filled = [int((panel.max(axis=2) > 100).sum()) for panel in panels]
    assert filled[-1] > filled[0] + 500, "curves have grown"


def test_without_a_face_the_picture_is_dim(live_frames):
    live = live_frames[-1]
    nobody = replace(live, landmarks=None, state=LiveState.NO_FACE, probabilities=np.full(len(live.labels), np.nan))
    overlay = Overlay(live.labels, (320, 320))
    dim = overlay.paint(nobody)[:, :480]
    overlay.show_mesh = False
    assert dim[60:].mean() == pytest.approx(overlay.paint(live)[60:, :480].mean() / 2, abs=1.0)


def test_the_panel_tells_warming_up_from_nobody(live_frames):
    live = live_frames[0]
    assert live.state is LiveState.WARMING_UP
    warming = Overlay(live.labels, (320, 320)).paint(live)[:, 480:]
    nobody = Overlay(live.labels, (320, 320)).paint(replace(live, state=LiveState.NO_FACE))[:, 480:]
    assert (warming[:72] != nobody[:72]).any()
    np.testing.assert_array_equal(warming[73:], nobody[73:])


@pytest.mark.parametrize("size", [(64, 48), (1080, 1920), (1921, 1081), (40, 400)])
def test_any_picture_becomes_one_that_can_be_shown_and_encoded(size, live_frames):
    live = live_frames[-1]
    large = replace(live, rgb=cv2.resize(live.rgb, size))
    overlay = Overlay(live.labels, size)
    picture = overlay.paint(large)
    assert picture.shape == (overlay.image_size[1], overlay.image_size[0], 3)
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    assert 480 <= picture.shape[0] <= 720


def test_what_the_panel_no_longer_shows_is_forgotten(live_frames):
    live = live_frames[-1]
    surprised = np.eye(len(live.labels))[-1]
    step_s = 1 / 15
    long, short = Overlay(live.labels, (320, 320)), Overlay(live.labels, (320, 320))
    for index in range(45):
        long.paint(replace(live, timestamp_s=index * step_s, probabilities=surprised))
    for index in range(45, 45 + 120):
        now = replace(live, timestamp_s=index * step_s)
        pictures = [overlay.paint(now)[:, 480:] for overlay in (long, short)]
        if index == 50:
            assert (pictures[0] != pictures[1]).any(), "the past is shown while it is recent"
    np.testing.assert_array_equal(*pictures)
    # A clock that runs backwards is another recording.
    again = replace(live, timestamp_s=0.0)
    np.testing.assert_array_equal(long.paint(again)[:, 480:], Overlay(live.labels, (320, 320)).paint(again)[:, 480:])
