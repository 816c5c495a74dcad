"""Who is who: unit tests with faces that are made up, and rendered people who move through composed pictures."""

import itertools
import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from stgt.realtime.people.following import People
from stgt.realtime.people.likeness import signature, unlikeness
from stgt.realtime.people.person import ALIKE, UNLIKE
from stgt.realtime.session import LiveSession

from stgt.faces.crops import crop_face
from stgt.faces.landmarker import FaceLandmarker, Landmarks
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face

SIZE = (640, 480)
EYES = 40.0  # px between the eyes of a made-up face
Place = tuple[float, float]


def made_face(x: float, y: float, scale: float = 1.0) -> Landmarks:
    """The reference face, at a place."""
    points = EYES * scale * load_reference_face().points + np.array([x, y, 0])
    return Landmarks(points.astype(np.float32), np.zeros(52, np.float32), np.eye(4, dtype=np.float32))


def pattern(person: int) -> np.ndarray:
    """What a made-up face looks like: coarse coloured spots of its own."""
    spots = np.random.default_rng(person).integers(60, 200, (5, 5, 3)).astype(np.uint8)
    return cv2.resize(spots, (120, 120), interpolation=cv2.INTER_CUBIC)


def picture(places: dict[int, Place]) -> np.ndarray:
    """Made-up faces on grey; the first are in front."""
    rgb = np.full((SIZE[1] + 400, SIZE[0] + 400, 3), 110, np.uint8)
    for person, (x, y) in reversed(places.items()):
        left, top = round(x) + 140, round(y) + 150
        if left >= 0 and left + 120 <= rgb.shape[1] and top >= 0 and top + 120 <= rgb.shape[0]:
            rgb[top : top + 120, left : left + 120] = pattern(person)
    return rgb[200:-200, 200:-200]


def follow(
    people: People, times: np.ndarray, place: Callable[[float], dict[int, Place]], seed: int = 0, in_time: bool = True
) -> list[dict[int, int]]:
    """Show made-up faces, each time in another order; for every frame, the number that each of them was given.

    ``in_time``: there is time between frames to look at people again.
    """
    rng = np.random.default_rng(seed)
    given = []
    for time_s in times:
        places = place(time_s)
        order = [list(places)[index] for index in rng.permutation(len(places))]
        found = [made_face(*(np.array(places[person]) + rng.normal(0, 0.5, 2))) for person in order]
        seen = people.update(float(time_s), found, picture(places))
        assert [sighting.person for sighting in seen] == sorted(sighting.person for sighting in seen)
        frame = {}
        for sighting in seen:
            (person,) = (who for who, face in zip(order, found, strict=True) if face is sighting.landmarks)
            frame[person] = sighting.person
        given.append(frame)
        if in_time:
            people.look_again()
    return given


@pytest.mark.parametrize("in_time", [True, False])
@pytest.mark.parametrize("rate", [5, 30, 120])
def test_people_keep_their_numbers_while_they_cross(rate, in_time):
    def place(time_s):
        places = {7: (120 + 100 * time_s, 200.0), 8: (520 - 100 * time_s, 210.0)}
        if abs(places[7][0] - places[8][0]) < 60:
            del places[8]  # hidden
        return places

    given = follow(People(2), np.arange(0, 4, 1 / rate), place, in_time=in_time)
    assert given[0] == {7: given[0][7], 8: 1 - given[0][7]}
    for frame in given:
        assert frame.items() <= given[0].items()
    assert len(given[-1]) == 2


def test_whoever_leaves_and_comes_back_is_known_whoever_is_new_is_not():
    def place(time_s):
        places = {1: (150.0, 200.0)}
        if time_s < 2 or time_s > 40:
            places[2] = (450.0, 200.0 + 5 * np.sin(time_s))
        if 20 < time_s < 25:
            places[3] = (460.0, 200.0)
        return places

    given = follow(People(2), np.arange(0, 45, 0.1), place)
    first, second = given[0][1], given[0][2]
    assert {frame[1] for frame in given} == {first}
    assert {frame[2] for frame in given if 2 in frame} == {second}
    assert {frame[3] for frame in given if 3 in frame} == {2}
    assert sum(2 in frame for frame in given) > 65, "without being looked at for long"


def test_a_face_that_is_hidden_for_a_moment_keeps_its_number_and_its_place():
    def place(time_s):
        places = {1: (150.0, 200.0), 2: (450.0, 200.0), 3: (300.0, 380.0)}
        if 1.0 < time_s < 1.4:
            del places[2]
        return places

    given = follow(People(2), np.arange(0, 3, 0.04), place)
    assert given[0] == given[-1]
    assert all(set(frame) <= set(given[0]) for frame in given), "nobody else takes the place meanwhile"


