"""``stgt datasets check``: what is wrong with a copy, and that nothing is where nothing is."""

import json
import shutil

import cv2
import numpy as np
import pytest

from stgt import datasets
from stgt.errors import DatasetError, StgtError

CARD = """
title = "My study"
licence = "internal"
how_to_get = "Ask the lab."
tree = "study/P01/happy_1.mp4"
classes = ["happiness", "sadness"]
default_protocol = "2-fold"
known_broken = ["P03/sad_1"]

[labels]
happy = "happiness"
sad = "sadness"

[counts]
clips = 8
subjects = 4
classes = {happiness = 4, sadness = 4}
folds = {"2-fold" = [4, 4]}

[[layouts]]
name = "videos"
clips = "*/*"
match = '(?P<clip_id>(?P<subject>P\\d+)/(?P<label>[a-z]+)_\\d+)\\.\\w+$'

[[layouts.ignore]]
match = 'extra'
because = "an extra that the protocol does not use"

[protocols."2-fold"]
rule = "rank_mod"
folds = 2
summary = "rank of subject mod 2"
"""


def write_video(path, seed, count=6, size=(160, 120)):
    """A small video of coloured noise in large squares, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, size)
    generator = np.random.default_rng(seed)
    for _ in range(count):
        writer.write(cv2.resize(generator.integers(0, 255, (6, 8, 3), np.uint8), size, interpolation=cv2.INTER_NEAREST))
    writer.release()
    return path


@pytest.fixture
def study(tmp_path):
    """A whole copy of four subjects with two clips each, and its card."""
    root = tmp_path / "study äö"
    for subject in range(1, 5):
        for label in ("happy", "sad"):
            write_video(root / f"P{subject:02}" / f"{label}_1.mp4", seed=2 * subject + (label == "sad"))
    (tmp_path / "study.toml").write_text(CARD, encoding="utf-8")
    return root


@pytest.fixture
def check(study, tmp_path, capsys):
    """Runs the command; gives its exit code and what it printed, without line breaks."""

    def run(*options, root=study):
        arguments = ["check", str(tmp_path / "study.toml"), "--root", str(root), "--workers", "1", *options]
        code = datasets.main(arguments)
        out, err = capsys.readouterr()
        return code, " ".join(out.split()), err

    return run


def test_a_whole_copy_has_nothing_wrong(check):
    code, out, err = check()
    assert code == 0
    assert "8 clips, 4 subjects, 2 classes (happiness 4, sadness 4)" in out
    assert "2-fold: 2 folds, testing 4 4 clips" in out
    assert "7 of 7 clips readable, 42 frames, 160x120 (7)" in out
    assert "1 clip broken in the release itself (P03/sad_1)" in out
    assert "nothing is wrong" in out
    assert "WRONG" not in out
    assert "7/7" in err, "progress is shown"


def test_what_is_missing_and_what_is_too_much(check, study, tmp_path):
    shutil.rmtree(study / "P02")
    (study / "P04/sad_1.mp4").unlink()
    code, out, _ = check("--report", str(tmp_path / "report.txt"))
    assert code == 1
    assert "WRONG 5 of 8 clips are there (not there: P04/sad_1): copy the rest" in out
    assert "3 of 4 subjects are there (not there: P02)" in out
    assert "happiness 3 of 4, sadness 2 of 4" in out
    assert "3 things wrong" in out
    report = (tmp_path / "report.txt").read_text(encoding="utf-8")
    assert "WRONG 3 of 4 subjects" in report
    assert "\n  P02\n" in report
    for number in range(10, 14):
        write_video(study / f"P{number}/happy_1.mp4", seed=number)
    assert "9 clips are there, where a complete copy has 8" in check()[1]


def test_folds_of_other_sizes_than_published(check, study):
    (study / "P01/sad_1.mp4").rename(study / "P02/sad_2.mp4")
    code, out, _ = check("--sample", "0")
    assert code == 1
    assert "protocol 2-fold: the folds test 3 5 clips, where 4 4 are published: the names or lists of this copy" in out
    assert "1 thing wrong" in out


def test_files_that_cannot_be_clips(check, study):
    (study / "P01/happy_1.mp4").write_bytes(b"")
    (study / "P01/sad_1.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    (study / "P02/happy_1.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    whole = write_video(study / "P02/sad_1.mp4", seed=99, count=200).read_bytes()
    from stgt.faces.video import VideoFile

    assert VideoFile(study / "P02/sad_1.mp4").frame_count == 200
    write_video(study / "P04/happy_1.mp4", seed=98, size=(48, 48))
    code, out, _ = check()
    assert code == 1
    assert "1 clip is empty (0 bytes) (P01/happy_1): copy again" in out
    assert "1 clip is a git-lfs pointer, not the file (P01/sad_1): run git lfs pull" in out
    assert "P02/happy_1.mp4 is not a video that can be read" in out
    assert "P04/happy_1.mp4: its pictures are 48x48, too small for landmarks" in out
    assert "4 things wrong" in out
    assert len(whole) > 1000


def test_a_video_that_was_cut_short(check, study, rendered_face_clip):
    """The index of an mp4 is moved to its start, where it survives the cut."""
    import av

    path = study / "P01/happy_1.mp4"
    with (
        av.open(str(rendered_face_clip)) as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, out, _ = check()
    assert code == 1
    assert "P01/happy_1.mp4 is cut short: " in out
    assert "of 24 frames can be decoded: copy it again" in out


def test_many_faults_of_one_kind_are_one_sentence(check, study):
    for path in study.glob("*/happy_1.mp4"):
        path.write_bytes(np.random.default_rng(len(path.as_posix())).bytes(3000 + int(path.parent.name[1:])))
    code, out, _ = check()
    assert code == 1
    assert "4 of 7 decoded clips cannot be used, such as" in out
    assert "1 thing wrong" in out


def test_one_file_under_two_names_is_a_leak(check, study):
    shutil.copy(study / "P01/happy_1.mp4", study / "P02/happy_1.mp4")
    code, out, _ = check("--sample", "0")
    assert code == 1
    assert "2 clips of different subjects or classes are the same file" in out
    assert "P01/happy_1 = P02/happy_1" in out


def test_what_does_not_belong_is_told(check, study):
    write_video(study / "P01/angry_1.mp4", seed=50)
    write_video(study / "P01/extra_1.mp4", seed=51)
    write_video(study / "P01/Readme.mp4", seed=52)
    code, out, _ = check("--sample", "2")
    assert code == 1
    assert "WRONG label that the card does not know: 1 clip left out (P01/angry_1.mp4: angry): correct the names" in out
    assert "note an extra that the protocol does not use: 1 clip left out (P01/extra_1.mp4)" in out
    assert "note not named as in this dataset: 1 clip left out (P01/Readme.mp4)" in out
    assert "2 of 2 clips readable" in out
    assert "1 thing wrong" in out


def test_folders_of_images(tmp_path, capsys):
    """Lists that name what is not there, pictures that no list names, empty and torn images, gaps."""
    root = tmp_path / "images"
    rng = np.random.default_rng(0)
    for clip in range(6):
        (root / f"clips/{clip:03}").mkdir(parents=True)
        for number in (1, 2, 3, 4, 5, 6, 7, 8):
            cv2.imwrite(str(root / f"clips/{clip:03}/{number}.png"), rng.integers(0, 255, (112, 112, 3), np.uint8))
    (root / "clips/001/4.png").unlink()
    (root / "clips/002/5.png").write_bytes(b"")
    (root / "clips/003/8.png").write_bytes(b"no image")
    (root / "train.csv").write_text("name,label\r\n0,joy\r\n1,joy\r\n2,calm\r\n9,calm\r\n")
    (root / "test.csv").write_text("name,label\r\n3,joy\r\n4,calm\r\n")
    card = {
        "title": "Pictures", "licence": "x", "how_to_get": "y", "tree": "z", "default_protocol": "official",
        "subjects": "none",
    }  # fmt: skip
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in card.items())
    text += """
