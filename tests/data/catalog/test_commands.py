"""The commands ``stgt datasets`` and ``stgt prepare``."""

import shutil

import pytest

from stgt import datasets, prepare
from stgt.errors import DatasetError, StgtError


def test_all_cards_in_short(capsys, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STGT_DATA", str(tmp_path))
    place("CREMA-D/VideoFlash/1001_DFA_ANG_XX.flv")
    place("CK+/Emotion/S005/001/S005_001_00000011_emotion.txt")
    assert datasets.main([]) == 0
    shown = {text.split()[0]: text for text in capsys.readouterr().out.split("\n\n")}
    assert "1 clip, 1 subject" in shown["crema-d"]
    assert "ODbL" in shown["crema-d"]
    assert "not found" in shown["ravdess"]
    assert str(tmp_path / "RAVDESS") in shown["ravdess"]
    assert "zenodo" in shown["ravdess"]
    assert "half copied" in shown["ck+"], "a fault of one dataset does not hide the others"
    assert "--root" in shown["folder"]


def test_one_card_in_full(capsys):
    assert datasets.main(["ck+"]) == 0
    text = capsys.readouterr().out
    for wanted in (
        "327 clips, 118 subjects, 7 classes",
        "10-fold (default)",
        "DGNN",
        "96.02",
        "@inproceedings",
        "Emotion/",
    ):
        assert wanted in text


def test_variants_and_what_nobody_could_check(capsys):
    assert datasets.main(["dfew"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "11,697 clips, subjects unknown, 7 classes" in text
    assert "dfew@original: the original videos" in text
    assert "(unverified)" in text


def test_misuse_of_the_commands():
    with pytest.raises(DatasetError, match="name it"):
        datasets.main(["--root", "somewhere"])
    with pytest.raises(StgtError, match="did you mean --dataset"):
        prepare.main(["--datset", "ck+"])


def test_prepare_says_what_came_of_it(capsys, tmp_path, rendered_face_clip, place):
    place("mine/happy/b_1.mp4", b"")
    shutil.copy(rendered_face_clip, tmp_path / "mine/happy/a_1.mp4")
    options = ["--dataset", "folder", "--root", str(tmp_path / "mine"), "--subject_pattern", "/(.)_"]
    assert prepare.main([*options, "--cache", str(tmp_path / "cache"), "--workers", "1"]) == 0
    out, err = capsys.readouterr()
    assert "skipped: happy/b_1:" in out
    assert f"1 clip prepared in {tmp_path / 'cache'}, 1 skipped, unreadable" in out
    assert "preparing 2/2 clips, 1 broken" in err
