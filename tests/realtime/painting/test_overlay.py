from dataclasses import replace

import cv2
import numpy as np
import pytest
from stgt.realtime.frames import FaceState
from stgt.realtime.painting.arrangement import Timelines, shown_size
from stgt.realtime.painting.face_marks import MeshStyle
from stgt.realtime.painting.lettering import LABEL_COLOURS
from stgt.realtime.painting.overlay import Overlay
from stgt.realtime.session import LiveSession

SIZE = (320, 320)
SHOWN = 480  # small frames are enlarged to so many rows


@pytest.fixture(scope="module")
def live_frames(reader, landmarker, rendered_face_clip):
    with LiveSession(reader, rendered_face_clip, landmarker=landmarker, attention=True) as session:
        return list(session)


@pytest.fixture
def overlay(reader):
    return Overlay(reader.labels, SIZE, reader.layout)


def changed_rows_and_columns(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.argwhere((one != other).any(axis=2))


def several(live, count: int):
    """The face of a frame, ``count`` times from left to right at half its size, as people of numbers from 3 on."""
    [face] = live.faces
    height, width = live.rgb.shape[0] // 2, live.rgb.shape[1] // 2
    rgb = np.zeros((height, width * count, 3), np.uint8)
    faces = []
    for index in range(count):
        rgb[:, index * width : (index + 1) * width] = cv2.resize(live.rgb, (width, height))
        points = face.landmarks.points * 0.5 + (index * width, 0, 0)
        box = (*points[:, :2].min(axis=0), *points[:, :2].max(axis=0))
        faces.append(replace(face, face=3 + index, landmarks=face.landmarks._replace(points=points), box=box))
    return replace(live, rgb=rgb, faces=tuple(faces))


def test_only_the_face_is_painted_on_the_frame_that_was_analysed(live_frames, overlay):
    live = live_frames[-1]
    before = live.rgb.copy()
    painted = overlay.paint(live)
    np.testing.assert_array_equal(live.rgb, before)
    assert painted.shape == (overlay.image_size[1], overlay.image_size[0], 3)
    enlarged = cv2.resize(live.rgb, (SHOWN, SHOWN), interpolation=cv2.INTER_LINEAR)
    changed = changed_rows_and_columns(painted[:, :SHOWN], enlarged)
    x0, y0, x1, y1 = np.array(live.faces[0].box) * SHOWN / SIZE[0]
    assert len(changed) > 3000
    assert changed[:, 0].min() >= y0 - 60, "box and tag are near the face"
    assert changed[:, 0].max() <= y1 + 30
    assert changed[:, 1].min() >= x0 - 30
    assert changed[:, 1].max() <= x1 + 30


def test_the_three_ways_to_draw_a_face(live_frames, overlay):
    pictures = {}
    for style in MeshStyle:
        overlay.mesh = style
        pictures[style] = overlay.paint(live_frames[-1])
    inside = np.round(live_frames[-1].faces[0].landmarks.points[:, 1::-1] * SHOWN / SIZE[0]).astype(int)
    low, high = inside.min(axis=0), inside.max(axis=0)
    for one, other in ((MeshStyle.MESH, MeshStyle.GRAPH), (MeshStyle.GRAPH, MeshStyle.OFF)):
        changed = changed_rows_and_columns(pictures[one], pictures[other])
        assert len(changed) > 1500
        assert (changed >= low - 8).all()
        assert (changed <= high + 8).all()
    assert MeshStyle.MESH.next is MeshStyle.GRAPH
    assert MeshStyle.OFF.next is MeshStyle.MESH


@pytest.mark.parametrize("style", [MeshStyle.MESH, MeshStyle.GRAPH])
def test_what_the_model_looks_at_is_warm(live_frames, reader, style):
    """Where attention is high there is more red than blue than where it is even."""
    live = live_frames[-1]
    grey = replace(live, rgb=np.full_like(live.rgb, 90))
    mouth = np.concatenate([nodes for region, nodes in reader.layout.regions.items() if "mouth" in region])
    attention = np.ones(len(reader.layout), np.float32)
    attention[mouth] = 6.0

    def warmth(attention):
        face = replace(live.faces[0], attention=attention / attention.sum())
        painted = Overlay(reader.labels, SIZE, reader.layout, mesh=style).paint(replace(grey, faces=(face,)))
        points = face.landmarks.points[reader.layout.landmarks[mouth], :2] * SHOWN / SIZE[0]
        (left, top), (right, bottom) = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
        region = painted[top:bottom, left:right].astype(int)
        return (region[..., 0] - region[..., 2]).mean()

    assert warmth(attention) > warmth(np.ones_like(attention)) + 10


def test_colours_are_those_of_the_plots(live_frames, overlay):
    live = live_frames[-1]
    [face] = live.faces
    assert face.state is FaceState.READING
    panel = overlay.paint(live)[:, SHOWN:]
    for index in range(3):
        named = replace(face, label=face.labels[index], confidence=1.0)
        panel = overlay.paint(replace(live, faces=(named,)))[:, SHOWN:]
        counts = [int((panel == colour).all(axis=2).sum()) for colour in LABEL_COLOURS]
        assert np.argmax(counts) == index


def test_timelines_grow_and_are_forgotten_when_another_recording_begins(live_frames, overlay, reader):
    panels = [overlay.paint(live)[:, SHOWN:] for live in live_frames]
    bright = [int((panel.max(axis=2) > 100).sum()) for panel in panels]
    assert bright[-1] > bright[0] + 300, "curves have grown"
    again = replace(live_frames[-1], timestamp_s=0.0)
    fresh = Overlay(reader.labels, SIZE, reader.layout)
    for painter in (overlay, fresh):
        painter.paint(again)
    later = replace(live_frames[-1], timestamp_s=1.0)
    rows = slice(0, -40)  # without the line of figures
    np.testing.assert_array_equal(overlay.paint(later)[rows, SHOWN:], fresh.paint(later)[rows, SHOWN:])


def test_states_look_different(live_frames, reader):
    live = live_frames[-1]
    [face] = live.faces
    unknown = np.full(len(reader.labels), np.nan)
    states = {
        "reading": live,
        "uncertain": replace(live, faces=(replace(face, state=FaceState.UNCERTAIN, label="uncertain"),)),
        "warming up": replace(
            live,
            faces=(
                replace(face, state=FaceState.WARMING_UP, label="none", confidence=float("nan"), probabilities=unknown),
            ),
        ),
        "out of sight": replace(live, faces=(replace(face, landmarks=None),)),
        "no face": replace(live, faces=()),
    }
    for place in Timelines:
        pictures = {
            name: Overlay(reader.labels, SIZE, reader.layout, timelines=place).paint(frame)
            for name, frame in states.items()
        }
        names = list(pictures)
        for index, one in enumerate(names):
            for other in names[index + 1 :]:
                assert (pictures[one] != pictures[other]).sum() > 500, (one, other, place)
    dim = pictures["no face"]
    assert dim.mean() < 0.7 * pictures["out of sight"].mean(), "nothing is read there"


def test_whoever_is_warming_up_without_any_prediction_can_be_painted(live_frames, overlay):
    live = live_frames[0]
    unknown = np.full(len(live.labels), np.nan)
    face = replace(
        live.faces[0],
        state=FaceState.WARMING_UP,
        prediction=None,
        attention=None,
        probabilities=unknown,
        label="none",
        confidence=float("nan"),
    )
    overlay.paint(replace(live, faces=(face,)))


@pytest.mark.parametrize("place", list(Timelines))
@pytest.mark.parametrize("size", [(160, 120), (64, 48), (1081, 1921), (3840, 2160), (40, 400), (400, 40)])
def test_any_frame_becomes_a_picture_that_can_be_shown_and_encoded(size, place, live_frames, reader):
    live = replace(live_frames[-1], rgb=cv2.resize(live_frames[-1].rgb, size))
    for faces in (1, 6):
        overlay = Overlay(reader.labels, size, reader.layout, faces=faces, timelines=place)
        picture = overlay.paint(live)
        assert picture.shape == (overlay.image_size[1], overlay.image_size[0], 3)
        assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
        assert picture.shape[0] <= 1080 + 600
        assert picture.shape[1] <= 1920 + 600
        if place is not Timelines.OFF:
            _, _, right, bottom = overlay.at.picture
            for card in overlay.at.cards:
                assert card[0] >= right or card[1] >= bottom, "cards hide nothing"
                assert card[2] <= overlay.image_size[0]
                assert card[3] <= overlay.image_size[1]


def test_small_frames_are_enlarged_and_large_ones_shrunk():
    assert shown_size((160, 120)) == (640, 480)
    assert shown_size((1280, 720)) == (1280, 720)
    assert shown_size((3840, 2160)) == (1920, 1080)


def test_a_frame_of_another_size_is_arranged_anew(live_frames, overlay):
    overlay.paint(live_frames[0])
    wide = replace(live_frames[1], rgb=cv2.resize(live_frames[1].rgb, (1280, 720)))
    assert overlay.paint(wide).shape[0] == 720


def test_everybody_keeps_a_card_and_tags_hide_no_face(live_frames, reader):
    three = several(live_frames[-1], 3)
    overlay = Overlay(reader.labels, three.rgb.shape[1::-1], reader.layout, faces=3)
    overlay.paint(three)
    cards = [overlay.paint(three)[box[1] : box[3], box[0] : box[2]] for box in overlay.at.cards]
    assert len(cards) == 3
    # The one in the middle leaves, and for a while nothing moves up.
    two = replace(three, timestamp_s=three.timestamp_s + 0.1, faces=(three.faces[0], three.faces[2]))
    painted = overlay.paint(two)
    titles = [slice(box[1], box[1] + overlay.at.px(26)) for box in overlay.at.cards]
    columns = slice(overlay.at.cards[0][0], overlay.at.cards[0][2])
    before = overlay.paint(three)
    assert (painted[titles[2], columns] == before[titles[2], columns]).all()
    assert (painted[titles[1], columns] != before[titles[1], columns]).any()


def test_more_people_than_cards_are_counted(live_frames, reader):
    crowd = several(live_frames[-1], 7)
    overlay = Overlay(reader.labels, crowd.rgb.shape[1::-1], reader.layout, faces=7, timelines="below")
    assert len(overlay.at.cards) == 4
    foot = overlay.at.foot
    lines = [
        overlay.paint(replace(crowd, faces=crowd.faces[:count]))[foot[1] : foot[3], foot[0] : foot[2]]
        for count in (4, 7)
    ]
    assert (lines[0] != lines[1]).any()
