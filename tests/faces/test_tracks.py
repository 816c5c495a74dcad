"""LandmarkTrack: what it promises, and what comes back from disk."""

import errno
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from stgt.errors import CheckpointError
from stgt.faces.crops import CropSequence
from stgt.faces.tracks import LandmarkTrack

FIELDS = ("points", "times", "valid", "blendshapes", "transforms")


def test_a_track_comes_back_from_disk_as_it_was(face_track, tmp_path):
    face_track.save(tmp_path / "new" / "a.safetensors")
    loaded = LandmarkTrack.load(tmp_path / "new" / "a.safetensors")
    for name in FIELDS:
        assert np.array_equal(getattr(loaded, name), getattr(face_track, name))
        assert getattr(loaded, name).dtype == getattr(face_track, name).dtype
    assert (loaded.image_size, loaded.source) == (face_track.image_size, face_track.source)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.safetensors"]


def test_a_full_disk_keeps_the_old_file_and_its_reason(face_track, tmp_path, monkeypatch):
    face_track.save(tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()

    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        face_track.slice(0, 1).save(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_lengths_shares_and_rates(face_track):
    assert len(face_track) == 24
    assert face_track.duration_s == pytest.approx(23 / 16)
    assert face_track.frame_rate == pytest.approx(16)
    assert face_track.valid_share == 1.0
    half = replace(face_track, valid=np.arange(24) < 12)
    assert half.valid_share == 0.5
    empty = face_track.slice(100, 200)
    assert (len(empty), empty.duration_s, empty.valid_share, empty.frame_rate) == (0, 0.0, 0.0, 0.0)


def test_a_slice_holds_the_frames_of_its_time_range_with_both_ends(face_track):
    part = face_track.slice(0.25, 0.5)
    assert part.times.tolist() == [0.25, 0.3125, 0.375, 0.4375, 0.5]
    assert np.array_equal(part.points, face_track.points[4:9])
    assert len(face_track.slice(None, 0.5)) == 9
    assert len(face_track.slice(0.5)) == 16
    assert len(face_track.slice(0.51, 0.52)) == 0
    assert face_track.frame_range(0.25, 0.5) == (4, 9)


def test_a_track_that_contradicts_itself_cannot_be_made(face_track):
    with pytest.raises(ValueError, match=r"points has shape .* need"):
        replace(face_track, points=face_track.points[:3])
    with pytest.raises(ValueError, match="never decrease"):
        replace(face_track, times=face_track.times[::-1])
    with pytest.raises(ValueError, match="finite"):
        replace(face_track, times=np.where(face_track.times > 1, np.nan, face_track.times))
    with pytest.raises(ValueError, match="image_size"):
        replace(face_track, image_size=(0, 10))
    assert replace(face_track, points=face_track.points.astype(np.float64)).points.dtype == np.float32


@pytest.mark.parametrize("kind", [LandmarkTrack, CropSequence])
def test_files_that_are_no_track_are_told_in_one_sentence(kind, face_track, face_crops, tmp_path):
    good, other = (face_track, face_crops) if kind is LandmarkTrack else (face_crops, face_track)
    good.save(tmp_path / "good.safetensors")
    other.save(tmp_path / "other.safetensors")
    content = (tmp_path / "good.safetensors").read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["format_version"] = "99"
    changed = json.dumps(header).encode()
    (tmp_path / "version.safetensors").write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + size :])
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "text.safetensors").write_text("points, points, points")
    save_file({"weights": np.zeros(3)}, tmp_path / "weights.safetensors")
    wanted = {
        "missing": "no such file",
        "other": "is not",
        "version": "has format version 99, this program reads 1",
        "cut": "damaged or not",
        "empty": "damaged or not",
        "text": "damaged or not",
        "weights": "some other tensors",
    }
    for name, text in wanted.items():
        with pytest.raises(CheckpointError, match=text) as raised:
            kind.load(tmp_path / f"{name}.safetensors")
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(CheckpointError, match="is a folder"):
        kind.load(tmp_path)
