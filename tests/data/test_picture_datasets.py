"""Datasets of pictures in their exact layouts, with rendered faces: scanned, checked, prepared, trained and scored."""

import csv
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stgt import datasets
from stgt.command import run
from stgt.data.catalog.cards import load_card
from stgt.data.preparation.prepare import prepare_clips
from stgt.data.protocols import make_folds
from stgt.data.validation import describe_validation, inner_validation
from stgt.errors import DatasetError
from stgt.evaluate import main as evaluate
from stgt.faces.landmarker import FaceLandmarker
from stgt.faces.video import open_source
from stgt.prepare import main as prepare
from stgt.train import main as train

SMALL = "--model frames:test_resnet --model.frame_size 64 --batch_size 8"
#: One dataset is trained on by a model that reads landmarks and frames.
FUSED = "--streams geometry,frames --model.backbone test_resnet --model.width 8 --model.blocks 2 --model.heads 1"
LABELS = ("happiness", "sadness", "surprise")
#: A picture: (H, W, 3) uint8 by number, no two alike; 0 shows no face.
Face = Callable[[int], np.ndarray]


@pytest.fixture(scope="module")
def scene(rendered_face_clip) -> Face:
    """A face with the scene around it."""
    with open_source(rendered_face_clip) as source:
        frames = [rgb for _, rgb in source]
    noise = np.random.default_rng(0).integers(0, 255, frames[0].shape, np.uint8)

    def picture(number: int) -> np.ndarray:
        if number == 0:
            return noise
        return cv2.convertScaleAbs(frames[number % len(frames)], alpha=1 - 0.01 * number)

    return picture


@pytest.fixture(scope="module")
def face(scene) -> Face:
    """A face cut out, so that little else is in the picture."""
    with FaceLandmarker() as landmarker:
        points = landmarker.detect(0.0, scene(1)).points[:, :2]
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    middle, half = (low + high) // 2, int((high - low).max() * 0.5)
    rows, columns = (slice(middle[axis] - half, middle[axis] + half) for axis in (1, 0))
    return lambda number: cv2.resize(scene(number)[rows, columns], (100, 100), interpolation=cv2.INTER_AREA)


def write(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[:, :, ::-1])


def raf_db(root: Path, face: Face) -> None:
    """Aligned JPEGs, and a list of both sides; one picture of each side has no face that can be found."""
    codes = {"surprise": 1, "happiness": 4, "sadness": 5}
    lines = []
    for number in range(9):
        side, width = ("train", 5) if number < 6 else ("test", 4)
        name = f"{side}_{number % 6 + 1:0{width}}"
        write(root / f"basic/Image/aligned/{name}_aligned.jpg", face(0 if number % 6 == 2 else number + 1))
        lines.append(f"{name}.jpg {codes[LABELS[number % 3]]}")
    (root / "basic/EmoLabel").mkdir(parents=True)
    (root / "basic/EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")


