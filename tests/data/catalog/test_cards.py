"""Cards: what each layout gives, and one sentence for everything that is missing, half copied or refused."""

import pytest

from stgt.config import TrainConfig
from stgt.data import disk
from stgt.data.catalog.cards import DatasetCard, list_cards, load_card
from stgt.errors import DatasetError
from stgt.faces import video

MINIMAL_CARD = """
title = "Mine"
licence = "mine"
how_to_get = "Film it."
tree = "mine/ANG/S1.mp4"
default_protocol = "2-fold"
[labels]
ANG = "anger"
[[layouts]]
clips = "*/*"
match = '(?P<label>[A-Z]+)/(?P<subject>S\\d+)_\\d+\\.mp4$'
[protocols.2-fold]
rule = "rank_mod"
folds = 2
summary = "by rank"
"""


@pytest.mark.parametrize("name", list_cards())
def test_every_card_is_complete(name):
    card = load_card(name)
    assert all(text.strip() for text in (card.title, card.licence, card.how_to_get, card.tree))
    assert card.default_protocol in card.protocols
    assert set(card.labels.values()) <= set(card.classes)
    for protocol in card.protocols.values():
        assert set(protocol.classes) <= set(card.classes)
    # A recommended setting must be one that a training configuration has.
    for key in card.defaults:
        value = TrainConfig(dataset=name)
        for part in key.split("."):
            value = getattr(value, part)


def test_cards_of_the_field_are_there():
    of_the_field = {"ck+", "oulu-casia", "mmi", "afew", "dfew", "ferv39k", "mafw", "ravdess", "crema-d", "enterface05"}
    pictures = {"raf-db", "ferplus", "affectnet", "sfew"}
    assert set(list_cards()) == of_the_field | pictures | {"synthetic", "synthetic-stills", "folder"}
    assert load_card("CK+").name == "ck+"


def test_ck_reads_labels_apex_and_what_is_missing(ck_tree, place):
    root = ck_tree([("S005", "001", 3, 11), ("S010", "002", 7, 14), ("S010", "004", None, 5), ("S011", "001", 5, 4)])
    (root / "Emotion/S011/001/S011_001_00000004_emotion.txt").write_text("")
    place("CK+/cohn-kanade-images/.DS_Store")
    place("CK+/cohn-kanade-images/S005/.DS_Store")
    place("CK+/cohn-kanade-images/S005/001/._S005_001_00000001.png")
    place("CK+/Emotion/S999/001/S999_001_00000009_emotion.txt", "   4.0000000e+00")
    listing = load_card("ck+").find_clips(root)

    found = {clip.clip_id: (clip.subject, clip.label, clip.frame_rate, clip.apex) for clip in listing.clips}
    assert found == {
        "S005/001": ("S005", "disgust", 30.0, "last"),
        "S010/002": ("S010", "surprise", 30.0, "last"),
    }
    notes = "\n".join(listing.notes)
    assert "327" in notes, "a part of the dataset is told apart from a complete copy"
    assert "without a label, as the dataset has it: 1 clip" in notes
    assert "Emotion/S011/001/S011_001_00000004_emotion.txt" in notes
    assert "S999_001_00000009_emotion.txt" in notes, "a label whose images are missing is named"


def test_ck_clip_ends_at_the_image_its_label_is_named_after(ck_tree, place):
    root = ck_tree([("S005", "001", 3, 6), ("S010", "001", 3, 6)])
    place("CK+/cohn-kanade-images/S005/001/S005_001_00000007.png")
    (root / "cohn-kanade-images/S010/001/S010_001_00000006.png").unlink()
    listing = load_card("ck+").find_clips(root)
    later, whole = listing.clips
    assert 5 / 30 <= later.end_s < 6 / 30, "the sixth image belongs to the clip, the seventh does not"
    assert whole.end_s is None
    assert any("S010/001" in note and "image" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("images", "emotion"),
    [
        ("cohn-kanade-images", "Emotion_labels/Emotion"),
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion"),
    ],
)
def test_ck_distributions(ck_tree, images, emotion):
    root = ck_tree([("S005", "001", 3, 3)], images, emotion)
    assert [clip.label for clip in load_card("ck+").find_clips(root).clips] == ["disgust"]


