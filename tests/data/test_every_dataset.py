"""Every dataset in miniature, with a face in its clips: scanned, checked, prepared, trained on and scored."""

import csv
import shutil
from pathlib import Path

import cv2
import pytest
from layout_trees import TREES, build

from stgt import datasets
from stgt.evaluate import main as evaluate
from stgt.faces.drawing import VideoWriter
from stgt.faces.video import open_source
from stgt.prepare import main as prepare
from stgt.train import main as train

#: What is drawn in reports is looked at in test_train.py and test_report.py.
pytestmark = pytest.mark.usefixtures("figures_are_blank")
SMALL = "--model.width 8 --model.blocks 2 --model.heads 1 --batch_size 8 --window.frames 4 --epochs 1"


@pytest.fixture(scope="module")
def face(tmp_path_factory, rendered_face_clip):
    """Writes a short clip of a face, as a video or as images, all of one content, so that one is extracted."""
    folder = tmp_path_factory.mktemp("face")
    with open_source(rendered_face_clip) as source:
        frames = [rgb[::2, ::2] for _, rgb in source][-6:]
    size = (frames[0].shape[1], frames[0].shape[0])
    with VideoWriter(folder / "clip.mp4", 16, size) as writer:
        for rgb in frames:
            writer.write(rgb)
    for number, rgb in enumerate(frames, start=1):
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def write(label: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            shutil.copy(folder / "clip.mp4", path)
        else:
            path.mkdir()
            for image in folder.glob("*.jpg"):
                shutil.copy(image, path)

    return write


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def labels_of(predictions: Path) -> dict[str, str]:
    """Clip id -> its true label."""
    with predictions.open(encoding="utf-8") as file:
        return {row["clip_id"]: row["label"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("card", TREES)
def test_scanned_checked_prepared_trained_on_and_scored(card, tmp_path, face, cache, capsys):
    built = build(card, TREES[card][1][0], tmp_path / card, face)
    copy = ["--root", str(built.root)]
    assert datasets.main(["check", card, *copy, "--sample", "2", "--workers", "1"]) == 1, "a part of a dataset"
    assert f"{len(built.clips)} clips" in capsys.readouterr().out

    where = ["--dataset", card, *copy, "--cache", str(cache), "--workers", "1"]
    assert prepare(where) == 0
    assert f"{len(built.clips)} clips prepared" in capsys.readouterr().out

    train([*where, *SMALL.split(), "--fold", "0", "--output", str(tmp_path), "--name", "run"])
    tested = labels_of(tmp_path / "run/predictions.csv")
    assert tested
    assert tested.items() < {clip_id: label for clip_id, (_, label) in built.clips.items()}.items()

    (checkpoint,) = (tmp_path / "run").rglob("model.safetensors")
    evaluate(["--checkpoint", str(checkpoint), *where, "--output", str(tmp_path / "scored")])
    assert tested.items() <= labels_of(tmp_path / "scored/predictions.csv").items()