def fer_plus(root: Path, face: Face, votes: list[list[int]] | None = None, pictures: int | None = None) -> None:
    """Pixels in one CSV, ten votes in the other; the last four rows are such as are left out."""
    kept = [[0, 8, 2, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 9, 0, 0, 0, 0, 0, 0], [0, 0, 6, 0, 0, 0, 3, 0, 1, 0]] * 4
    left_out = [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
        [0, 1, 1, 0, 0, 0, 0, 2, 6, 0],
        [3, 3, 4, 0, 0, 0, 0, 0, 0, 0],
        [0] * 10,
    ]
    rows = votes if votes is not None else [*kept, *left_out]
    usage = ["Training"] * 6 + ["PublicTest"] * 3 + ["PrivateTest"] * 3 + ["Training"] * len(rows)
    root.mkdir(parents=True)
    with (root / "fer2013.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["emotion", "pixels", "Usage"])
        for number in range(len(rows) if pictures is None else pictures):
            grey = cv2.cvtColor(cv2.resize(face(number + 1), (48, 48)), cv2.COLOR_RGB2GRAY)
            table.writerow([0, " ".join(map(str, grey.flat)), usage[number]])
    with (root / "fer2013new.csv").open("w", newline="") as file:
        table = csv.writer(file)
        names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
        table.writerow(["Usage", "Image name", *names])
        for number, row in enumerate(rows):
            table.writerow([usage[number], "" if row[-1] == 10 else f"fer{number:07}.png", *row])


def affectnet(root: Path, face: Face) -> None:
    """Numbered JPEGs, and arrays of one number or text beside them."""
    codes = {"happiness": 1, "sadness": 2, "surprise": 3}
    for number in range(9):
        side = root / ("train_set" if number < 6 else "val_set")
        write(side / f"images/{number}.jpg", cv2.resize(face(number + 1), (224, 224)))
        (side / "annotations").mkdir(exist_ok=True)
        code = codes[LABELS[number % 3]]
        np.save(side / f"annotations/{number}_exp.npy", np.array(str(code)) if number % 2 else np.array([code]))
        np.save(side / f"annotations/{number}_val.npy", np.array(0.5))


def sfew(root: Path, face: Face) -> None:
    """Frames of films in folders of their classes; one without a face."""
    codes = {"happiness": "Happy", "sadness": "Sad", "surprise": "Surprise"}
    for number in range(9):
        place = f"{'Train' if number < 6 else 'Val'}/{codes[LABELS[number % 3]]}"
        write(root / place / f"Film_00{number}_0001.png", face(0 if number == 8 else number + 1))


TREES = {"raf-db": raf_db, "ferplus": fer_plus, "affectnet": affectnet, "sfew": sfew}
#: Clips by side of the official split.
SPLITS = {
    "raf-db": {"train": 6, "test": 3},
    "ferplus": {"train": 6, "validation": 3, "test": 3},
    "affectnet": {"train": 6, "validation": 3},
    "sfew": {"train": 6, "validation": 3},
}


@pytest.mark.usefixtures("figures_are_blank")
@pytest.mark.parametrize("name", TREES)
def test_scanned_checked_prepared_trained_on_and_scored(name, tmp_path, face, scene, capsys):
    TREES[name](tmp_path / "copy", scene if name == "sfew" else face)
    copy = ["--root", str(tmp_path / "copy")]
    listing = load_card(name).find_clips(tmp_path / "copy")
    assert listing.clips_per_split == SPLITS[name]
    assert {label: count for label, count in listing.clips_per_class.items() if count} == dict.fromkeys(
        LABELS, len(listing) // 3
    )
    assert {clip.kind for clip in listing.clips} == {"image"}

    assert datasets.main(["check", name, *copy, "--sample", "4", "--faces", "2", "--workers", "1"]) == 1, "a part of it"
    said = capsys.readouterr().out
    assert f"{len(listing)} clips" in said
    assert "too small" not in said

    where = ["--dataset", name, *copy, "--workers", "1"]
    assert prepare(where) == 0
    said = capsys.readouterr().out
    assert f"{len(listing)} clips prepared" in said
    if name == "raf-db":
        assert "no face found in 2 pictures: test_0003, train_00003; of 2 the whole picture is kept" in said
    if name == "sfew":
        assert "no face found in 1 picture: validation/Film_008_0001" in said

    model = (FUSED if name == "affectnet" else SMALL).split()
    train([*where, *model, "--epochs", "1", "--output", str(tmp_path), "--name", "run"])
    with (tmp_path / "run/predictions.csv").open(encoding="utf-8") as file:
        tested = {row["clip_id"]: row for row in csv.DictReader(file)}
    assert len(tested) == 3
    assert set(tested) == {clip.clip_id for clip in make_folds(load_card(name), listing.clips)[0].test}

    (checkpoint,) = (tmp_path / "run").rglob("model.safetensors")
    evaluate(["--checkpoint", str(checkpoint), *where, "--output", str(tmp_path / "scored")])
    seen = (tmp_path / "scored/predictions.csv").read_text(encoding="utf-8")
    scored = {row["clip_id"] for row in csv.DictReader(seen.splitlines())}
    assert set(tested) <= scored <= {clip.clip_id for clip in listing.clips}
    if name in ("raf-db", "sfew"):
        # The crop of an aligned picture is read without landmarks; a scene without a face is no picture of one.
        faceless = next(line for line in seen.splitlines() if ("test_0003" in line or "Film_008" in line))
        assert ("nan" in faceless.lower() or ",," in faceless) == (name == "sfew"), faceless


def test_an_official_validation_part_chooses_the_epoch(tmp_path, face):
    fer_plus(tmp_path / "copy", face)
    card = load_card("ferplus")
    (fold,) = make_folds(card, card.find_clips(tmp_path / "copy").clips)
    fit, validation = inner_validation(fold.train, 0.2)
    assert {clip.split for clip in fit} == {"train"}
    assert {clip.split for clip in validation} == {"validation"}
    assert (len(fit), len(validation), len(fold.test)) == (6, 3, 3)
    assert inner_validation(fold.train, 0.0) == (fit, ()), "nothing is fitted on it even if the last epoch is scored"
    assert describe_validation(fold.train, 0.2) == (
        "the epoch is chosen on the dataset's own validation part (3 clips)"
    )


def test_votes_are_kept_as_shares_and_doubtful_pictures_left_out_by_name(tmp_path, face, capsys):
    fer_plus(tmp_path / "copy", face)
    listing = load_card("ferplus").find_clips(tmp_path / "copy")
    first = {clip.clip_id: clip for clip in listing.clips}
    assert first["00000"].shares == {"happiness": 0.8, "surprise": 0.2}
    assert first["00001"].shares == {"sadness": 1.0}, "a single vote is removed"
    assert first["00002"].shares == {"surprise": pytest.approx(2 / 3), "fear": pytest.approx(1 / 3)}
    notes = "\n".join(listing.notes)
    assert "most votes are for no expression (unknown, NF): 2 clips left out (00012, 00013)" in notes
    assert "no expression has more than 50% of the votes: 1 clip left out (00014)" in notes
    assert "votes that sum to zero: 1 clip left out (00015)" in notes
    kept = load_card("ferplus@plurality").find_clips(tmp_path / "copy")
    assert kept.clips[12].shares == {"surprise": 0.4, "neutral": 0.3, "happiness": 0.3}
    assert kept.clips[12].label == "surprise"

    datasets.main(["check", "ferplus", "--root", str(tmp_path / "copy"), "--sample", "1"])
    assert "votes that sum to zero: 1 clip left out (00015): get the original lists" in " ".join(
        capsys.readouterr().out.split()
    )


def test_the_tree_that_ferplus_makes_itself(tmp_path, face):
    for number, side in enumerate(("Train", "Valid", "Test")):
        folder = tmp_path / f"data/FER2013{side}"
        write(folder / f"fer000000{number}.png", cv2.resize(face(number + 1), (48, 48)))
        votes = "0,8,2,0,0,0,0,0,0,0"
        (folder / "label.csv").write_text(f'fer000000{number}.png,"(0, 0, 48, 48)",{votes}\n')
    listing = load_card("ferplus").find_clips(tmp_path)
    assert [(clip.clip_id, clip.split) for clip in listing.clips] == [
        *(("fer0000000", "train"), ("fer0000001", "validation"), ("fer0000002", "test"))
    ]
    assert listing.clips[0].shares == {"happiness": 0.8, "surprise": 0.2}


def test_tables_of_different_lengths_are_refused(tmp_path, face, capsys):
    fer_plus(tmp_path / "copy", face, pictures=14)
    with pytest.raises(DatasetError, match=r"fer2013.csv has 14 rows and .*fer2013new.csv has 16: .* row by row"):
        load_card("ferplus").find_clips(tmp_path / "copy")
    with pytest.raises(SystemExit) as stopped:
        run(prepare, ["--dataset", "ferplus", "--root", str(tmp_path / "copy")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1, "one sentence"


def test_rows_without_a_picture_are_named(tmp_path, face):
    fer_plus(tmp_path / "copy", face)
    table = tmp_path / "copy/fer2013.csv"
    lines = table.read_text().splitlines()
    lines[1] = "0,1 2 3,Training"
    lines[2] = lines[2].replace(" ", " 999 ", 1).replace(" ", " x ", 1)
    table.write_text("\n".join(lines))
    listing = load_card("ferplus").find_clips(tmp_path / "copy")
    assert "its pixels are not 48 x 48 numbers from 0 to 255: 2 clips left out (00000, 00001)" in "\n".join(
        listing.notes
    )
    assert len(listing) == 10


def test_without_the_pixels_ferplus_is_half_copied(tmp_path, face):
    fer_plus(tmp_path / "copy", face)
    (tmp_path / "copy/fer2013.csv").unlink()
    with pytest.raises(DatasetError, match=r"is half copied: fer2013new.csv is there, fer2013.csv is not"):
        load_card("ferplus").find_clips(tmp_path / "copy")


def test_pickled_annotations_are_not_read(tmp_path, face):
    affectnet(tmp_path, face)

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    annotations = tmp_path / "train_set/annotations"
    np.save(annotations / "0_exp.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    (annotations / "1_exp.npy").write_bytes(pickle.dumps(Bomb()))
    (annotations / "2_exp.npy").write_bytes(b"")
    np.save(annotations / "3_exp.npy", np.array([1, 2]))
    listing = load_card("affectnet").find_clips(tmp_path)
    assert not (tmp_path / "exploded").exists()
    assert len(listing) == 5
    assert "label file is no array of one number, or it is pickled, and such files are not read: 4 clips" in "\n".join(
        listing.notes
    )


def test_affectnet_with_lists_and_with_seven_classes(tmp_path, face):
    lists, rows = tmp_path / "Manually_Annotated_file_lists", {"training": range(10), "validation": (0, 7, 9)}
    lists.mkdir()
    for name, codes in rows.items():
        table = ["subDirectory_filePath,face_x,expression,valence"]
        for code in codes:
            write(tmp_path / f"Manually_Annotated_Images/{code}/{name}.jpg", face(code + 1))
            table.append(f"{code}/{name}.jpg,0,{code},0.1")
        (lists / f"{name}.csv").write_text("\n".join(table))
    card = load_card("affectnet")
    listing = card.find_clips(tmp_path)
    assert listing.clips_per_split == {"train": 8, "validation": 2}
    assert "no expression of the eight (none, uncertain or no face): 3 clips left out" in "\n".join(listing.notes)
    assert [clip.aligned for clip in listing.clips] == [False] * 10
    (fold,) = make_folds(card, listing.clips)
    assert (len(fold.train), len(fold.test)) == (8, 2)
    seven = load_card("affectnet@7")
    (fold,) = make_folds(seven, seven.find_clips(tmp_path).clips)
    assert (len(fold.train), len(fold.test)) == (7, 1)


def test_aligned_faces_of_sfew_are_another_layout(tmp_path, face):
    for side in ("Train", "Val"):
        for number, label in enumerate(("Angry", "Happy")):
            folder = f"{side}/{side}_Aligned_Faces{'_new' if side == 'Val' else ''}"
            write(tmp_path / folder / label / f"Film_{number}.png", face(number + 1))
    listing = load_card("sfew").find_clips(tmp_path)
    assert (listing.layout, len(listing), {clip.aligned for clip in listing.clips}) == ("aligned", 4, {True})
    assert listing.clips_per_split == {"train": 2, "validation": 2}


def test_a_picture_is_prepared_once_and_as_its_card_says(tmp_path, face):
    """Of one picture an aligned crop is kept under one dataset, and none under another."""
    raf_db(tmp_path / "copy", face)
    clips = load_card("raf-db").find_clips(tmp_path / "copy").clips
    faceless = next(clip for clip in clips if clip.clip_id == "train_00003")
    found = next(clip for clip in clips if clip.clip_id == "train_00001")
    prepared = prepare_clips([faceless, found], tmp_path / "cache", 1, progress=False)
    assert prepared.valid_share("train_00003") == 0
    assert prepared.valid_share("train_00001") == 1
    assert prepared.span("train_00001") == (0.0, 0.0, 1)
    whole = prepared.crops(faceless).decode([0])[0]
    assert whole.std() > 20, "the whole picture"
    scene = replace(faceless, aligned=False)
    assert not prepare_clips([scene], tmp_path / "cache", 1, progress=False).crops(scene).decode([0]).any()
    broken = replace(found, clip_id="broken", source=tmp_path / "broken.jpg")
    broken.source.write_bytes(b"not a picture")
    failures = prepare_clips([found, broken], tmp_path / "cache", 1, progress=False).failures
    assert "broken.jpg cannot be read as an image" in failures["broken"]