def test_ck_half_copied(ck_tree, tmp_path):
    root = ck_tree([("S005", "001", 3, 3)])
    (root / "cohn-kanade-images").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="half copied: Emotion is there, cohn-kanade-images is not"):
        load_card("ck+").find_clips(root)
    (tmp_path / "elsewhere").rename(root / "cohn-kanade-images")
    (root / "Emotion").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="half copied: cohn-kanade-images is there, Emotion is not"):
        load_card("ck+").find_clips(root)


def test_ck_all_labels_empty(ck_tree):
    root = ck_tree([("S005", "001", 3, 3)])
    next(root.glob("Emotion/*/*/*.txt")).write_text(" \n")
    with pytest.raises(DatasetError, match=r"no usable clip.*label file is empty"):
        load_card("ck+").find_clips(root)


@pytest.mark.parametrize("name", ["anger/S010_004_00000017.png", "CK+48/anger/S010_004_00000017.png"])
def test_ck_stills_are_refused(place, tmp_path, name):
    place(f"CK+/{name}")
    with pytest.raises(DatasetError, match=r"refused.*48x48"):
        load_card("ck+").find_clips(tmp_path / "CK+")


def test_crema_d(place, tmp_path):
    for name in (
        "1001_DFA_ANG_XX.flv",
        "1091_IEO_HAP_HI.flv",
        "1002_DFA_SAD_XX.mp4",
        "notes.flv",
        "._1003_DFA_SAD_XX.flv",
    ):
        place(f"CREMA-D/VideoFlash/{name}")
    place("CREMA-D/VideoFlash/1001_DFA_ANG_XX.txt")
    listing = load_card("crema-d").find_clips(tmp_path / "CREMA-D")
    assert [(clip.clip_id, clip.subject, clip.label) for clip in listing.clips] == [
        ("1001_DFA_ANG_XX", "1001", "anger"),
        ("1002_DFA_SAD_XX", "1002", "sadness"),
        ("1091_IEO_HAP_HI", "1091", "happiness"),
    ]
    assert any("not named as" in note and "notes.flv" in note for note in listing.notes)


def test_crema_d_without_its_folder(place, tmp_path):
    place("videos/1001_DFA_NEU_XX.flv")
    assert len(load_card("crema-d").find_clips(tmp_path / "videos")) == 1


def test_ravdess_never_takes_one_take_twice(place, tmp_path):
    for name in (
        "Actor_01/01-01-06-01-02-01-01.mp4",
        "Actor_01/02-01-06-01-02-01-01.mp4",  # the same take without its sound
        "Actor_12/02-01-08-02-01-01-12.mp4",
        "Actor_12/01-02-03-02-01-01-12.mp4",  # song
        "Actor_12/03-01-03-02-01-01-12.wav",
        "Video_Speech_Actor_01/Actor_01/01-01-06-01-02-01-01.mp4",  # unpacked twice
    ):
        place(f"RAVDESS/{name}")
    listing = load_card("ravdess").find_clips(tmp_path / "RAVDESS")
    assert [(clip.clip_id, clip.subject, clip.label, clip.source.name) for clip in listing.clips] == [
        ("01-06-01-02-01-01", "01", "fear", "01-01-06-01-02-01-01.mp4"),
        ("01-08-02-01-01-12", "12", "surprise", "02-01-08-02-01-01-12.mp4"),
    ]
    notes = "\n".join(listing.notes)
    assert "same take: 2 clips left out" in notes
    assert "song" in notes


