"""A folder above or below the right one: which level was found, and what to give instead."""

import os

import pytest
from layout_trees import TREES, build

from stgt.data.catalog.cards import load_card
from stgt.errors import DatasetError


@pytest.fixture
def ck(tmp_path):
    return build("ck+", "side-by-side", tmp_path / "CK+").root


def sentence(card: str, root) -> str:
    with pytest.raises(DatasetError) as caught:
        load_card(card).find_clips(root)
    return str(caught.value)


def test_the_folder_of_a_subject(ck):
    told = sentence("ck+", ck / "cohn-kanade-images/S005")
    assert told == (
        f"{ck}/cohn-kanade-images/S005 is the folder of subject S005 of CK+ (Extended Cohn-Kanade); give {ck}"
    )


def test_the_folder_of_images_alone(ck):
    assert sentence("ck+", ck / "cohn-kanade-images").endswith(f"; give {ck}")


def test_the_folder_of_a_class(tmp_path):
    root = build("afew", "videos", tmp_path / "AFEW").root
    told = sentence("afew", root / "Val_AFEW/Happy")
    assert "is the folder Val_AFEW/Happy, of happiness alone, of AFEW" in told
    assert told.endswith(f"give {root}")


def test_a_subject_alone_is_read_and_told(tmp_path):
    root = build("ravdess", "actors", tmp_path / "RAVDESS").root
    notes = "\n".join(load_card("ravdess").find_clips(root / "Actor_05").notes)
    assert f"is the folder of subject 05 alone; for the others, too, give {root}" in notes
    assert "4 of 1,440 clips of 1 of 24 subjects" in notes


@pytest.mark.parametrize("above", [1, 2])
def test_above(tmp_path, above):
    root = tmp_path / "data" / ("sets" if above == 2 else "") / "DFEW"
    build("dfew", "aligned", root)
    build("ck+", "side-by-side", tmp_path / "data/CK+")
    told = sentence("dfew", tmp_path / "data")
    levels = "one level" if above == 1 else "2 levels"
    assert told == f"{tmp_path}/data is {levels} above DFEW; give {root}"


@pytest.mark.parametrize("card", [name for name in TREES if name not in ("ravdess",)])
def test_one_level_above_every_dataset(card, tmp_path):
    built = build(card, TREES[card][1][0], tmp_path / "data" / "copy of it")
    assert f"one level above {load_card(card).title}; give {built.root}" in sentence(card, tmp_path / "data")


@pytest.mark.parametrize(
    ("card", "layout", "inner"),
    [
        ("oulu-casia", "original", "OriginalImg/VL"),
        ("oulu-casia", "original", "OriginalImg/VL/Strong/P010"),
        ("mmi", "sessions", "Sessions/3"),
        ("afew", "videos", "Train_AFEW"),
        ("dfew", "aligned", "Clip"),
        ("dfew", "original", "Clip/original"),
        ("ferv39k", "crops", "2_ClipsforFaceCrop/Action"),
        ("mafw", "faces", "data"),
        ("enterface05", "spaces", "subject 11/anger"),
        ("crema-d", "frames", "face_aligned/1001_IEO_ANG_HI"),
    ],
)
def test_one_or_two_levels_below(card, layout, inner, tmp_path):
    root = build(card, layout, tmp_path / "sets" / card).root
    assert sentence(card, root / inner).endswith(f"of {load_card(card).title}; give {root}")


def test_looking_around_stays_small(tmp_path, monkeypatch):
    """Thousands of folders beside the one that was given are not searched."""
    for number in range(300):
        (tmp_path / f"work/{number}/a/b").mkdir(parents=True)
    opened, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: opened.append(path) or scandir(path))
    assert "holds no clip" in sentence("ravdess", tmp_path / "work/7")
    assert "holds no clip" in sentence("dfew", tmp_path / "work")
    assert len(opened) < 2000
