"""Protocols: the published fold rules, and that no subject is ever on two sides."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from stgt.data.catalog.cards import load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold, all_as_test, check_disjoint, make_folds
from stgt.errors import DatasetError


def clip(subject: str, label: str = "anger", number: int = 0, split: str | None = None) -> Clip:
    return Clip(f"{subject}/{label}/{number}", Path("none"), subject, label, split)


def clips_of(subjects, labels=("anger", "fear")) -> list[Clip]:
    return [clip(subject, label, number) for subject in subjects for number, label in enumerate(labels)]


def sides(fold: Fold) -> tuple[set[str], set[str]]:
    return {clip.subject for clip in fold.train}, {clip.subject for clip in fold.test}


def test_ck_folds_are_ranks_mod_10():
    # Ids with gaps, as the labelled subjects of CK+ have; their order on disk does not matter.
    subjects = [f"S{number:03d}" for number in (5, 10, 11, 14, 22, 26, 28, 29, 32, 34, 35, 37, 42, 44, 501, 999)]
    clips = clips_of(subjects)
    random.Random(0).shuffle(clips)
    folds = make_folds(load_card("ck+"), clips)
    assert len(folds) == 10
    for fold in folds:
        assert sides(fold)[1] == {subject for rank, subject in enumerate(subjects) if rank % 10 == fold.index}
        assert not set.intersection(*sides(fold))
    assert sum(len(fold.test) for fold in folds) == len(clips)


def test_ck_without_contempt_keeps_the_same_folds():
    subjects = [f"S{number:03d}" for number in range(20)]
    clips = [*clips_of(subjects[1:]), clip(subjects[0], "contempt")]
    card = load_card("ck+")
    with_contempt = {subject: fold.index for fold in make_folds(card, clips) for subject in sides(fold)[1]}
    without = {subject: fold.index for fold in make_folds(card, clips, "10-fold-6") for subject in sides(fold)[1]}
    assert without == {subject: index for subject, index in with_contempt.items() if subject != subjects[0]}


def test_crema_d_blocks_of_actors():
    clips = clips_of([str(number) for number in range(1001, 1092)])
    folds = make_folds(load_card("crema-d"), clips)
    blocks = [(1001, 1018), (1019, 1036), (1037, 1054), (1055, 1072), (1073, 1091)]
    assert [sides(fold)[1] for fold in folds] == [
        {str(number) for number in range(first, last + 1)} for first, last in blocks
    ]


def test_ravdess_blocks_of_four():
    folds = make_folds(load_card("ravdess"), clips_of([f"{number:02d}" for number in range(1, 25)]))
    assert [sorted(sides(fold)[1]) for fold in folds] == [
        [f"{number:02d}" for number in range(4 * k - 3, 4 * k + 1)] for k in range(1, 7)
    ]


def test_ravdess_fold_sizes_follow_from_its_names():
    # Seven emotions in two intensities and neutral in one, two statements, two repetitions: 60 clips of each actor.
    actors = [f"{number:02d}" for number in range(1, 25)]
    clips = [clip(actor, f"emotion{number // 8}", number) for actor in actors for number in range(60)]
    assert [len(fold.test) for fold in make_folds(load_card("ravdess"), clips)] == [240] * 6


def test_enterface05_blocks_of_subjects_skip_the_missing_sixth():
    subjects = [str(number) for number in range(1, 45) if number != 6]
    clips = clips_of(subjects, [str(number) for number in range(30)])
    folds = make_folds(load_card("enterface05"), clips)
    assert [len(fold.test) for fold in folds] == [270, 270, 270, 270, 210]
    assert sides(folds[0])[1] == {str(number) for number in range(1, 11)} - {"6"}
    assert sides(folds[4])[1] == {str(number) for number in range(38, 45)}


def test_oulu_casia_has_ten_folds_of_ranks_or_of_blocks():
    card, subjects = load_card("oulu-casia"), [f"P{number:03d}" for number in range(1, 81)]
    clips = clips_of(subjects, "abcdef")
    ranks, blocks = make_folds(card, clips), make_folds(card, clips, "10-fold-blocks")
    assert [len(fold.test) for fold in ranks] == [len(fold.test) for fold in blocks] == [48] * 10
    assert sides(ranks[3])[1] == set(subjects[3::10])
    assert sides(blocks[3])[1] == set(subjects[24:32])


def test_blocks_that_do_not_divide_evenly_differ_by_one(tmp_path):
    card = own_card(tmp_path, 'rule = "blocks"\nfolds = 4')
    folds = make_folds(card, clips_of([f"s{number}" for number in range(1, 11)]))
    # In natural order: s10 comes last, not after s1.
    assert [sides(fold)[1] for fold in folds] == [{"s1", "s2", "s3"}, {"s4", "s5", "s6"}, {"s7", "s8"}, {"s9", "s10"}]
    assert [sides(fold)[1] for fold in make_folds(card, clips_of("abc"))] == [{"a"}, {"b"}, {"c"}]


def test_one_subject_is_left_out_at_a_time():
    folds = make_folds(load_card("ck+"), clips_of(["S10", "S9", "S11"]), "leave-one-subject-out")
    assert [sides(fold) for fold in folds] == [
        ({"S10", "S11"}, {"S9"}),
        ({"S9", "S11"}, {"S10"}),
        ({"S9", "S10"}, {"S11"}),
    ]


def test_one_dataset_is_left_out_at_a_time(tmp_path):
    card = own_card(tmp_path, 'rule = "leave_one_dataset_out"')
    clips = [replace(clip(f"{name}:{number}"), dataset=name) for name in ("b", "a", "c") for number in range(2)]
    folds = make_folds(card, clips)
    assert [sides(fold)[1] for fold in folds] == [{"b:0", "b:1"}, {"a:0", "a:1"}, {"c:0", "c:1"}]
    assert all(len(fold.train) == 4 for fold in folds)
    with pytest.raises(DatasetError, match="there is only b here; give several"):
        make_folds(card, clips[:2])


def strangers(splits) -> list[Clip]:
    """Clips of a dataset that does not say who is seen."""
    labels = ("anger", "fear", "neutral")
    return [
        Clip(f"{number:05d}", Path("none"), f"{number:05d}", labels[number % 3], **split)
        for number, split in enumerate(splits)
    ]


def test_afew_is_trained_on_train_and_tested_on_validation():
    sizes = {"train": 773, "validation": 383, "test": 20}
    clips = strangers({"split": name} for name, size in sizes.items() for _ in range(size))
    (fold,) = make_folds(load_card("afew"), clips)
    assert (len(fold.train), len(fold.test)) == (773, 383)
    assert {clip.split for clip in fold.train} == {"train"}
    assert {clip.split for clip in fold.test} == {"validation"}
    card = load_card("afew")
    sentence = card.protocol().describe(card.title, (*fold.train, *fold.test))
    assert "1,156 clips, subjects unknown (each clip counts as one), 3 classes" in sentence


def test_official_folds_are_those_of_the_lists():
    words = [("test", "train", "train"), ("train", "test", "train"), ("train", "train", ""), ("train", "", "test")]
    clips = strangers({"splits": split} for split in words)
    folds = make_folds(load_card("dfew"), clips)
    assert [[clip.clip_id for clip in fold.test] for fold in folds] == [["00000"], ["00001"], ["00003"]]
    assert [len(fold.train) for fold in folds] == [3, 2, 2], "a clip that a fold does not name is in none of its sides"
    with pytest.raises(DatasetError, match="no clip says on which side of the folds"):
        make_folds(load_card("dfew"), strangers([{}, {}]))


def test_part_of_a_dataset_keeps_fold_numbers():
    folds = make_folds(load_card("crema-d"), clips_of(["1001", "1040"]))
    assert [(fold.index, sides(fold)[1]) for fold in folds] == [(0, {"1001"}), (2, {"1040"})]


def test_fewer_subjects_than_folds():
    folds = make_folds(load_card("synthetic"), clips_of(["a", "b", "c"]))
    assert [sides(fold)[1] for fold in folds] == [{"a"}, {"b"}, {"c"}]


def test_one_subject_can_be_tested_but_not_trained():
    clips = clips_of(["1001"])
    with pytest.raises(DatasetError, match=r"only one subject \(1001\).*stgt evaluate"):
        make_folds(load_card("crema-d"), clips)
    assert all_as_test(clips) == Fold(0, (), tuple(clips))


def test_all_subjects_in_one_block():
    with pytest.raises(DatasetError, match="on the same side"):
        make_folds(load_card("crema-d"), clips_of(["1001", "1002"]))


def test_subject_in_no_fold():
    with pytest.raises(DatasetError, match="1092 is in no fold"):
        make_folds(load_card("crema-d"), clips_of(["1001", "1040", "1092"]))


def own_card(tmp_path, protocol: str):
    text = 'title = "x"\nlicence = "x"\nhow_to_get = "x"\ntree = "x"\ndefault_protocol = "p"\n'
    text += f'[[layouts]]\nclips = "*"\nmatch = "(?P<subject>.)"\n[protocols.p]\nsummary = "x"\n{protocol}\n'
    path = tmp_path / "x.toml"
    path.write_text(text)
    return load_card(str(path))


def test_official_split(tmp_path):
    card = own_card(tmp_path, 'rule = "official"')
    clips = [clip("a", split="train"), clip("b", split="test"), clip("c", split="val")]
    (fold,) = make_folds(card, clips)
    assert sides(fold) == ({"a"}, {"b"})


def test_official_split_that_leaks_is_refused(tmp_path):
    card = own_card(tmp_path, 'rule = "official"')
    clips = [clip("a", "fear", split="train"), clip("a", "anger", split="test"), clip("b", split="train")]
    with pytest.raises(DatasetError, match="subject a is on two sides"):
        make_folds(card, clips)


def test_sets_that_name_a_subject_twice_still_do_not_leak(tmp_path):
    card = own_card(tmp_path, 'rule = "subject_sets"\ntest_subjects = [["1-2"], ["2-3"]]')
    for fold in make_folds(card, clips_of("123")):
        assert not set.intersection(*sides(fold))


def test_seeded_folds_partition_the_subjects(tmp_path):
    card = own_card(tmp_path, 'rule = "seeded"\nfolds = 3\nseed = 7')
    clips = clips_of([f"s{number}" for number in range(10)])
    folds = make_folds(card, clips)
    assert sorted(subject for fold in folds for subject in sides(fold)[1]) == sorted({clip.subject for clip in clips})
    assert folds == make_folds(card, clips), "a protocol gives the same folds every time"


def test_unknown_protocol_and_rule(tmp_path):
    with pytest.raises(DatasetError, match="no protocol '9-fold'; it has 10-fold"):
        make_folds(load_card("ck+"), clips_of("ab"), "9-fold")
    with pytest.raises(DatasetError, match="rules: rank_mod"):
        make_folds(own_card(tmp_path, 'rule = "random"'), clips_of("ab"))


def test_leaks_are_refused():
    with pytest.raises(DatasetError, match="subject a is on two sides"):
        check_disjoint(clips_of("ab"), clips_of("ac"))
    one, other = clip("a"), Clip("a/anger/0", Path("none"), "b", "anger")
    with pytest.raises(DatasetError, match="clip a/anger/0 is on two sides"):
        check_disjoint([one], [other])


def test_fold_without_broken_clips_moves_nobody():
    clips = clips_of("abcdefgh")
    fold = make_folds(load_card("synthetic"), clips)[1]
    broken = fold.test[0].clip_id
    assert fold.without({broken}) == Fold(1, fold.train, fold.test[1:])


def test_description():
    card = load_card("ck+")
    sentence = card.protocol().describe(card.title, clips_of(["S005", "S010"], card.classes))
    assert sentence == (
        "CK+ (Extended Cohn-Kanade) 10-fold, subject-independent (rank of labelled subject mod 10), "
        "14 clips, 2 subjects, 7 classes"
    )
    known, unknown = clips_of(["S005"]), strangers([{}, {}, {}])
    some = card.protocol().describe("x", [*known, *unknown])
    assert "5 clips, 1 subject and 3 clips of subjects unknown" in some
    union = [replace(clip, clip_id=f"afew/{clip.clip_id}", subject=f"afew:{clip.subject}") for clip in unknown]
    assert "3 clips, subjects unknown" in card.protocol().describe("x", union)
    assert "6 classes" in card.protocol("10-fold-6").describe(card.title, clips_of(["S005"], card.classes))
