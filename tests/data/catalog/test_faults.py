"""Copies of datasets as they are in the wild: half copied, contradictory, oddly named. One sentence says what it is."""

import os
from pathlib import Path

import pytest
from layout_trees import build, empty_media

from stgt.data.catalog.cards import load_card
from stgt.errors import DatasetError

LISTS = "EmoLabel_DataSplit/train(single-labeled)"


def notes_of(card: str, root: Path) -> str:
    return "\n".join(load_card(card).find_clips(root).notes)


@pytest.fixture
def dfew(tmp_path):
    return build("dfew", "aligned", tmp_path / "DFEW").root


def test_a_clip_of_the_lists_that_is_not_there_is_named(dfew):
    listing = load_card("dfew").find_clips(dfew)
    assert listing.missing == ("00015",)
    assert "15 of 11,697 clips; missing: 00015" in listing.notes[0]
    assert "cannot be compared with published" in listing.notes[0]
    assert "09999" not in "\n".join(listing.notes), "a clip in no list is not part of the protocol"


def test_what_is_missing_is_told_by_class_where_no_list_names_it(tmp_path):
    built = build("crema-d", "flat", tmp_path / "CREMA-D")
    assert "16 of 7,442 clips of 4 of 91 subjects; missing: 1,267 of anger" in notes_of("crema-d", built.root)


def test_a_missing_split_file_is_named(dfew):
    (dfew / LISTS / "set_3.csv").unlink()
    with pytest.raises(DatasetError, match=r"set_3\.csv is not there \(1 of 10 are missing\)"):
        load_card("dfew").find_clips(dfew)


def test_missing_lists_or_clips(dfew, tmp_path):
    (dfew / "EmoLabel_DataSplit").rename(tmp_path / "lists")
    with pytest.raises(DatasetError, match=r"half copied: Clip/clip_224x224 is there, EmoLabel_DataSplit/train"):
        load_card("dfew").find_clips(dfew)
    (tmp_path / "lists").rename(dfew / "EmoLabel_DataSplit")
    (dfew / "Clip").rename(tmp_path / "clips")
    with pytest.raises(DatasetError, match=r"half copied: EmoLabel_DataSplit/train.* Clip/clip_224x224 is not"):
        load_card("dfew").find_clips(dfew)


def test_archives_that_were_not_unpacked(dfew, tmp_path):
    (dfew / "Clip/clip_224x224").rename(tmp_path / "clips")
    (dfew / "Clip/clip_224x224").mkdir()
    (dfew / "Clip/clip_224x224/clip_224x224_part_1.zip").touch()
    with pytest.raises(DatasetError, match=r"clip_224x224_part_1\.zip, which is not unpacked"):
        load_card("dfew").find_clips(dfew)


def test_a_clip_on_both_sides_of_an_official_fold_is_refused(dfew):
    with (dfew / LISTS / "set_2.csv").open("a") as file:
        file.write("1,2\n")  # 1 is a test clip of fold 2
    with pytest.raises(DatasetError, match=r"00001 is listed for train and for test of official fold 2"):
        load_card("dfew").find_clips(dfew)


def test_lists_that_contradict_or_repeat_themselves(dfew):
    path = dfew / LISTS / "set_1.csv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows, rows[-1], "7,9"]).replace("\n3,4", "\n3,5") + "\n")
    listing = load_card("dfew").find_clips(dfew)
    notes = "\n".join(listing.notes)
    assert "listed with two labels: 2 clips left out (00003, first in EmoLabel_DataSplit" in notes
    assert "named twice in EmoLabel_DataSplit/train(single-labeled)/set_1.csv" in notes
    assert {"00003", "00007"}.isdisjoint(clip.clip_id for clip in listing.clips)


