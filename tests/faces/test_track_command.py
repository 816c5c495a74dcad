"""``stgt track`` as a user meets it."""

import subprocess
import sys

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.faces.tracks import LandmarkTrack
from stgt.faces.video import open_source
from stgt.track import main


def test_a_track_and_a_preview(rendered_face_clip, face_track, face_frames, tmp_path, capsys):
    output, preview = tmp_path / "new" / "t.safetensors", tmp_path / "p.mp4"
    assert main([str(rendered_face_clip), "-o", str(output), "--preview", str(preview)]) == 0
    track = LandmarkTrack.load(output)
    assert np.array_equal(track.points, face_track.points)
    source = open_source(preview)
    assert source.image_size == (320, 320)
    frames = list(source)
    np.testing.assert_allclose([now_s for now_s, _ in frames], track.times, atol=1e-4)
    x, y = np.round(track.points[12, 168, :2]).astype(int)
    drawn, plain = frames[12][1].astype(int), face_frames[12][1].astype(int)
    assert np.abs(drawn - plain)[y - 20 : y + 20, x - 20 : x + 20].mean() > 5
    assert np.abs(drawn - plain)[:60, :60].mean() < 5
    printed = capsys.readouterr().out
    assert "24 frames of 320x320 in 1.44 s (16.00 Hz); a face in 100.0% of them" in printed
    assert str(output) in printed


def test_the_default_name_lies_in_the_current_folder(clips, tmp_path, monkeypatch, caplog):
    path = clips.write("nobody.mp4", clips.numbered(3))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main([str(path), "--preview", "p.mp4"]) == 0
    assert LandmarkTrack.load("nobody.track.safetensors").valid_share == 0
    assert len(list(open_source("p.mp4"))) == 3
    assert "no face was found in any of its 3 frames" in caplog.text


def test_an_image_folder_has_the_rate_that_is_given(face_frames, tmp_path):
    import cv2

    for index, (_, rgb) in enumerate(face_frames[:3]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), rgb[..., ::-1])
    assert main([str(tmp_path), "--frame-rate", "5", "-o", str(tmp_path / "t.safetensors")]) == 0
    assert LandmarkTrack.load(tmp_path / "t.safetensors").times.tolist() == [0, 0.2, 0.4]


def test_bad_input_is_one_sentence_and_writes_nothing(clips, tmp_path):
    (tmp_path / "zero.mp4").touch()
    video = clips.write("a.mp4", clips.numbered(3))
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    cases = {
        "no such file": [tmp_path / "missing.mp4"],
        "empty": [tmp_path / "zero.mp4"],
        "did you mean --preview": [video, "--previw", "x.mp4"],
        "is a folder": [video, "-o", tmp_path],
        "cannot be written": [video, "-o", tmp_path / "file" / "t.safetensors"],
        "written as .mp4": [video, "-o", tmp_path / "t.safetensors", "--preview", tmp_path / "p.gif"],
        "no frame lies": [video, "-o", tmp_path / "t.safetensors", "--start", "50"],
    }
    for text, arguments in cases.items():
        with pytest.raises(StgtError, match=text) as raised:
            main([str(argument) for argument in arguments])
        assert "\n" not in str(raised.value)
    assert sorted(tmp_path.iterdir()) == before


def test_the_module_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "stgt.track", str(tmp_path / "missing.mp4")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip() == f"stgt: error: {tmp_path / 'missing.mp4'}: there is no such file or folder"
