"""CSV in OpenFace's columns: ours comes back as it was, theirs is read as they write it."""

import csv
import logging
import re
from dataclasses import replace

import numpy as np
import pytest

from stgt.data.interchange import read_tracks, write_tracks
from stgt.errors import SourceError, StgtError
from stgt.graphs.aligned import align_track
from stgt.graphs.layout import load_layout

LAYOUT = load_layout("landmarks68")
PIXELS = [f"{axis}_{point}" for axis in "xy" for point in range(68)]
MILLIMETRES = [f"{axis}_{point}" for axis in "XYZ" for point in range(68)]


def face_68(time_s: float = 0.0, size: float = 100.0, left: float = 300.0) -> np.ndarray:
    """(68, 3) pixels of a face whose lower lip moves."""
    face = LAYOUT.reference * size + (left, 200, 0)
    face[57, 1] += 0.1 * size * np.sin(5 * time_s)
    return face


def write_like_openface(path, rows, depth=False):
    """A CSV as FeatureExtraction writes it: spaces after commas, gaze and action units besides.

    ``rows`` hold (frame, face, time, success, points (68, 3) in pixels).
    """
    names = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "pose_Tx", *PIXELS]
    names += [*(MILLIMETRES if depth else []), "AU01_r", "AU45_c"]
    lines = [", ".join(names)]
    for frame, face, time_s, success, points in rows:
        cells = [frame, face, f"{time_s:.3f}", 0.98 if success else 0.02, success, 0.1, 12.5]
        cells += [f"{cell:.1f}" for cell in points[:, :2].T.ravel()]
        if depth:  # a camera 600 mm away, 90 mm between the eyes
            cells += [f"{cell:.1f}" for cell in ((points - (320, 240, 0)) * 0.9 + (0, 0, 600)).T.ravel()]
        lines.append(", ".join(map(str, [*cells, 0.2, 0])))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def clip_rows(count=20, rate=25.0, face=0, **settings):
    return [(n + 1, face, n / rate, 1, face_68(n / rate, **settings)) for n in range(count)]


def test_our_track_comes_back(track, tmp_path):
    write_tracks(track, tmp_path / "t.csv")
    read = read_tracks(tmp_path / "t.csv")
    assert np.array_equal(read.valid, track.valid)
    np.testing.assert_allclose(read.times, track.times, atol=1e-6)
    assert read.known.tolist() == sorted(LAYOUT.landmarks)
    assert read.has_depth
    assert not read.has_blendshapes
    seen = np.ix_(np.flatnonzero(track.valid), LAYOUT.landmarks)
    assert np.abs(read.points[seen] - track.points[seen])[..., :2].max() < 1e-4, "four digits are written"
    depth = (read.points[seen] - track.points[seen])[..., 2]
    assert np.ptp(depth, axis=1).max() < 1e-3, "depth comes back but for where it begins"
    assert not read.points[~track.valid].any()
    # What the model reads is what it would read of the 68 points before they were written.
    same = replace(track, points=np.where(np.isnan(read.points), np.nan, track.points))
    nodes, expected = align_track(read, LAYOUT), align_track(same, LAYOUT)
    np.testing.assert_allclose(nodes.points, expected.points, atol=1e-5)
    assert np.array_equal(nodes.valid, track.valid)


