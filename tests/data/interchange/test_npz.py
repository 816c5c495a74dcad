"""npz in the manner of pyskl: all of a track comes back, what other programs write is read, nothing is unpickled."""

import logging
import pickle
from dataclasses import replace

import numpy as np
import pytest

from stgt.data.interchange import read_tracks, write_tracks
from stgt.errors import SourceError, StgtError
from stgt.graphs.aligned import align_track
from stgt.graphs.layout import load_layout

LAYOUT = load_layout("landmarks68")


def keypoints(track, landmarks=slice(None), dimensions=3):
    """(1, T, V, C) as another program would save them."""
    return track.points[None][:, :, landmarks, :dimensions]


def test_our_track_comes_back_to_the_last_bit(track, tmp_path):
    write_tracks(track, tmp_path / "t.npz", label="happiness")
    read = read_tracks(tmp_path / "t.npz")
    for name in ("points", "times", "valid", "blendshapes", "transforms"):
        assert np.array_equal(getattr(read, name), getattr(track, name)), name
    assert read.image_size == track.image_size
    assert read.known is None
    with np.load(tmp_path / "t.npz", allow_pickle=False) as stored:
        assert stored["keypoint"].shape == (1, 50, 478, 3)
        assert stored["keypoint_score"].shape == (1, 50, 478)
        assert stored["keypoint_score"][0, :, 0].tolist() == [1.0] * 47 + [0.0] * 3
        assert (str(stored["frame_dir"]), str(stored["label"]), int(stored["total_frames"])) == (
            "made",
            "happiness",
            50,
        )
        assert stored["img_shape"].tolist() == stored["original_shape"].tolist() == [480, 640]


