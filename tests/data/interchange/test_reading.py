"""What a model makes of tracks that know less than MediaPipe does."""

from dataclasses import replace

import numpy as np
import pytest

from stgt.data.interchange import read_tracks, write_tracks
from stgt.errors import StgtError
from stgt.graphs.aligned import align_track
from stgt.graphs.layout import load_layout
from stgt.graphs.neutral import NeutralEstimator


def answers(reader, track, neutral=None):
    """(N, K) probabilities of the windows of a track."""
    return np.array([window.probabilities for window in reader.predict_windows(track, neutral=neutral)])


def test_the_same_answer_from_csv(track, tmp_path, make_reader):
    reader = make_reader()
    write_tracks(track, tmp_path / "t.csv")
    read = read_tracks(tmp_path / "t.csv")
    known = replace(
        track,
        points=np.where(np.isnan(read.points), np.nan, track.points),
        blendshapes=read.blendshapes,
    )
    expected = answers(reader, known)
    assert np.ptp(expected, axis=0).max() > 0.02, "windows get different answers"
    np.testing.assert_allclose(answers(reader, read), expected, atol=1e-4)
    # With the whole mesh 23 landmarks bear the alignment, of 68 points eight: near, but not the same.
    layout = load_layout("landmarks68")
    rest = reader.windows.neutral(align_track(track, layout), np.inf)
    near = np.abs(answers(reader, read, rest) - answers(reader, track, rest)).max()
    assert 0 < near < 0.05


def test_the_neutral_face_without_blendshapes_is_the_mean(track, tmp_path):
    layout = load_layout("landmarks68")
    write_tracks(track, tmp_path / "t.csv")
    aligned = align_track(read_tracks(tmp_path / "t.csv"), layout)
    face = NeutralEstimator(layout).update(aligned.points, aligned.blendshapes, aligned.times, aligned.valid)
    weight = 0.04 * aligned.valid.sum()  # each frame lasts 40 ms; the average face counts for 0.3 s
    mean = aligned.points[aligned.valid].mean(axis=0)
    expected = (weight * mean + 0.3 * layout.reference) / (weight + 0.3)
    np.testing.assert_allclose(face.nodes, expected, atol=2e-3)
    assert np.isfinite(face.nodes).all()


def test_a_model_that_needs_more_says_so(track, tmp_path, make_reader):
    write_tracks(track, tmp_path / "t.csv")
    read = read_tracks(tmp_path / "t.csv")
    with pytest.raises(StgtError, match="knows 68 landmarks, and .* layout mediapipe146 .* model.layout=landmarks68"):
        answers(make_reader(layout="mediapipe146"), read)
    with pytest.raises(StgtError, match="actions needs blendshapes.*model.streams=geometry"):
        answers(make_reader(streams="geometry,actions"), read)
    few = replace(track, points=np.where(np.arange(478)[:, None] < 20, track.points, np.nan))
    with pytest.raises(StgtError, match="no layout fits"):
        answers(make_reader(), few)


def test_a_track_without_any_face(make_reader, track, tmp_path):
    nobody = replace(track, valid=np.zeros(len(track), bool), points=np.zeros_like(track.points))
    for name in ("t.csv", "t.npz"):
        write_tracks(nobody, tmp_path / name)
        read = read_tracks(tmp_path / name)
        assert not read.valid.any()
        assert np.isnan(answers(make_reader(), read)).all()