def test_a_label_that_the_card_does_not_know(dfew):
    for side in ("train", "test"):
        for path in (dfew / f"EmoLabel_DataSplit/{side}(single-labeled)").iterdir():
            path.write_text(path.read_text().replace("\n4,5", "\n4,8").replace("\n6,7", "\n6,"))
    listing = load_card("dfew").find_clips(dfew)
    notes = "\n".join(listing.notes)
    assert "label that the card does not know: 1 clip left out (Clip/clip_224x224/00004: 8)" in notes
    assert "without a label: 1 clip left out" in notes
    assert {"00004", "00006"}.isdisjoint(clip.clip_id for clip in listing.clips)


def test_a_list_with_other_columns(dfew):
    path = dfew / LISTS / "set_1.csv"
    path.write_text(path.read_text().replace("video_name", "name"))
    with pytest.raises(DatasetError, match=r"set_1\.csv has no column 'video_name'; it has name, label"):
        load_card("dfew").find_clips(dfew)


def test_one_clip_in_two_folders(dfew):
    empty_media("", dfew / "Clip/clip_224x224/part_2/00001")
    listing = load_card("dfew").find_clips(dfew)
    assert "another file of the same take: 1 clip left out (Clip/clip_224x224/part_2/00001)" in "\n".join(listing.notes)
    assert sum(clip.clip_id == "00001" for clip in listing.clips) == 1


def test_a_folder_without_pictures_is_a_missing_clip(dfew):
    for image in (dfew / "Clip/clip_224x224/00002").iterdir():
        image.unlink()
    assert set(load_card("dfew").find_clips(dfew).missing) == {"00002", "00015"}


def test_lines_that_are_no_rows(tmp_path):
    root = build("ferv39k", "crops", tmp_path / "FERV39k").root
    path = root / "4_setups/All_scenes/test_All.csv"
    path.write_text("name label\n" + path.read_text())
    assert "not a row of test_All.csv: 1 line left out (line 1: name label)" in notes_of("ferv39k", root)


def test_spaces_and_other_scripts_in_paths(tmp_path):
    root = tmp_path / "Forschungsdaten für Gefühle" / "表情 2024" / "MAFW copy"
    built = build("mafw", "faces", root)
    assert {clip.clip_id for clip in load_card("mafw").find_clips(root).clips} == set(built.clips)


def test_accents_written_in_two_ways(place, tmp_path):
    place("synthetic/labels.csv", "clip,subject,label\nzo\u00e9/lacht,zo\u00e9,happiness\n")
    place("synthetic/clips/zoe\u0301/lacht.mp4")
    assert [clip.subject for clip in load_card("synthetic").find_clips(tmp_path / "synthetic").clips] == ["zo\u00e9"]


def test_names_with_the_signs_of_patterns(place, tmp_path):
    place("synthetic/labels.csv", "clip,subject,label\na[1]*/x?,s0,anger\nb,s1,fear\n")
    place("synthetic/clips/a[1]*/x?.mp4")
    place("synthetic/clips/b.mp4")
    assert len(load_card("synthetic").find_clips(tmp_path / "synthetic")) == 2


def test_a_list_with_paths_from_the_top_of_the_disk(place, tmp_path):
    card = place(
        "mine.toml",
        """
        title = "Mine"
        licence = "mine"
        how_to_get = "Film it."
        tree = "list.csv"
        default_protocol = "2-fold"
        [[layouts]]
        table = "list.csv"
        clips = "{file}"
        clip_id = "{name}"
        columns = { subject = "who" }
        [protocols.2-fold]
        rule = "rank_mod"
        folds = 2
        summary = "by rank"
        """,
    )
    videos = [place(f"else where/{name}.mp4") for name in ("a", "b")]
    rows = "".join(f"{path.stem},{path},{path.stem}{path.stem},anger\n" for path in videos)
    place("set/list.csv", "name,file,who,label\n" + rows)
    listing = load_card(str(card)).find_clips(tmp_path / "set")
    assert [(clip.clip_id, clip.source, clip.subject) for clip in listing.clips] == [
        ("a", videos[0], "aa"),
        ("b", videos[1], "bb"),
    ]