def test_68_points_are_written_in_their_own_order(track, tmp_path):
    write_tracks(track, tmp_path / "t.csv")
    write_tracks(read_tracks(tmp_path / "t.csv"), tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as stored:
        assert stored["keypoint"].shape == (1, 50, 68, 3)
        assert stored["landmarks"].tolist() == LAYOUT.landmarks.tolist()
    csv, npz = read_tracks(tmp_path / "t.csv"), read_tracks(tmp_path / "t.npz")
    np.testing.assert_array_equal(npz.points, csv.points)


@pytest.mark.parametrize(("landmarks", "known"), [(slice(468), 468), (LAYOUT.landmarks, 68)])
def test_what_other_programs_save(track, tmp_path, landmarks, known):
    """MediaPipe without irises, or 68 points of a 2-D landmarker; a score of zero is a frame without a face."""
    flat = known == 68
    points = keypoints(track, landmarks, 2 if flat else 3).copy()
    points[:, ~track.valid] = 55.0
    score = np.broadcast_to(track.valid[None, :, None], points.shape[:3]).astype(np.float32)
    np.savez(tmp_path / "t.npz", keypoint=points, keypoint_score=score, img_shape=(480, 640), total_frames=50)
    with pytest.raises(SourceError, match="give the frame rate"):
        read_tracks(tmp_path / "t.npz")
    read = read_tracks(tmp_path / "t.npz", 25)
    assert len(read.known) == known
    assert read.has_depth != flat
    assert np.array_equal(read.valid, track.valid)
    assert read.image_size == (640, 480)
    nodes, full = align_track(read, LAYOUT), align_track(track, LAYOUT)
    if flat:
        assert np.abs(nodes.points - full.points)[..., :2].max() < 0.03
    else:
        np.testing.assert_allclose(nodes.points, full.points, atol=1e-6)


def test_of_several_people_the_most_frequent(track, tmp_path, caplog):
    points = np.concatenate([keypoints(track) * 0.4, keypoints(track), np.zeros_like(keypoints(track))])
    points[0, 5:] = 0
    np.savez(tmp_path / "t.npz", keypoint=points, timestamps=track.times)
    with caplog.at_level(logging.WARNING, "stgt"):
        read = read_tracks(tmp_path / "t.npz")
    assert np.array_equal(read.points, track.points)
    assert "shows 2 people: person 1 is taken, seen in 47 frames; left out: 0" in caplog.text


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_is_ever_unpickled(tmp_path):
    ran = tmp_path / "ran"
    np.savez(tmp_path / "object.npz", keypoint=np.array([Bomb(ran)], dtype=object), allow_pickle=True)
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb(ran)))
    for name in ("object.npz", "raw.npz"):
        with pytest.raises(SourceError, match="pickled objects"):
            read_tracks(tmp_path / name, 25)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"keypoint": None}, "has no array keypoint"),
        ({"keypoint": np.zeros((1, 0, 478, 3))}, "has no frame"),
        ({"keypoint": np.zeros((50, 478))}, "keypoint has the shape"),
        ({"keypoint": np.ones((1, 50, 17, 2))}, "17 points a face; 478, 468"),
        ({"keypoint": np.full((1, 50, 478, 3), "x")}, "holds no numbers"),
        ({"keypoint_score": np.ones((1, 3, 478))}, "keypoint_score has the shape"),
        ({"timestamps": np.arange(3.0)}, "timestamps has the shape"),
        ({"timestamps": -np.arange(50.0)}, "never decrease"),
        ({"img_shape": np.array(480)}, "img_shape is"),
        ({"blendshapes": np.ones((50, 51))}, "blendshapes has the shape"),
        ({"landmarks": np.arange(1, 479)}, "landmarks go from 0 to 477"),
        ({"landmarks": np.zeros(478)}, "one landmark for each"),
    ],
)
def test_bad_arrays_are_one_sentence(track, tmp_path, change, sentence):
    arrays = {"keypoint": keypoints(track), "timestamps": track.times} | change
    np.savez(tmp_path / "b.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(SourceError, match=sentence) as raised:
        read_tracks(tmp_path / "b.npz")
    assert "\n" not in str(raised.value)


def test_a_few_points_can_be_read_though_no_layout_fits(track, tmp_path):
    few = [33, 263, 1, 61, 291]
    np.savez(tmp_path / "f.npz", keypoint=keypoints(track, few, 2), timestamps=track.times, landmarks=few)
    read = read_tracks(tmp_path / "f.npz")
    assert read.known.tolist() == sorted(few)
    assert np.array_equal(read.valid, track.valid)
    with pytest.raises(StgtError, match="no layout fits"):
        align_track(read, LAYOUT)


def test_scores_and_shares_are_not_taken_for_depth_and_pixels(track, tmp_path):
    points = keypoints(track).copy()
    points[..., 2] = 0.9
    np.savez(tmp_path / "score.npz", keypoint=points, timestamps=track.times)
    with pytest.raises(SourceError, match="it is a score, not depth"):
        read_tracks(tmp_path / "score.npz")
    np.savez(tmp_path / "shares.npz", keypoint=keypoints(track) / (640, 480, 640), timestamps=track.times)
    with pytest.raises(SourceError, match="shares of the picture"):
        read_tracks(tmp_path / "shares.npz")


def test_damaged_files(track, tmp_path):
    write_tracks(track, tmp_path / "t.npz")
    whole = (tmp_path / "t.npz").read_bytes()
    for content, sentence in (
        (b"", "empty"),
        (whole[: len(whole) // 2], "damaged"),
        (b"PK\x03\x04nothing", "damaged"),
        (b"a text", "not an npz"),
    ):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(SourceError, match=sentence):
            read_tracks(tmp_path / "b.npz")


def test_stgts_own_file_is_a_track_too(track, tmp_path):
    write_tracks(track, tmp_path / "t.safetensors")
    assert np.array_equal(read_tracks(tmp_path / "t.safetensors").points, track.points)
    assert read_tracks(tmp_path / "t.safetensors", 50).times[1] == 0.02
    unknown = replace(track, points=np.where(np.isin(np.arange(478), LAYOUT.landmarks)[:, None], track.points, np.nan))
    write_tracks(unknown, tmp_path / "u.safetensors")
    assert len(read_tracks(tmp_path / "u.safetensors").known) == 68