def test_synthetic_follows_its_table(place, tmp_path):
    table = "clip,subject,label,take\r\ns0/anger_0.mp4,s0,anger,0\r\ns1/fear_0,s1,fear,0\r\ns2/fear_0.mp4,s2,fear,0\r\n"
    place("synthetic/labels.csv", "\ufeff" + table)
    place("synthetic/clips/s0/anger_0.mp4")
    place("synthetic/clips/s1/fear_0.mp4")
    listing = load_card("synthetic").find_clips(tmp_path / "synthetic")
    assert [(clip.clip_id, clip.subject, clip.label, clip.source.name) for clip in listing.clips] == [
        ("s0/anger_0", "s0", "anger", "anger_0.mp4"),
        ("s1/fear_0", "s1", "fear", "fear_0.mp4"),
    ]
    assert any("s2/fear_0" in note for note in listing.notes)


def test_table_of_parts_of_a_video(place, tmp_path):
    place("synthetic/labels.csv", "clip,subject,label,start_s,end_s\nday,s0,anger,1.5,3\nday,s0,fear,10,12.5\n")
    place("synthetic/clips/day.mp4")
    listing = load_card("synthetic").find_clips(tmp_path / "synthetic")
    assert [(clip.clip_id, clip.label, clip.start_s, clip.end_s) for clip in listing.clips] == [
        ("day@1.5", "anger", 1.5, 3.0),
        ("day@10", "fear", 10.0, 12.5),
    ]


def test_table_without_a_column(place, tmp_path):
    place("synthetic/labels.csv", "name,subject,label\na,s0,anger\n")
    with pytest.raises(DatasetError, match="no column 'clip'"):
        load_card("synthetic").find_clips(tmp_path / "synthetic")


@pytest.fixture
def own_folder(place, tmp_path):
    for name in ("happy/S1_a.mp4", "happy/S2_a.mov", "wink/S1_b.webm", "wink/S3/take1/0.png", "wink/S3/take1/1.png"):
        place(f"mine/{name}")
    return tmp_path / "mine"


def test_folder_by_pattern(own_folder):
    listing = load_card("folder").find_clips(own_folder, subject_pattern=r"/(S\d+)")
    assert [(clip.clip_id, clip.subject, clip.label) for clip in listing.clips] == [
        ("happy/S1_a", "S1", "happy"),
        ("happy/S2_a", "S2", "happy"),
        ("wink/S1_b", "S1", "wink"),
        ("wink/S3/take1", "S3", "wink"),
    ]
    assert listing.classes == ("happy", "wink")
    assert listing.clips_per_class == {"happy": 2, "wink": 2}
    assert listing.clips[-1].frame_rate == 25.0
    assert listing.clips[0].frame_rate is None


def test_folder_by_csv(own_folder, place):
    table = place("who.csv", "clip,subject\nhappy/S1_a.mp4,ann\nS2_a,bob\nwink/S3/take1,ann\n")
    listing = load_card("folder").find_clips(own_folder, subject_csv=table)
    assert {clip.clip_id: clip.subject for clip in listing.clips} == {
        "happy/S1_a": "ann",
        "happy/S2_a": "bob",
        "wink/S3/take1": "ann",
    }
    assert any("wink/S1_b.webm" in note and "subject" in note for note in listing.notes)


def test_folder_needs_to_know_who_is_seen(own_folder, place):
    card = load_card("folder")
    with pytest.raises(DatasetError, match=r"--subject_pattern .* or --subject_csv"):
        card.find_clips(own_folder)
    with pytest.raises(DatasetError, match="not a regular expression"):
        card.find_clips(own_folder, subject_pattern="(S")
    with pytest.raises(DatasetError, match="not both"):
        card.find_clips(own_folder, subject_pattern="S", subject_csv=place("who.csv", "clip,subject\n"))
    with pytest.raises(DatasetError, match="columns clip and subject"):
        card.find_clips(own_folder, subject_csv=place("who.csv", "file,person\na,b\n"))
    with pytest.raises(DatasetError, match="no subject by the rule"):
        card.find_clips(own_folder, subject_pattern="Q(\\d+)")
    with pytest.raises(DatasetError, match="reads its subjects itself"):
        load_card("ravdess").find_clips(own_folder, subject_pattern="S")


