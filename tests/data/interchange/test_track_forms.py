"""``stgt track`` writes tracks for other programs, and theirs in other forms."""

import numpy as np
import pytest

from stgt.data.interchange import read_tracks, write_tracks
from stgt.errors import StgtError
from stgt.track import main


def test_a_video_as_csv_and_as_npz(rendered_face_clip, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(rendered_face_clip), "--to", "csv", "--end", "0.5"]) == 0
    assert "track    sample.csv" in capsys.readouterr().out
    csv = read_tracks("sample.csv")
    assert main([str(rendered_face_clip), "-o", "s.npz", "--end", "0.5"]) == 0
    npz = read_tracks("s.npz")
    assert len(csv) == len(npz) == 9
    assert npz.known is None
    assert npz.has_blendshapes
    assert np.abs(csv.points[:, csv.known, :2] - npz.points[:, csv.known, :2]).max() < 1e-4


def test_one_form_from_another(track, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tracks(track, "face.csv")
    assert main(["face.csv", "--to", "npz", "--start", "0.4"]) == 0
    out = capsys.readouterr().out
    assert "face.csv: 40 frames in 1.56 s (25.00 Hz); a face in 92.5% of them; 68 landmarks, no blendshapes" in out
    assert main(["face.npz", "--frame-rate", "50"]) == 0
    assert read_tracks("face.track.safetensors").times[1] == 0.02


def test_bad_input_is_one_sentence(track, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tracks(track, "face.csv")
    before = sorted(tmp_path.iterdir())
    for options, sentence in (
        (["face.csv", "--to", "xml"], "--to is 'xml'; it is one of safetensors, csv, npz"),
        (["face.csv", "-o", "face.txt"], "written as .safetensors, .csv or .npz"),
        (["face.csv", "-o", "face.npz", "--to", "csv"], "give one of the two"),
        (["face.csv", "--to", "csv"], "is the track itself"),
        (["face.csv", "--to", "npz", "--preview", "p.mp4"], "needs the video"),
        (["face.csv", "--to", "npz", "--start", "9"], "no frame lies"),
        (["none.csv", "--to", "npz"], "no such file"),
    ):
        with pytest.raises(StgtError, match=sentence) as raised:
            main(options)
        assert "\n" not in str(raised.value)
    assert sorted(tmp_path.iterdir()) == before
