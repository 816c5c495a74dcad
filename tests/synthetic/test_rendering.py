"""Pictures: a face that MediaPipe finds, reads and follows; the same for the same seed."""

import dataclasses

import numpy as np
import pytest

from stgt.synthetic.actions import action_vector
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.heads import Head
from stgt.synthetic.scenes import sample_scene

STILL = np.zeros(3)


@pytest.fixture
def drawn(person, renderer):
    """A function that draws the person in a fixed scene."""
    renderer.set_head(*person)

    def draw(actions=None, rotation=STILL, seed=4):
        renderer.set_scene(sample_scene(np.random.default_rng(seed), renderer.image_size))
        return renderer.render(action_vector(actions or {}), rotation, STILL)

    return draw


def test_a_picture_repeats_and_scenes_differ(drawn):
    first = drawn()
    assert first.shape == (192, 192, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, drawn())
    assert np.abs(first.astype(int) - drawn(seed=5)).mean() > 10


def test_actions_move_their_part_of_the_picture(drawn):
    """Differences are taken in one scene, whose noise is the same in both pictures."""
    neutral = drawn().astype(int)
    jaw = np.abs(drawn({"jawOpen": 0.8}) - neutral).mean(axis=(1, 2))
    brows = np.abs(drawn({"browInnerUp": 1.0, "browOuterUp": 1.0}) - neutral).mean(axis=(1, 2))
    assert np.argmax(jaw) > np.argmax(brows) + 20
    assert jaw.max() > 5
    assert brows.max() > 2


def test_the_light_falls_from_the_side_it_is_on(drawn, renderer):
    scene = sample_scene(np.random.default_rng(4), renderer.image_size)
    means = []
    for side in (1, -1):
        light = dataclasses.replace(scene.lights[0], direction=(side * 1.0, 0.2, 0.3), strength=0.9)
        renderer.set_scene(dataclasses.replace(scene, lights=(light,), azimuth=0.0, shift=(0.0, 0.0)))
        picture = renderer.render(np.zeros(52), STILL, STILL)[80:120]
        means.append(picture[:, 110:130].mean() - picture[:, 62:82].mean())
    assert means[0] > 15  # the person's left is the picture's right
    assert means[1] < -15


@pytest.fixture(scope="module")
def landmarker():
    from stgt.faces.landmarker import FaceLandmarker

    with FaceLandmarker() as landmarker:
        yield landmarker


def test_mediapipe_finds_the_face_and_reads_what_it_shows(drawn, landmarker):
    from stgt.faces.landmarker import BLENDSHAPE_NAMES

    def read(*names, **actions):
        landmarker.reset()
        for frame in range(4):
            face = landmarker.detect(frame / 16, drawn(actions))
            assert face is not None
        return [face.blendshapes[BLENDSHAPE_NAMES.index(name)] for name in names]

    assert read("mouthSmileLeft", mouthSmile=0.9)[0] > read("mouthSmileLeft")[0] + 0.4
    assert read("jawOpen", jawOpen=0.8)[0] > read("jawOpen")[0] + 0.3
    assert read("eyeBlinkLeft", eyeBlink=1.0)[0] > read("eyeBlinkLeft")[0] + 0.2
    assert read("browDownLeft", browDown=1.0)[0] > read("browDownLeft")[0] + 0.1

    def brow_height(**actions):
        landmarker.reset()
        for frame in range(4):
            points = landmarker.detect(frame / 16, drawn(actions)).points[:, :2]
        return (points[[33, 263], 1].mean() - points[[105, 334], 1].mean()) / np.ptp(points[[33, 263], 0])

    assert brow_height(browInnerUp=1.0, browOuterUp=1.0) > brow_height() + 0.04


def test_the_head_turns_as_it_is_told(drawn, landmarker):
    def nose_offset(yaw):
        landmarker.reset()
        face = landmarker.detect(0.0, drawn(rotation=np.array([0.0, yaw, 0.0])))
        cheeks = face.points[[234, 454], 0]
        return (face.points[1, 0] - cheeks.mean()) / np.ptp(cheeks)

    assert nose_offset(20) > 0.08  # the person's left is the picture's right
    assert nose_offset(-20) < -0.08


def test_folds_darken_with_the_action(person, renderer):
    """The furrow between lowered brows is painted, not only shaped: without the folds the picture differs."""
    head, appearance = person
    renderer.set_head(head, appearance)
    renderer.set_scene(sample_scene(np.random.default_rng(4), renderer.image_size))
    frown = np.zeros(52)
    frown[[ACTIONS.index("browDownLeft"), ACTIONS.index("browDownRight")]] = 1.0
    rendered = renderer.render(frown, STILL, STILL).astype(int)
    smooth = Head(head.data, head.identity)
    renderer.set_head(smooth, dataclasses.replace(appearance, fold_depth=0.0))
    renderer.set_scene(sample_scene(np.random.default_rng(4), renderer.image_size))
    flat = renderer.render(frown, STILL, STILL).astype(int)
    assert (flat - rendered).max() > 8