def test_of_twenty_faces_those_already_known_are_kept_and_then_the_largest():
    rng = np.random.default_rng(1)
    scales = np.linspace(0.6, 0.9, 20)
    corners = [(90 + 110 * column, 70 + 110 * row) for row in range(4) for column in range(5)]
    people = People(4)
    shown = []
    for index in range(60):
        scales[2] = 1.2 if index > 20 else 0.65  # someone comes near, but the others were there before
        present = [number for number in range(20) if not (number == 19 and index > 30)]
        found = {number: made_face(*corners[number], scales[number]) for number in rng.permutation(present)}
        seen = people.update(index / 20, list(found.values()), picture(dict(enumerate(corners))))
        shown.append({number for number, face in found.items() if any(s.landmarks is face for s in seen)})
    assert shown[0] == {16, 17, 18, 19}
    assert all(now == shown[0] for now in shown[:31]), "no flicker"
    assert shown[-1] == {16, 17, 18, 2}, "there is room for one more"
    assert [len(now) for now in shown].count(3) <= 22, "half a second's grace, and a moment to be sure"


def test_people_are_known_when_a_recording_begins_anew():
    def place(time_s):
        return {1: (150.0, 200.0), 2: (450.0, 200.0)}

    people = People(2)
    first = follow(people, np.arange(100, 101, 0.05), place)[-1]
    again = follow(people, np.arange(0, 1, 0.05), lambda time_s: {2: (200.0, 250.0), 1: (480.0, 180.0)})
    assert again[0] == first