def test_folder_of_loose_images_is_refused(place, tmp_path):
    place("stills/happy/a.png")
    with pytest.raises(DatasetError, match="a folder of their own"):
        load_card("folder").find_clips(tmp_path / "stills", subject_pattern="(.)")


def test_absent_dataset_says_where_it_looked_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STGT_DATA", str(tmp_path))
    card = load_card("ravdess")
    assert card.locate() is None
    with pytest.raises(DatasetError) as caught:
        card.find_clips()
    sentence = str(caught.value)
    assert str(tmp_path / "RAVDESS") in sentence
    assert "zenodo" in sentence
    assert "Actor_01/01-01-01-01-01-01-01.mp4" in sentence


def test_places_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("STGT_DATA", str(tmp_path))
    card = load_card("crema-d")
    (tmp_path / "crema-d").mkdir()
    assert card.locate() == tmp_path / "crema-d"
    (tmp_path / "CREMA-D").mkdir()
    assert card.locate() == tmp_path / "CREMA-D"
    assert card.locate(tmp_path / "other") is None, "a root that was given is the only place"


def test_own_card(place, tmp_path):
    path = place("mine.toml", MINIMAL_CARD)
    for name in ("ANG/S1_1.mp4", "ANG/S2_1.mp4"):
        place(f"clips/{name}")
    card = load_card(str(path))
    assert isinstance(card, DatasetCard)
    assert [clip.label for clip in card.find_clips(tmp_path / "clips").clips] == ["anger", "anger"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("licence =", "license =", "unknown key 'license'; did you mean 'licence'"),
        ('licence = "mine"\n', "", "key 'licence' is missing"),
        ('"2-fold"', '"3-fold"', "default_protocol '3-fold' is not one of its protocols"),
        ("folds = 2", 'folds = "2"', "int is expected"),
        ("rule =", "rul =", "unknown key 'rul'"),
        ("[labels]", 'subjects = "maybe"\n[labels]', "subjects is 'maybe'; it is one of known, user, none"),
        ("[labels]", 'use = ["faces"]\n[labels]', "use is 'faces'"),
        ("match =", 'table = "a.csv"\nlists = [{ file = "b.csv" }]\nmatch =', "either match .* or table or lists"),
        (
            "match =",
            'files = [{ find = "a", match = "b", over = "name" }]\nmatch =',
            "over is 'name'; it is one of text",
        ),
        ("match =", 'lists = [{ fil = "b.csv" }]\nmatch =', "unknown key 'fil'; did you mean 'file'"),
        ("[labels]", "[labels", "is not TOML"),
        ("match =", "prefer =", "either match .* or table"),
        ('clips = "*/*"', 'clips = "*/*"\nkind = "sound"', "kind is 'sound'; it is one of video, images"),
    ],
)
def test_faults_in_a_card_are_named(place, old, new, sentence):
    assert old in MINIMAL_CARD
    path = place("mine.toml", MINIMAL_CARD.replace(old, new, 1))
    with pytest.raises(DatasetError, match=sentence) as caught:
        load_card(str(path))
    assert "mine.toml" in str(caught.value)


def test_media_are_those_that_can_be_read():
    assert disk.VIDEO_SUFFIXES == video.VIDEO_SUFFIXES
    assert disk.IMAGE_SUFFIXES == video.IMAGE_SUFFIXES


def test_unknown_card():
    with pytest.raises(DatasetError, match="did you mean crema-d"):
        load_card("cremad")
    with pytest.raises(DatasetError, match="there is no card"):
        load_card("nowhere.toml")


def test_an_empty_label_file_is_named(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "labels.csv").write_text("")
    with pytest.raises(DatasetError, match=r"labels\.csv is empty"):
        load_card("synthetic").find_clips(tmp_path)
