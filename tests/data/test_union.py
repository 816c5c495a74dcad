"""Several datasets as one: names, classes, folds, and that nothing is on two sides."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stgt.data.protocols import check_disjoint
from stgt.data.union import LEAVE_ONE_OUT, MERGED, assignments, find_dataset, find_union
from stgt.data.union_folds import check_dataset_weights, describe_members, folds_of, refuse_common_contents
from stgt.errors import DatasetError

CARD = """
title = "Set {name}"
licence = "{name}'s"
how_to_get = "Ask for {name}."
tree = "{name}/S1_happy.mp4"
default_protocol = "folds"

[[layouts]]
clips = "*.mp4"
match = '^(?P<subject>[A-Z]\\d+)_(?P<label>[a-z]+)\\.mp4$'

[protocols.folds]
rule = "rank_mod"
folds = {folds}
summary = "by rank"

[defaults]
"window.frame_rate" = 20.0
"window.frames" = {frames}
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., str]:
    """Makes a card and its clips; returns the card's path. Subjects are called alike in all datasets."""

    def make(name: str, labels: str, subjects: int = 6, folds: int = 3, frames: int = 16) -> str:
        for number in range(1, subjects + 1):
            for label in labels.split():
                path = tmp_path / name / f"S{number}_{label}.mp4"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"x")
        card = tmp_path / f"{name}.toml"
        card.write_text(CARD.format(name=name, folds=folds, frames=frames))
        return str(card)

    return make


@pytest.fixture
def union(dataset, tmp_path):
    """Two datasets: 6 subjects, 3 folds; 4 subjects, 2 folds; two of their classes are the same."""
    names = dataset("one", "happy angry neutral"), dataset("two", "joy anger wink", 4, 2, 8)
    roots = {name: str(tmp_path / name) for name in ("one", "two")}

    def find(classes: str | None = None):
        return find_union(names, roots, classes=classes)

    return find


def test_clips_and_subjects_carry_the_name_of_their_dataset(union):
    card, listing = union()
    assert card.name == "one,two"
    assert len(listing) == 18 + 12
    assert {clip.dataset for clip in listing.clips} == {"one", "two"}
    assert len({clip.clip_id for clip in listing.clips}) == len(listing)
    assert len(listing.subjects) == 10, "S1 of one is not S1 of two"
    clip = listing.clips[0]
    assert (clip.clip_id, clip.subject) == ("one/S1_angry", "one:S1")


def test_classes_are_matched_by_name(union):
    card, listing = union()
    assert set(listing.classes) == {"happiness", "anger", "neutral", "wink"}
    assert any("two: joy counts as happiness" in note for note in listing.notes)
    assert {clip.label for clip in card.protocol(MERGED).used(listing.clips)} == set(listing.classes)
    assert {clip.label for clip in card.protocol(LEAVE_ONE_OUT).used(listing.clips)} == {"happiness", "anger"}
    for classes, expected in (("shared", {"happiness", "anger"}), ("all", set(listing.classes))):
        card, listing = union(classes)
        for protocol in (MERGED, LEAVE_ONE_OUT):
            assert {clip.label for clip in card.protocol(protocol).used(listing.clips)} == expected


def test_merged_folds_test_what_each_protocol_tests(union):
    card, listing = union()
    folds = folds_of(card, listing.clips)
    assert [fold.index for fold in folds] == [0, 1, 2]
    for fold in folds:
        check_disjoint(fold.train, fold.test)
        tested = {clip.subject for clip in fold.test}
        own = {f"one:S{number}" for number in range(1, 7) if (number - 1) % 3 == fold.index}
        others = {f"two:S{number}" for number in range(1, 5) if (number - 1) % 2 == fold.index}
        assert tested == own | others
        assert sum(clip.dataset == "two" for clip in fold.train) == 6, "as much of it is trained on in every fold"
    tested = [clip.clip_id for fold in folds for clip in fold.test]
    assert sorted(tested) == sorted(clip.clip_id for clip in listing.clips), "every clip is tested once"


def test_one_dataset_is_left_out_at_a_time(union):
    card, listing = union()
    folds = folds_of(card, listing.clips, LEAVE_ONE_OUT)
    assert [{clip.dataset for clip in fold.test} for fold in folds] == [{"one"}, {"two"}]
    for fold in folds:
        check_disjoint(fold.train, fold.test)
        assert not {clip.dataset for clip in fold.train} & {clip.dataset for clip in fold.test}
        assert {clip.label for clip in fold.train} == {clip.label for clip in fold.test} == {"happiness", "anger"}