def test_numbers_are_never_given_twice_and_memory_is_bounded():
    people, numbers, held = People(2), [], []
    canvas = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
    face = made_face(200.0, 200.0)
    tracemalloc.start()
    for index in range(800):
        canvas[150:270, 140:260] = pattern(index // 8)
        found = [face] if index % 8 < 4 else []
        numbers += [sighting.person for sighting in people.update(index * 1.0, found, canvas)]
        if index in (399, 799):
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    runs = [number for number, _ in itertools.groupby(numbers)]
    assert runs == sorted(set(numbers)), "each in one piece"
    assert len(runs) > 75
    assert len(people.known) <= 34
    assert held[1] - held[0] < 100_000


# Rendered people in composed pictures.

SIDE = 190  # px of a person's picture


@pytest.fixture(scope="module")
def rendered_people(tmp_path_factory, face_frames) -> list[list[np.ndarray]]:
    """Two people, some frames of each; ``(SIDE, SIDE, 3)``."""
    patch = pytest.MonkeyPatch()
    patch.setenv("STGT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    from stgt.synthetic.actions import action_vector
    from stgt.synthetic.anny_data import load_head_data
    from stgt.synthetic.appearance import make_appearance
    from stgt.synthetic.heads import Head, sample_identity
    from stgt.synthetic.rendering import FaceRenderer
    from stgt.synthetic.scenes import sample_scene

    data, renderer = load_head_data(), FaceRenderer((SIDE, SIDE))
    identity = sample_identity(0, 2, data.local_labels)
    renderer.set_head(Head(data, identity), make_appearance(0, 2, identity, data))
    renderer.set_scene(sample_scene(np.random.default_rng(4), renderer.image_size))
    patch.undo()
    other = [
        renderer.render(action_vector({"jawOpen": 0.3 * phase}), np.array([0, 0.15 * phase - 0.07, 0]), np.zeros(3))
        for phase in np.sin(np.linspace(0, np.pi, 6))
    ]
    one = [cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for _, rgb in face_frames]
    return [one + one[-2:0:-1], other]


def compose(people: list[list[np.ndarray]], places: list[Place | None], index: int) -> np.ndarray:
    """A frame: each person in an oval around their place; the first are in front."""
    rgb = np.full((260, 620, 3), (96, 100, 104), np.uint8)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    middle = SIDE / 2
    oval = np.clip(6 - 6 * (((columns - middle) / 84) ** 2 + ((rows - middle) / 92) ** 2), 0, 1)[..., None]
    wide = np.pad(rgb, ((SIDE, SIDE), (SIDE, SIDE), (0, 0)))
    for frames, place in reversed(list(zip(people, places, strict=True))):
        if place is not None:
            left, top = (round(min(max(side, -middle), 620 + middle) + middle) for side in place)
            part = wide[top : top + SIDE, left : left + SIDE]
            part[...] = oval * frames[index % len(frames)] + (1 - oval) * part
    return np.ascontiguousarray(wide[SIDE:-SIDE, SIDE:-SIDE])


def who_is_where(frame) -> dict[int, float]:
    """Number -> x of the middle of the face, of those whose face is in this frame."""
    return {face.face: (face.box[0] + face.box[2]) / 2 for face in frame.faces if face.landmarks is not None}


@pytest.fixture(scope="module")
def two_face_landmarker():
    with FaceLandmarker(faces=2) as landmarker:
        yield landmarker


def test_looks_tell_rendered_people_apart(rendered_people, landmarker):
    looks = []
    for person, frames in enumerate(rendered_people):
        landmarker.reset()
        for index, rgb in enumerate(frames):
            looks.append((person, signature(crop_face(rgb, landmarker.detect(index / 16, rgb).points))))
    for (one, look), (other, compared) in itertools.combinations(looks, 2):
        if one == other:
            assert unlikeness(look, compared) < ALIKE
        else:
            assert unlikeness(look, compared) > UNLIKE


def test_two_people_cross_and_one_leaves_and_comes_back(reader, made_source, rendered_people, two_face_landmarker):
    """One crosses behind the other, turns round, leaves the picture, and comes back after two seconds."""

    def places(time_s: float) -> list[Place | None]:
        front = 110 + 130 * min(time_s, 3.0)
        back = 500 - 130 * time_s if time_s < 3 else 110 - 250 * (time_s - 3)
        if time_s > 6:
            back = max(110.0, 500 - 250 * (time_s - 6))
            front = 500 - 130 * max(0.0, time_s - 8)
        return [(front, 130.0), (back, 135.0)]

    times = np.arange(0, 8, 1 / 15)
    shown = [(time_s, compose(rendered_people[:2], places(time_s), index)) for index, time_s in enumerate(times)]
    settings = {"faces": 2, "every_s": 0.5, "landmarker": two_face_landmarker}
    with LiveSession(reader, made_source(shown), **settings) as session:
        frames = list(session)
    start = who_is_where(frames[0])
    assert len(start) == 2
    front, back = sorted(start, key=start.__getitem__)
    for frame in frames:
        now = who_is_where(frame)
        assert set(now) <= {front, back}, "nobody else is there"
        truth = places(frame.timestamp_s)
        for person, (x, _) in zip((front, back), truth, strict=True):
            if person in now:
                assert abs(now[person] - x) < 40, (frame.timestamp_s, now, truth)
    seen = [set(who_is_where(frame)) for frame in frames]
    assert {front, back} <= seen[int(2.9 * 15)], "after crossing"
    assert seen[int(4.8 * 15)] == {front}, "gone"
    assert {front, back} <= seen[-1], "and back"
    assert all(face.prediction.face == face.face for frame in frames for face in frame.faces)


def test_another_person_who_sits_down_is_read_against_their_own_face(
    action_reader, made_source, rendered_people, landmarker, empty_frames
):
    def sits(people, first_s):
        return [(first_s + index / 16, compose([people], [(310.0 + (index % 3), 130.0)], index)) for index in range(24)]

    empty = np.full_like(sits(rendered_people[0], 0.0)[0][1], 100)
    gap = [(1.5 + index / 16, empty) for index in range(32)]
    shown = [*sits(rendered_people[0], 0.0), *gap, *sits(rendered_people[1], 3.5)]
    with LiveSession(action_reader, made_source(shown), every_s=0.0, landmarker=landmarker) as session:
        frames = list(session)
    assert {face.face for frame in frames[:24] for face in frame.faces} == {0}
    later = frames[24:]  # nobody, and then the second person
    new = [frame.faces[0] for frame in later[-24:]]
    assert {face.face for face in new} == {1}
    nothing = Landmarks(np.zeros((478, 3)), np.zeros(52), np.zeros((4, 4)))
    seen = [nothing] * 32 + [face.landmarks for face in new]
    points, blendshapes, transforms = (np.stack(values) for values in zip(*seen, strict=True))
    times = np.array([frame.timestamp_s for frame in later])
    alone = LandmarkTrack(points, times, points.any(axis=(1, 2)), blendshapes, transforms, (620, 260), "the second")
    recorded = action_reader.predict_windows(alone, starts=[face.prediction.start_s for face in new])
    for face, window in zip(new, recorded, strict=True):
        np.testing.assert_allclose(face.prediction.probabilities, window.probabilities, atol=1e-5)


def test_several_faces_are_smoothed_as_one_would_be(made_source, reader, rendered_people, two_face_landmarker):
    still = [(index / 30, compose(rendered_people[:1], [(310.0, 130.0)], 0)) for index in range(1, 40)]
    noise = np.random.default_rng(0)
    shown = [(t, np.clip(rgb + noise.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)) for t, rgb in still]
    with LiveSession(reader, made_source(shown), faces=2, landmarker=two_face_landmarker) as session:
        smooth = np.array([frame.faces[0].landmarks.points for frame in session])
    two_face_landmarker.reset()
    raw = np.array([two_face_landmarker.detect(*frame).points for frame in shown])
    jitter = [np.abs(np.diff(points, n=2, axis=0)).mean() for points in (smooth, raw)]
    assert jitter[0] < 0.7 * jitter[1]
    assert np.abs(smooth[-1] - raw[-10:].mean(axis=0)).mean() < 0.5
