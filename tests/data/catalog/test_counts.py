"""Published counts and fold sizes, wherever the names of a dataset alone determine them."""

from collections import Counter
from pathlib import Path

import pytest
from layout_trees import SEVEN, SIX, complete_ck, complete_crema, complete_enterface, complete_ravdess, empty_media

from stgt.data.catalog.cards import ClipListing, list_cards, load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import make_folds


def assert_complete(name: str, listing: ClipListing) -> None:
    """A complete copy has the card's counts, nothing is said of it, and its folds have the published sizes."""
    card = load_card(name)
    assert listing.notes == ()
    assert len(listing) == card.counts.clips
    assert listing.clips_per_class == dict(card.counts.classes)
    assert card.counts.subjects in (None, len(listing.subjects))
    assert card.counts.splits in ({}, listing.clips_per_split)
    assert card.counts.folds, "some protocol of a complete dataset has published folds"
    for protocol, sizes in card.counts.folds.items():
        assert [len(fold.test) for fold in make_folds(card, listing.clips, protocol)] == list(sizes), protocol


def test_crema_d(tmp_path):
    (tmp_path / "VideoFlash").mkdir()
    for name in complete_crema():
        (tmp_path / f"VideoFlash/{name}.flv").touch()
    assert_complete("crema-d", load_card("crema-d").find_clips(tmp_path))


def test_ravdess(tmp_path):
    for channel in ("01", "02"):
        for name in complete_ravdess(channel):
            for modality in ("01", "02"):
                empty_media("", tmp_path / f"Actor_{name[-2:]}/{modality}-{name}.mp4")
    speech = load_card("ravdess").find_clips(tmp_path)
    kept = [note for note in speech.notes if "same take" not in note and "song" not in note]
    assert kept == []
    assert_complete("ravdess", ClipListing(speech.root, speech.clips, (), speech.classes))
    for variant in ("song", "speech-and-song"):
        card = load_card(f"ravdess@{variant}")
        listing = card.find_clips(tmp_path)
        assert (len(listing), len(listing.subjects)) == (card.counts.clips, card.counts.subjects)
        assert listing.clips_per_class == dict(card.counts.classes)
        assert {clip.dataset for clip in listing.clips} == {"ravdess"}


def test_enterface05(tmp_path):
    for subject, label, sentence in complete_enterface():
        named = "12" if subject == "11" else subject
        path = f"subject {subject}/{label}/sentence {sentence}/s{named}_{label[:2]}_{sentence}.avi"
        empty_media(label, tmp_path / path)
    assert_complete("enterface05", load_card("enterface05").find_clips(tmp_path))


def test_oulu_casia(tmp_path):
    for subject in range(1, 81):
        for label in SIX.values():
            empty_media(label, tmp_path / f"OriginalImg/VL/Strong/P{subject:03d}/{label}")
    assert_complete("oulu-casia", load_card("oulu-casia").find_clips(tmp_path))


def test_afew(tmp_path):
    sizes = {"Train_AFEW": (133, 74, 81, 150, 144, 117, 74), "Val_AFEW": (64, 40, 46, 63, 63, 61, 46)}
    for side, counts in sizes.items():
        for label, count in zip(SEVEN.values(), counts, strict=True):
            for number in range(count):
                empty_media(label, tmp_path / f"{side}/{label}/{number:09d}.avi")
    listing = load_card("afew").find_clips(tmp_path)
    # Numbers start again in every class here, so the clips are told apart by class.
    assert listing.clips_per_split == {"train": 150, "validation": 64}
    for side, counts in sizes.items():
        for index, (label, count) in enumerate(zip(SEVEN.values(), counts, strict=True)):
            for number in range(count):
                path = tmp_path / f"{side}/{label}/{number:09d}.avi"
                path.rename(path.with_name(f"{1000 * index + number:09d}.avi"))
    assert_complete("afew", load_card("afew").find_clips(tmp_path))


@pytest.mark.parametrize(("protocol", "contempt"), [("10-fold", True), ("10-fold-6", False)])
def test_ck_folds_of_the_labelled_subjects(protocol, contempt):
    card = load_card("ck+")
    clips = [
        Clip(f"{number}", Path("none"), subject, "contempt" if shows_contempt else "anger")
        for number, (subject, shows_contempt) in enumerate(complete_ck())
    ]
    assert len(clips) == card.counts.clips == sum(card.counts.classes.values())
    assert len({clip.subject for clip in clips}) == card.counts.subjects
    assert Counter(clip.label for clip in clips)["contempt"] == card.counts.classes["contempt"]
    folds = make_folds(card, clips, protocol)
    assert [len(fold.test) for fold in folds] == list(card.counts.folds[protocol])
    assert sum(len(fold.test) for fold in folds) == (327 if contempt else 309)


def test_official_lists_of_full_size(tmp_path):
    card = load_card("mafw")
    labels = [name for name, count in card.counts.classes.items() for _ in range(count)]
    folds = [fold for fold, count in enumerate(card.counts.folds["5-fold"]) for _ in range(count)]
    (tmp_path / "data/clips").mkdir(parents=True)
    for number in range(len(labels)):
        (tmp_path / f"data/clips/{number:05d}.mp4").touch()
    for fold in range(5):
        folder = tmp_path / f"split/single/no_caption/set_{fold + 1}"
        folder.mkdir(parents=True)
        for side in ("train", "test"):
            rows = (
                f"{number:05d}.mp4 {label}\r\n"
                for number, label in enumerate(labels)
                if (folds[number * 7919 % len(folds)] == fold) == (side == "test")
            )
            (folder / f"{side}.txt").write_text("".join(rows))
    assert_complete("mafw", card.find_clips(tmp_path))


@pytest.mark.parametrize("name", list_cards())
def test_counts_agree_with_themselves(name):
    card = load_card(name)
    for each in (card, *(load_card(f"{name}@{variant}") for variant in card.variants)):
        counts = each.counts
        if counts is None:
            continue
        assert sum(counts.classes.values()) in (0, counts.clips)
        assert set(counts.classes) <= set(each.classes)
        assert sum(counts.splits.values()) in (0, counts.clips)
        for protocol in counts.folds:
            assert protocol in each.protocols