def test_the_written_file_is_one_that_openface_users_know(track, tmp_path):
    write_tracks(track, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["frame", "face_id", "timestamp", "confidence", "success", *PIXELS, *MILLIMETRES]
    assert [row["frame"] for row in rows[:2]] == ["1", "2"]
    assert [row["success"] for row in rows[-4:]] == ["1", "0", "0", "0"]
    eyes = np.array([[float(rows[0][f"{axis}_{point}"]) for axis in "XYZ"] for point in (36, 45)])
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(90, abs=0.01), "millimetres, of a face of average size"
    assert 200 < eyes[0, 2] < 1000, "in front of the camera"


@pytest.mark.parametrize("depth", [False, True])
def test_openface_writes_spaces_failures_and_other_columns(tmp_path, depth, caplog):
    rows = clip_rows()
    rows[3] = (4, 0, 3 / 25, 0, np.zeros((68, 3)))
    rows[4] = (5, 0, 4 / 25, 1, np.full((68, 3), np.nan))
    del rows[10]  # a frame without any face has no row where several faces are followed
    read = read_tracks(write_like_openface(tmp_path / "of.csv", rows, depth))
    assert len(read) == 20
    assert np.flatnonzero(~read.valid).tolist() == [3, 4, 10]
    np.testing.assert_allclose(read.times, np.arange(20) / 25, atol=1e-3)
    assert read.has_depth == depth
    assert np.abs(read.points[0, LAYOUT.landmarks, :2] - face_68()[:, :2]).max() < 0.06
    nodes = align_track(read, LAYOUT)
    assert np.abs(nodes.points[nodes.valid] - LAYOUT.reference)[:, :48].max() < 0.02
    assert np.ptp(nodes.points[nodes.valid, 57, 1]) > 0.1, "the lip moves"
    assert (nodes.points[nodes.valid][..., 2] == LAYOUT.reference[:, 2]).all() == (not depth)
    assert not caplog.records


def test_of_several_faces_the_most_frequent_and_then_the_largest(tmp_path, caplog):
    small, large = clip_rows(12, face=3, size=40, left=80), clip_rows(12, face=7, size=120)
    with caplog.at_level(logging.WARNING, "stgt"):
        read = read_tracks(write_like_openface(tmp_path / "two.csv", sorted(small + large, key=lambda row: row[0])))
    assert read.valid.all()
    assert np.ptp(read.points[0, LAYOUT.landmarks, 0]) > 100
    assert "shows 2 faces: face 7 is taken, seen in 12 frames; left out: 3" in caplog.text
    with caplog.at_level(logging.WARNING, "stgt"):
        read = read_tracks(write_like_openface(tmp_path / "few.csv", small + large[4:7]))
    assert np.ptp(read.points[0, LAYOUT.landmarks, 0]) < 100
    assert "face 3 is taken" in caplog.text
    assert len(read) == 12


def test_the_rate_that_is_given_counts_more_than_the_files_own(tmp_path):
    path = write_like_openface(tmp_path / "a.csv", clip_rows(5))
    assert read_tracks(path, 10).times.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    still = [(n + 1, 0, 0.0, 1, face_68()) for n in range(5)]
    path = write_like_openface(tmp_path / "images.csv", still)
    assert len(read_tracks(path, 30)) == 5
    with pytest.raises(SourceError, match="same time; give the frame rate"):
        read_tracks(path)


def test_a_head_without_depth_is_turned_to_the_front(make_track, tmp_path):
    """The turn is taken back by a mean face's depth: most of it goes, which a flat alignment could not do."""
    track = make_track(turn_deg=25)
    path = tmp_path / "flat.csv"
    write_tracks(replace(track, points=track.points * np.float32([1, 1, np.nan])), path)
    assert "X_0" not in path.read_text().splitlines()[0]
    flat, full = align_track(read_tracks(path), LAYOUT), align_track(track, LAYOUT)
    assert np.abs(flat.points - full.points)[full.valid][..., :2].max() < 0.03
    mouth = np.corrcoef(flat.points[full.valid, 57, 1], full.points[full.valid, 57, 1])[0, 1]
    assert mouth > 0.98


def test_a_profile_without_depth_is_no_face(make_track, tmp_path):
    track = make_track(turn_deg=85)
    write_tracks(replace(track, points=track.points * np.float32([1, 1, np.nan])), tmp_path / "t.csv")
    read = read_tracks(tmp_path / "t.csv")
    nodes = align_track(read, LAYOUT)
    flat = align_track(replace(track, points=track.points * np.float32([1, 1, np.nan])), LAYOUT)
    assert 0.3 < nodes.valid.mean() < 0.9
    assert nodes.valid[0]
    for aligned in (nodes, flat):
        assert np.array_equal(aligned.valid, read.valid)
        assert np.isfinite(aligned.points).all()
        assert not aligned.points[~aligned.valid].any()


def broken(tmp_path, change):
    """The sentence that a changed file gives."""
    path = write_like_openface(tmp_path / "b.csv", clip_rows(4))
    lines = path.read_text(encoding="utf-8").splitlines()
    text = change(lines)
    path.write_bytes(text if isinstance(text, bytes) else "\n".join(text).encode())
    with pytest.raises(SourceError) as raised:
        read_tracks(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def changed(lines, line, column, text):
    cells = lines[line].split(", ")
    cells[lines[0].split(", ").index(column)] = text
    return [*lines[:line], ", ".join(cells), *lines[line + 1 :]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: b"", "is empty"),
        (lambda lines: lines[:1], "no row"),
        (lambda lines: [lines[0].replace("x_12", "ex_12"), *lines[1:]], "no column x_12; landmarks are x_0 to x_67"),
        (lambda lines: [lines[0].replace("x_", "X_"), *lines[1:]], "no column x_0, x_1, x_2 and"),
        (lambda lines: [*lines, lines[1].rsplit(",", 3)[0]], "line 6: .* cells under a header of"),
        (lambda lines: changed(lines, 2, "y_5", "left"), "line 3: 'left' in the column y_5 is not a number"),
        (lambda lines: changed(lines, 2, "frame", ""), "line 3: the column frame holds no number"),
        (lambda lines: changed(lines, 3, "timestamp", "0.001"), "line 4: the timestamps run backwards"),
        (lambda lines: changed(lines, 4, "frame", "90000000"), "leaps from"),
        (lambda lines: [*lines, lines[2]], "frame 2 of face 0 is there twice"),
        (lambda lines: b"\xff\xfe\x00x", "not a CSV file in UTF-8"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, change, sentence):
    assert re.search(sentence, broken(tmp_path, change))


def test_shares_of_the_picture_are_not_taken_for_pixels(tmp_path):
    rows = [(frame, face, time_s, ok, points / 600) for frame, face, time_s, ok, points in clip_rows(3)]
    path = tmp_path / "n.csv"
    write_like_openface(path, rows)
    with pytest.raises(SourceError, match="shares of the picture"):
        read_tracks(path)


def test_files_that_are_none(tmp_path, track):
    (tmp_path / "folder.csv").mkdir()
    for path, sentence in (
        (tmp_path / "missing.csv", "no such file"),
        (tmp_path / "folder.csv", "is a folder"),
        (tmp_path / "a.mp4", "not a file of tracks"),
    ):
        with pytest.raises(SourceError, match=sentence):
            read_tracks(path)
    with pytest.raises(SourceError, match="must be positive"):
        read_tracks(tmp_path / "missing.csv", 0)
    with pytest.raises(StgtError, match="written as"):
        write_tracks(track, tmp_path / "a.json")