def test_a_name_that_is_no_text_is_skipped_and_told(tmp_path):
    root = build("crema-d", "flash", tmp_path / "CREMA-D").root
    try:
        Path(os.fsdecode(os.fsencode(root / "VideoFlash") + b"/1001_DFA_ANG_\xff.flv")).touch()
    except OSError:
        pytest.skip("this disk takes UTF-8 only")
    notes = notes_of("crema-d", root)
    assert "not text in UTF-8: 1 file skipped" in notes
    notes.encode("utf-8")


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    ck, dfew = (
        build(card, layout, tmp_path / card).root for card, layout in (("ck+", "side-by-side"), ("dfew", "16f"))
    )
    label = next(ck.glob("Emotion/S005/001/*.txt"))
    table = dfew / LISTS / "set_1.csv"
    opener = Path.open

    def locked(path, *options, **more):
        if path in (label, table):
            raise PermissionError(13, "Permission denied", str(path))
        return opener(path, *options, **more)

    monkeypatch.setattr(Path, "open", locked)
    assert f"label file cannot be read (Permission denied): 1 clip left out ({label.relative_to(ck)})" in notes_of(
        "ck+", ck
    )
    with pytest.raises(DatasetError, match=r"set_1\.csv cannot be read \(Permission denied\)"):
        load_card("dfew").find_clips(dfew)


def test_numbers_that_are_no_digits(place, tmp_path):
    place("mine/happy/take_1\u00b23_ann.mp4")
    place("mine/happy/\u00b2_ann.mp4")
    listing = load_card("folder").find_clips(tmp_path / "mine", subject_pattern=r"_([a-z]+)\.mp4")
    assert [clip.subject for clip in listing.clips] == ["ann", "ann"]


def test_a_loop_of_links(tmp_path):
    root = build("ravdess", "actors", tmp_path / "RAVDESS").root
    (root / "Actor_01/again").symlink_to(root, target_is_directory=True)
    (root / "Actor_02/there").symlink_to(root / "Actor_05", target_is_directory=True)
    (root / "Actor_05/back").symlink_to(root / "Actor_02", target_is_directory=True)
    listing = load_card("ravdess").find_clips(root)
    assert len(listing) == 16, "every take once, whichever way it is reached"
    notes = "\n".join(listing.notes)
    assert "cannot be opened" not in notes
    assert "again/" not in notes


def test_linked_folders_are_followed(tmp_path):
    built = build("dfew", "original", tmp_path / "elsewhere")
    root = tmp_path / "DFEW"
    root.mkdir()
    for name in ("Clip", "EmoLabel_DataSplit"):
        (root / name).symlink_to(built.root / name, target_is_directory=True)
    assert len(load_card("dfew").find_clips(root)) == len(built.clips)


def test_a_folder_that_cannot_be_opened(dfew, monkeypatch):
    locked, scandir = f"{dfew}/Clip/clip_224x224/00001", os.scandir

    def forbidden(path):
        if path == locked:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    listing = load_card("dfew").find_clips(dfew)
    assert "cannot be opened (permissions?): 1 folder skipped (Clip/clip_224x224/00001)" in "\n".join(listing.notes)


def test_the_official_crops_go_before_videos_and_a_variant_turns_that_round(tmp_path):
    root = tmp_path / "MAFW"
    built = build("mafw", "faces", root)
    build("mafw", "clips", root)
    kinds = {name: {clip.kind for clip in load_card(name).find_clips(root).clips} for name in ("mafw", "mafw@clips")}
    assert kinds == {"mafw": {"images"}, "mafw@clips": {"video"}}
    assert load_card("mafw@clips").find_clips(root).layout == "clips"
    assert {clip.clip_id for clip in load_card("mafw@clips").find_clips(root).clips} == set(built.clips)