def test_the_sentence_says_what_is_of_which_dataset(union):
    card, listing = union()
    described = describe_members(card, card.protocol(MERGED).used(listing.clips))
    assert "one 18 clips of 6 subjects, two 12 clips of 4 subjects" in described
    assert "neutral is only in one, wink is only in two" in described
    described = describe_members(card, card.protocol(LEAVE_ONE_OUT).used(listing.clips))
    assert "left out, as no other dataset has it: neutral (6 clips), wink (4 clips)" in described
    assert "one 3-fold" not in described
    assert "one folds, two folds" in card.protocol(MERGED).summary


def test_only_common_recommendations_are_followed(union):
    card, listing = union()
    assert card.defaults == {"window.frame_rate": 20.0}
    assert any("window.frames = 16 of one, window.frames = 8 of two" in note for note in listing.notes)


def test_a_copy_of_a_clip_under_another_name_is_found(union):
    card, listing = union()
    folds = folds_of(card, listing.clips)
    content = {clip.clip_id: clip.clip_id for clip in listing.clips}
    refuse_common_contents(folds, content)
    content["two/S2_joy"] = content["one/S1_happy"]
    with pytest.raises(DatasetError, match=r"S\d_\w+ and \w+/S\d_\w+ are copies of one clip.*leak"):
        refuse_common_contents(folds, content)


def test_what_cannot_be_a_union_is_one_sentence(dataset, tmp_path, union):
    one, two = str(tmp_path / "one.toml"), str(tmp_path / "two.toml")
    union()
    wink = dataset("three", "wave nod")
    roots = {name: str(tmp_path / name) for name in ("one", "two", "three")}
    cases = {
        "there is no dataset 'nowhere'": (f"{one},nowhere", None, {}),
        "Set one is not there.*--roots one=PATH": (f"{one},{two}", None, {}),
        "gives a folder for three, which is not in --dataset": (f"{one},{two}", None, roots),
        "one is named twice": (f"{one},{one}", None, {"one": roots["one"]}),
        "no class in common: one has .*; three has": (f"{one},{wink}", None, {k: roots[k] for k in ("one", "three")}),
        "--root says where one dataset lies": (f"{one},{two}", str(tmp_path), {}),
        r"S1_angry\.mp4 is in one and in two": (f"{one},{two}", None, {"one": roots["one"], "two": roots["one"]}),
    }
    for sentence, (names, root, places) in cases.items():
        with pytest.raises(DatasetError, match=f"(?s){sentence}"):
            find_dataset(names, root, places)
    with pytest.raises(DatasetError, match="--classes is 'most'; it is all or shared"):
        find_dataset(f"{one},{two}", roots={"one": roots["one"], "two": roots["two"]}, classes="most")
    with pytest.raises(DatasetError, match="give --dataset a,b"):
        find_dataset(one, roots["one"], classes="all")


def test_weights_are_for_every_dataset_of_a_union(union):
    card, _ = union()
    check_dataset_weights(card, "")
    check_dataset_weights(card, "two=1, one=2")
    for text in ("one=1", "one=1,two=2,three=3"):
        with pytest.raises(DatasetError, match="give one for each of one, two"):
            check_dataset_weights(card, text)
    with pytest.raises(DatasetError, match="is for several datasets"):
        check_dataset_weights(card.members[0].card, "one=1")


def test_one_dataset_stays_as_it_is(dataset, tmp_path):
    name = dataset("one", "happy angry")
    card, listing = find_dataset(name, str(tmp_path / "one"))
    assert listing.clips == card.find_clips(tmp_path / "one").clips
    assert listing.classes == ("angry", "happy")
    assert describe_members(card, listing.clips) == ""
    assert find_dataset(name, roots={"one": tmp_path / "one"})[1] == listing


def test_places_are_written_as_assignments():
    assert assignments("a=/x/y, b=/z,w", "roots") == {"a": "/x/y", "b": "/z,w"}
    assert assignments(None, "roots") == assignments(" ", "roots") == {}
    for text in ("a", "a=", "=x"):
        with pytest.raises(DatasetError, match="--roots is .*name=value"):
            assignments(text, "roots")
    with pytest.raises(DatasetError, match="names a twice"):
        assignments("a=x,a=y", "roots")
