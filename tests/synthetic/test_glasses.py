"""Glasses: some wear them, and they fit the head they are on."""

import dataclasses

import numpy as np
import pytest

from stgt.synthetic.glasses import fit, sample_glasses
from stgt.synthetic.heads import Head, sample_identity
from stgt.synthetic.scenes import sample_scene


def first_glasses(seed):
    rng = np.random.default_rng(seed)
    return next(glasses for glasses in (sample_glasses(rng, 60) for _ in range(100)) if glasses)


def test_older_people_wear_them_more_often():
    rng = np.random.default_rng(0)
    young, old = ([sample_glasses(rng, age) is not None for _ in range(300)] for age in (20, 75))
    assert 0.1 < np.mean(young) < 0.3
    assert 0.35 < np.mean(old) < 0.65


@pytest.mark.parametrize("subject", range(6))
def test_they_sit_in_front_of_the_eyes_and_reach_the_ears(head_data, subject):
    head = Head(head_data, sample_identity(0, subject, head_data.local_labels))
    eyes = tuple(np.unique(head_data.triangles[name]) for name in ("left_eye", "right_eye"))
    skin = np.unique(head_data.triangles["skin"])
    ears = np.flatnonzero(head_data.atlas.ear_vertices > 0)
    vertices, triangles = fit(first_glasses(subject), head.rest, skin, eyes, ears)
    assert set(triangles.ravel()) == set(range(len(vertices)))
    assert np.allclose(vertices.min(axis=0)[0], -vertices.max(axis=0)[0], atol=1e-4)
    rims = vertices[vertices[:, 2] > vertices[:, 2].max() - 0.012]
    for eye in eyes:
        ball = head.rest[eye]
        own = rims[np.sign(rims[:, 0]) == np.sign(ball[:, 0].mean())]
        centre = ball.mean(axis=0)
        assert np.all(own.min(axis=0)[:2] < centre[:2])
        assert np.all(own.max(axis=0)[:2] > centre[:2])
        assert 0.005 < np.median(own[:, 2]) - ball[:, 2].max() < 0.03
    assert np.linalg.norm(vertices[:, None] - head.rest[ears], axis=-1).min() < 0.012


def test_they_are_drawn_on_the_eyes_alone(person, renderer):
    head, appearance = person
    scene = sample_scene(np.random.default_rng(4), renderer.image_size)
    pictures = []
    for glasses in (None, first_glasses(3)):
        look = dataclasses.replace(appearance.look, glasses=glasses)
        renderer.set_head(Head(head.data, head.identity), dataclasses.replace(appearance, look=look))
        renderer.set_scene(scene)
        pictures.append(renderer.render(np.zeros(52), np.zeros(3), np.zeros(3)).astype(int))
    changed = np.abs(pictures[1] - pictures[0]).max(axis=-1) > 25
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed.sum() > 60
    assert np.ptp(rows) < 60
    assert 50 < rows.mean() < 110
