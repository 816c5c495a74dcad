"""CK+ in its exact layout on disk, through all ten folds."""

import csv
import json
from pathlib import Path

import cv2
import pytest

from stgt.faces.video import open_source
from stgt.train import main as train

#: Subject ids as CK+ has them: with gaps, and one of them without a single label.
SUBJECTS = ("S005", "S010", "S011", "S014", "S022", "S026", "S028", "S029", "S032", "S034", "S035", "S037")
UNLABELLED = "S022"
HAPPY, SURPRISE = 5, 7
#: What is drawn in reports is looked at in test_train.py and test_report.py.
pytestmark = pytest.mark.usefixtures("figures_are_blank")


@pytest.fixture
def ck_plus(tmp_path, rendered_face_clip) -> Path:
    """CK+ with two sequences a subject: 640x490 grey pictures, neutral to apex, and the label files of some."""
    root = tmp_path / "CK+"
    with open_source(rendered_face_clip) as source:
        frames = [rgb for _, rgb in source]
    pictures = [cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (490, 490)) for rgb in frames]
    pictures = [cv2.copyMakeBorder(picture, 0, 0, 75, 75, cv2.BORDER_REPLICATE) for picture in pictures]
    for subject in SUBJECTS:
        for sequence, code, shown in (("001", HAPPY, pictures[::6]), ("002", SURPRISE, pictures[:12:3])):
            images = root / "cohn-kanade-images" / subject / sequence
            images.mkdir(parents=True)
            for number, picture in enumerate(shown, start=1):
                cv2.imwrite(str(images / f"{subject}_{sequence}_{number:08d}.png"), picture)
            labels = root / "Emotion" / subject / sequence
            labels.mkdir(parents=True)
            if subject != UNLABELLED:
                name = f"{subject}_{sequence}_{len(shown):08d}_emotion.txt"
                (labels / name).write_text(f"   {code:.7e}\n")
    return root


def test_all_ten_folds_by_the_rank_of_labelled_subjects(ck_plus, tmp_path, capsys):
    small = [
        "--model.width",
        "8",
        "--layout",
        "landmarks68",
        "--epochs",
        "1",
        "--batch_size",
        "8",
        "--window.frames",
        "8",
    ]
    places = ["--root", str(ck_plus), "--cache", str(tmp_path / "cache"), "--output", str(tmp_path), "--name", "run"]
    train(["--dataset", "ck+", *small, *places])
    printed = capsys.readouterr().out
    assert "22 clips, 11 subjects" in printed
    with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
        fold_of = {row["subject"]: int(row["fold"]) for row in csv.DictReader(file)}
    labelled = [subject for subject in SUBJECTS if subject != UNLABELLED]
    assert fold_of == {subject: rank % 10 for rank, subject in enumerate(labelled)}
    for fold in range(10):
        meta = json.loads((tmp_path / "run" / "stgt" / f"fold_{fold}" / "model.json").read_text())
        tested = {subject for subject, index in fold_of.items() if index == fold}
        assert set(meta["extra"]["training_subjects"]) == set(labelled) - tested
    page = (tmp_path / "run" / "report.html").read_text()
    assert "DGNN" in page
