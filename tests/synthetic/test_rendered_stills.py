"""Stills are the apex of the clips of the same seed; blends say how much of which expression they show."""

import csv
import dataclasses

import cv2
import numpy as np
import pytest

from stgt.data.catalog.cards import load_card
from stgt.errors import DatasetError
from stgt.synthesize import main
from stgt.synthetic.actions import LABELS
from stgt.synthetic.expressions import FIRST, sample_blend, sample_expression
from stgt.synthetic.heads import generator, sample_identity
from stgt.synthetic.rendering import FaceRenderer
from stgt.synthetic.writing import SynthesisConfig, at_apex, draw_blend, draw_curve, load_curve, make_clip, synthesize

SMALL = {"subjects": 1, "takes": 1, "frames": 8, "size": 96}


@pytest.fixture(scope="module")
def stills(tmp_path_factory, head_data):
    """Blended stills of one subject."""
    folder = tmp_path_factory.mktemp("stills")
    config = SynthesisConfig(out=str(folder), workers=1, stills="png", blends=0.9, **SMALL)
    assert synthesize(config).made == 8
    return config, folder


def test_stills_are_read_with_their_shares(stills):
    config, folder = stills
    rows = {row["clip"]: row for row in csv.DictReader((folder / "labels.csv").open())}
    assert list(next(iter(rows.values()))) == [
        *("clip", "subject", "label", "take", "age", "gender", "ancestry", "intensity", "speaking", "shares")
    ]
    listing = load_card("synthetic-stills").find_clips(folder)
    assert listing.clips_per_class == dict.fromkeys(load_card("synthetic-stills").classes, 1)
    for clip in listing.clips:
        assert (clip.kind, clip.aligned) == ("image", False)
        assert sum(clip.shares.values()) == pytest.approx(1)
        assert max(clip.shares, key=clip.shares.get) == clip.label
        curve = load_curve(folder / "actions" / clip.subject / f"{clip.source.stem}.safetensors")
        assert len(curve) == 1
        shown = dict(zip(LABELS[1:], curve.shown[0, 1:], strict=True))
        total = sum(shown.values())
        for label, share in clip.shares.items():
            if label != "neutral":
                assert shown[label] / total == pytest.approx(share, abs=2e-3), "what the mesh shows is what is written"
    assert len([clip for clip in listing.clips if len(clip.shares) == 2]) >= 4
    assert synthesize(config).made == 0


def test_a_still_is_the_apex_of_the_clip_of_the_same_seed(head_data):
    clips, stills = SynthesisConfig(**SMALL), SynthesisConfig(stills="jpeg", **SMALL)
    renderer = FaceRenderer((96, 96))
    ((picture, of_picture),) = make_clip(stills, 0, "surprise", 0, renderer)
    frames, curves = zip(*make_clip(clips, 0, "surprise", 0, renderer), strict=True)
    assert np.array_equal(picture, frames[curves[0].apex])
    assert np.array_equal(of_picture.weights[0], curves[0].weights[curves[0].apex])
    assert at_apex(curves[0]).times == [curves[0].apex / 16]


def test_jpeg_and_the_usual_values(tmp_path, head_data, capsys):
    arguments = ["--out", str(tmp_path / "made"), "--subjects", "1", "--takes", "1", "--size", "64", "--workers", "1"]
    assert main(["--stills", "jpeg", *arguments]) == 0
    assert "8 pictures in" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "made/pictures/subject_000/fear_0.jpg"))
    assert picture.shape == (64, 64, 3)
    assert "shares" not in (tmp_path / "made/labels.csv").read_text()
    with pytest.raises(DatasetError, match="holds clips of other settings .*stills jpeg"):
        main(["--stills", *arguments])
    with pytest.raises(DatasetError, match="holds clips of other settings"):
        main(["--stills", "jpeg", "--blends", *arguments])


def test_without_blends_nothing_changes_and_with_them_all_else_stays(head_data):
    """The same performance, except for the second expression."""
    plain, blended = SynthesisConfig(**SMALL), SynthesisConfig(blends=1.0, **SMALL)
    who = sample_identity(0, 0, head_data.local_labels)
    _, curve = draw_curve(plain, who, 0, "happiness", 0)
    drawn = sample_expression("happiness", generator(0, "clip", 0, "happiness", 0), 8, 16.0, resting=who.resting)
    assert np.array_equal(curve.weights, drawn.weights)
    assert draw_blend(plain, 0, "happiness", 0) == (None, None)
    assert plain.settings() == {
        **{"seed": 0, "frames": 8, "frame_rate": 16.0, "size": 96},
        **{"speech": 0.3, "least_intensity": 0.3},
    }
    assert SynthesisConfig(stills="png").out == "data/synthetic-stills"

    blend, _ = draw_blend(blended, 0, "happiness", 0)
    _, both = draw_curve(blended, who, 0, "happiness", 0)
    second = both.shown[:, LABELS.index(blend.other)]
    first = both.shown[:, LABELS.index("happiness")]
    assert np.allclose(second, first * (1 - blend.share) / blend.share, rtol=1e-4)
    assert second.max() > 0.05
    alone = draw_curve(dataclasses.replace(blended, blends=1e-9), who, 0, "happiness", 0)[1]
    assert np.array_equal(both.speaking, alone.speaking)
    assert np.array_equal(first, alone.shown[:, LABELS.index("happiness")])


def test_blends_are_of_two_expressions_that_are_not_neutral():
    rng = np.random.default_rng(0)
    assert all(sample_blend("neutral", rng, 1.0) is None for _ in range(20))
    drawn = [sample_blend("fear", rng, 0.5) for _ in range(400)]
    found = [blend for blend in drawn if blend]
    assert 160 < len(found) < 240
    assert {blend.other for blend in found} == set(LABELS) - {"neutral", "fear"}
    assert FIRST[0] <= min(blend.share for blend in found) < 0.56
    assert 0.9 < max(blend.share for blend in found) <= FIRST[1]


def test_shares_that_are_no_numbers_are_named(stills, tmp_path):
    _, folder = stills
    text = (folder / "labels.csv").read_text().splitlines()
    text[1] = text[1].rpartition(",")[0] + ",neutral=most"
    text[2] = text[2].rpartition(",")[0] + ",anger=0.0 fear=0"
    text[3] = text[3].rpartition(",")[0] + ","
    (tmp_path / "labels.csv").write_text("\n".join(text))
    (tmp_path / "pictures").symlink_to(folder / "pictures")
    listing = load_card("synthetic-stills").find_clips(tmp_path)
    assert len(listing) == 6
    notes = "\n".join(listing.notes)
    assert "votes that are not numbers: 1 clip left out" in notes
    assert "votes that sum to zero: 1 clip left out" in notes
    assert next(clip for clip in listing.clips if clip.label == "contempt").shares is None