[counts]
clips = 6
splits = {train = 4, test = 2}
[[layouts]]
kind = "images"
clips = "clips/{name}"
lists = [{file = "train.csv", split = "train"}, {file = "test.csv", split = "test"}]
[protocols.official]
rule = "official"
summary = "official split"
"""
    (tmp_path / "pictures.toml").write_text(text)
    arguments = ["check", str(tmp_path / "pictures.toml"), "--root", str(root), "--workers", "2"]
    assert datasets.main(arguments) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "1 clip that the dataset's own lists name missing (9): copy them again" in out
    assert "5 of 6 clips are there: copy the rest" in out
    assert "the counts of 1 split are not the published ones (train 3 of 4)" in out
    assert "note in no list, and so not used: 1 clip (clips/005)" in out
    assert "note 1: 1 image missing between its numbers" in out
    assert "4 clips, subjects unknown" not in out
    assert "5 clips, subjects unknown (each clip counts as one), 2 classes" in out
    assert "clips/002: 1 image empty (0 bytes), first 5.png" in out
    assert "clips/003/8.png cannot be read as an image" in out
    assert "official: 1 fold, testing 2 clips" in out
    (root / "test.csv").unlink()
    assert datasets.main(arguments) == 1
    assert "the split file" in capsys.readouterr().out


def test_a_face_is_looked_for_when_asked(tmp_path, capsys, rendered_face_clip):
    root = tmp_path / "mine"
    (root / "happy").mkdir(parents=True)
    shutil.copy(rendered_face_clip, root / "happy/a_1.mp4")
    write_video(root / "happy/b_1.mp4", seed=0)
    options = ["check", "folder", "--root", str(root), "--subject_pattern", "/(.)_", "--faces", "2", "--workers", "1"]
    assert datasets.main(options) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 of 2 clips readable" in out
    assert "a face in 1 of 2" in out
    assert "note no face is found in 1 clip of 2 (happy/b_1): some such clips are in any dataset" in out
    assert "how much a complete copy holds is not known" in out


def test_the_copy_is_wrong_but_the_question_is_not(check, study, tmp_path):
    """1 for a copy that cannot be used, an error (2) for what was asked."""
    (tmp_path / "nothing").mkdir()
    code, out, _ = check(root=tmp_path / "nothing")
    assert code == 1
    assert "holds no clip in the expected layout" in out
    assert datasets.main(["check", "folder", "--root", str(tmp_path / "nothing"), "--subject_pattern", "(.)_"]) == 1
    with pytest.raises(DatasetError, match="is not there"):
        check(root=tmp_path / "absent")
    with pytest.raises(DatasetError, match="--subject_pattern"):
        datasets.main(["check", "folder", "--root", str(study)])
    with pytest.raises(DatasetError, match="did you mean crema-d"):
        datasets.main(["check", "cremad"])
    with pytest.raises(DatasetError, match="--sample is -1"):
        check("--sample", "-1")
    with pytest.raises(StgtError, match="did you mean --sample"):
        check("--smaple", "3")