def test_oulu_casia_reads_one_choice_of_light(tmp_path):
    root = build("oulu-casia", "original", tmp_path / "Oulu-CASIA").root
    visible, infrared = (load_card(name).find_clips(root) for name in ("oulu-casia", "oulu-casia@ni-strong"))
    assert (len(visible), len(infrared)) == (23, 24)
    assert all("/NI/" in clip.source.as_posix() for clip in infrared.clips)
    assert {clip.clip_id for clip in visible.clips} < {clip.clip_id for clip in infrared.clips}
    assert "23 of 480 clips of 4 of 80 subjects; missing: 76 of anger" in visible.notes[0]
    with pytest.raises(DatasetError, match="no variant 'uv'; it has vl-weak"):
        load_card("oulu-casia@uv")
    with pytest.raises(DatasetError, match="VL.* is not|holds no clip"):
        load_card("oulu-casia@vl-weak").find_clips(root)


def test_crema_d_as_people_saw_it(tmp_path):
    root = build("crema-d", "flash", tmp_path / "CREMA-D").root
    card = load_card("crema-d@seen")
    listing = card.find_clips(root)
    labels = {clip.clip_id: clip.label for clip in listing.clips}
    assert labels["1019_IEO_ANG_HI"] == "disgust"
    assert labels["1019_IEO_NEU_XX"] == "neutral"
    assert "seen as several things by equally many: 1 clip left out (VideoFlash/1001_IEO_SAD_HI.flv)" in "\n".join(
        listing.notes
    )
    table = root / "processedResults/summaryTable.csv"
    table.write_text(table.read_text().replace("FaceVote", "Vote"))
    with pytest.raises(DatasetError, match=r"summaryTable\.csv has no column 'FaceVote'; it has .*FileName"):
        card.find_clips(root)


def test_mmi_without_emotions_and_from_the_side(tmp_path):
    root = build("mmi", "sessions", tmp_path / "MMI").root
    notes = notes_of("mmi", root)
    assert "without a label, as the dataset has it: 1 clip" in notes
    assert "seen from the side alone: 1 clip left out (Sessions/90/S021-001.avi)" in notes


def test_mmi_manifest_goes_before_sessions(tmp_path):
    built = build("mmi", "manifest", tmp_path / "MMI")
    listing = load_card("mmi").find_clips(built.root)
    assert listing.layout == "manifest"
    assert len(listing) == 8


def test_afew_clips_without_a_face_are_no_fault(tmp_path):
    built = build("afew", "aligned", tmp_path / "AFEW")
    listing = load_card("afew@aligned").find_clips(built.root)
    assert len(listing) == 14
    assert load_card("afew").find_clips(built.root).layout == "videos"


def test_uncut_subject_of_enterface05_is_told(tmp_path):
    root = build("enterface05", "spaces", tmp_path / "e").root
    assert "not cut into sentences: 1 clip left out (subject 6/anger/s6_an.avi)" in notes_of("enterface05", root)


def test_folders_of_tracks_of_other_programs(place, tmp_path):
    for name in ("happy/ann_1.csv", "sad/ann_2.npz", "sad/bob_1.CSV"):
        place(f"mine/{name}")
    card = load_card("folder")
    listing = card.find_clips(tmp_path / "mine", subject_pattern="/([a-z]+)_")
    assert [(clip.clip_id, clip.kind, clip.subject, clip.frame_rate) for clip in listing.clips] == [
        ("happy/ann_1", "tracks", "ann", None),
        ("sad/ann_2", "tracks", "ann", None),
        ("sad/bob_1", "tracks", "bob", None),
    ]
    place("mine/happy/ann_1.mp4")
    assert [clip.kind for clip in card.find_clips(tmp_path / "mine", subject_pattern="/([a-z]+)_").clips] == ["video"]
    tracks = load_card("folder@tracks").find_clips(tmp_path / "mine", subject_pattern="/([a-z]+)_")
    assert {clip.kind for clip in tracks.clips} == {"tracks"}
