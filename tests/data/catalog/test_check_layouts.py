"""Every layout of every card goes through the check, with clips that can be decoded."""

import itertools
import shutil
import struct

import cv2
import numpy as np
import pytest
from layout_trees import all_layouts, build, complete_ck, complete_ravdess

from stgt import datasets
from stgt.data.catalog.cards import load_card
from stgt.data.catalog.check import check_copy, scan
from stgt.data.catalog.samples import file_fault

#: As in test_layouts.
VARIANTS = {("oulu-casia", "cropped"): "cropped", ("afew", "aligned"): "aligned"}


@pytest.fixture(scope="module")
def small_video(tmp_path_factory):
    """The bytes of a video of four frames."""
    path = tmp_path_factory.mktemp("video") / "small.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (96, 96))
    for level in (50, 100, 150, 200):
        writer.write(np.full((96, 96, 3), level, np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.fixture
def media(small_video):
    """Writes clips that can be decoded, no two of them alike."""
    numbers = itertools.count()

    def write(label, path):
        number = next(numbers)
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(small_video + struct.pack(">I4sI", 12, b"free", number))
            return
        path.mkdir(parents=True, exist_ok=True)
        for image in (1, 2):
            noise = np.random.default_rng([number, image]).integers(0, 255, (6, 6, 3), np.uint8)
            cv2.imwrite(str(path / f"{image:05d}.jpg"), cv2.resize(noise, (96, 96), interpolation=cv2.INTER_NEAREST))

    return write


@pytest.mark.parametrize(("name", "layout"), all_layouts())
def test_every_layout_is_checked(name, layout, tmp_path, media):
    built = build(name, layout, tmp_path / name, media)
    variant = VARIANTS.get((name, layout))
    card = load_card(f"{name}@{variant}" if variant else name)
    listing = card.find_clips(built.root)
    checked = check_copy(card, built.root, sample=5, workers=1)
    assert checked.clips == listing.clips
    assert checked.layout == listing.layout
    # What the listing says of clips that were left out, the check says of the same, in full.
    notes = scan(card, built.root.absolute(), card.subject_rule(None, None)).notes
    assert set(notes.sentences()) <= set(listing.notes)
    assert tuple(notes.missing) == listing.missing
    told = "\n".join(finding.sentence for finding in checked.findings)
    for reason, _, _ in notes.reasons:
        assert reason in told or "lists name missing" in told
    real = [each for each in checked.looked if file_fault(each.clip.source) is None]
    assert len(real) >= 4
    assert [each.fault for each in real] == [""] * len(real)
    assert "same file" not in told
    if card.counts:
        assert f"{len(listing):,} of {card.counts.clips:,} clips are there" in told
    assert checked.faults or card.counts is None


def test_a_whole_ravdess_and_one_less_a_clip(tmp_path, capsys):
    """1,440 clips by name: nothing is wrong; without a clip and without an actor both are named."""
    for number, name in enumerate(complete_ravdess("01")):
        path = tmp_path / f"Actor_{name[-2:]}/01-{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{number:06d}")
    options = ["check", "ravdess", "--root", str(tmp_path), "--sample", "0"]
    assert datasets.main(options) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "6-fold: 6 folds, testing 240 240 240 240 240 240 clips" in out
    assert "nothing is wrong" in out
    (tmp_path / "Actor_03/01-01-05-02-02-02-03.mp4").unlink()
    shutil.rmtree(tmp_path / "Actor_07")
    assert datasets.main(options) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "1,379 of 1,440 clips are there (not there: 01-05-02-02-02-03): copy the rest" in out
    assert "23 of 24 subjects are there (not there: 07)" in out


def test_a_whole_ck(tmp_path, capsys):
    """327 sequences by the published numbers per subject; a label without images names its sequence."""
    codes = itertools.cycle((1, 3, 4, 5, 6, 7))
    left = {1: 45, 3: 59, 4: 25, 5: 69, 6: 28, 7: 83}
    number = itertools.count()
    taken = {}
    for subject, contempt in complete_ck():
        taken[subject] = taken.get(subject, 0) + 1
        code = 2 if contempt else next(code for code in codes if left[code])
        if not contempt:
            left[code] -= 1
        clip = f"{subject}/{taken[subject]:03d}"
        folder = tmp_path / "cohn-kanade-images" / clip
        folder.mkdir(parents=True)
        (folder / f"{clip.replace('/', '_')}_00000001.png").write_text(f"{next(number):06d}")
        label = tmp_path / "Emotion" / clip / f"{clip.replace('/', '_')}_00000001_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {code:.7e}\n")
    options = ["check", "ck+", "--root", str(tmp_path), "--sample", "0"]
    assert datasets.main(options) == 0
    assert "10 folds, testing 33 39 40 35 30 37 29 29 33 22 clips" in " ".join(capsys.readouterr().out.split())
    shutil.rmtree(tmp_path / "cohn-kanade-images/S005/001")
    assert datasets.main(options) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "1 clip that the dataset's own lists name missing (Emotion/S005/001/S005_001_00000001_emotion.txt)" in out
    assert "326 of 327 clips are there: copy the rest" in out
    assert "117 of 118 subjects" in out
