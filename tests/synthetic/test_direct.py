"""The direct road: landmarks off the mesh, where MediaPipe would have seen them."""

from dataclasses import replace

import numpy as np
import pytest

from stgt.faces.landmarker import BLENDSHAPE_NAMES, FaceLandmarker
from stgt.graphs.alignment import align_faces
from stgt.synthetic.anny_data import load_head_data
from stgt.synthetic.appearance import make_appearance
from stgt.synthetic.correspondence import Correspondence
from stgt.synthetic.direct import Distortion, View, person, track
from stgt.synthetic.expressions import sample_units
from stgt.synthetic.heads import Head
from stgt.synthetic.motion import Event, perform
from stgt.synthetic.rendering import FaceRenderer
from stgt.synthetic.scenes import sample_scene
from stgt.synthetic.tracker import Tracker, blendshape_landmarks

SEED, FRONT = 31, View(1.0, 0.0, 0.0, 0.0)
EXACT = Distortion(clip_error=0, face_error=0, jitter=0)


def held(label, subject, intensity=1.0):
    rng = np.random.default_rng(subject)
    event = Event(label, tuple(sample_units(label, rng, intensity)), -1, 0.5, 1e3, 1, 0, intensity)
    return perform(label, [event], rng, 12, 12.5, resting=person(SEED, subject).identity.resting)


def blendshape(faces, name):
    return faces.actions[:, BLENDSHAPE_NAMES.index(name)].mean()


def test_a_person_is_the_same_head_as_on_the_rendered_road():
    who, data = person(SEED, 4), load_head_data()
    head = Head(data, who.identity)
    place = Correspondence.load()
    np.testing.assert_allclose(who.rest, place(head.rest), atol=2e-4)
    weights = np.random.default_rng(0).random((2, 52)).astype(np.float32)
    np.testing.assert_allclose(who.landmarks(weights)[1], place(head.shape(weights[1])), atol=2e-4)


def test_landmarks_lie_where_mediapipe_sees_them_in_rendered_pixels():
    """Rendered pixels through MediaPipe, against the direct road of the same head, camera and performance."""
    data, size = load_head_data(), (320, 320)
    renderer, off = FaceRenderer(size), []
    with FaceLandmarker() as landmarker:
        for subject in range(3):
            who, curve = person(SEED, subject), held("happiness", subject)
            rng = np.random.default_rng(subject)
            scene = sample_scene(rng, size)
            renderer.set_head(Head(data, who.identity), make_appearance(SEED, subject, who.identity, data))
            renderer.set_scene(scene)
            landmarker.reset()
            pictures = [
                renderer.render(*row) for row in zip(curve.weights, curve.rotation, curve.translation, strict=True)
            ]
            seen = np.stack([landmarker.detect(i / 12.5, picture).points for i, picture in enumerate(pictures)])
            tracked = align_faces(seen, np.ones(len(seen), bool))
            said = track(who, curve, scene, rng, 12.5, EXACT).points
            off.append(np.linalg.norm((said - tracked)[..., :2], axis=-1).mean())
    assert np.mean(off) < 0.025  # inter-ocular units


@pytest.mark.parametrize(
    ("label", "name", "least"),
    [("happiness", "mouthSmileLeft", 0.3), ("surprise", "browOuterUpRight", 0.15), ("anger", "browDownLeft", 0.15)],
)
def test_an_expression_reads_as_its_blendshape(label, name, least):
    rest = np.mean(
        [
            blendshape(track(person(SEED, s), held("neutral", s), FRONT, np.random.default_rng(0), 12.5), name)
            for s in range(6)
        ]
    )
    shown = np.mean(
        [
            blendshape(track(person(SEED, s), held(label, s), FRONT, np.random.default_rng(0), 12.5), name)
            for s in range(6)
        ]
    )
    assert shown - rest > least


def test_errors_follow_the_face_and_repeat_with_the_seed():
    tracker = Tracker.load()
    still, far = np.zeros((20, 96), np.float32), np.zeros((20, 96), np.float32)
    far[:, 0] = np.linspace(0, 3 * tracker.reach[0], 20)

    def errors(away, seed=0, **scales):
        return tracker.errors(np.random.default_rng(seed), away, 25.0, **{"clip_scale": 0.0, **scales})

    assert np.abs(errors(still)).max() < 0.01  # a face that keeps still only jitters
    assert np.abs(errors(far, jitter_scale=0.0)[0]).max() == 0
    assert np.abs(errors(far, jitter_scale=0.0)[-1]).max() > 0.02
    np.testing.assert_array_equal(errors(far, 1), errors(far, 1))
    assert not np.array_equal(errors(far, 1), errors(far, 2))


def test_blendshapes_do_not_depend_on_place_and_size():
    tracker, face = Tracker.load(), held("happiness", 1)
    flat = track(person(SEED, 1), face, FRONT, np.random.default_rng(0), 12.5, EXACT).points[
        :, blendshape_landmarks(), :2
    ]
    np.testing.assert_allclose(tracker.blendshapes(flat), tracker.blendshapes(7 * flat + (300, 200)), atol=1e-4)


def test_less_damping_draws_the_corners_of_the_mouth_further_down():
    def drawn(subject, undamping):
        """From the first frame, at rest, to the last, sad; the head keeps still."""
        curve, who = held("sadness", subject), person(SEED, subject)
        weights = np.stack([who.identity.resting, curve.weights[-1]])
        still = {name: np.zeros((2, 3), np.float32) for name in ("rotation", "translation")}
        curve = replace(curve, times=curve.times[:2], weights=weights, **still)
        points = track(who, curve, FRONT, np.random.default_rng(0), 12.5, Distortion(undamping, 0, 0, 0)).points
        return (points[1] - points[0])[[61, 291], 1].mean()

    damped, less = (np.mean([drawn(subject, undamping) for subject in range(5)]) for undamping in (0.0, 0.8))
    assert less > damped > 0
