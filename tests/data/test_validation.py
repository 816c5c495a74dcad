"""Inner validation: what is held out of the training clips, and that it is nobody who is fitted on or tested."""

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stgt.data.catalog.cards import load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import make_folds
from stgt.data.validation import describe_validation, inner_validation
from stgt.errors import DatasetError


def clip(subject: str, label: str = "anger", number: int = 0) -> Clip:
    return Clip(f"{subject}/{label}/{number}", Path("none"), subject, label)


def clips_of(subjects, labels=("anger", "fear")) -> list[Clip]:
    return [clip(subject, label, number) for subject in subjects for number, label in enumerate(labels)]


def strangers(count: int) -> list[Clip]:
    """Clips of nobody knows whom, rare and common classes among them."""
    labels = ["anger"] * 6 + ["fear"] * 3 + ["disgust"]
    return [Clip(f"{number:05d}", Path("none"), f"{number:05d}", labels[number % 10]) for number in range(count)]


def test_inner_validation_is_by_subject_and_keeps_every_class():
    subjects = [f"s{number}" for number in range(20)]
    # Contempt is shown by one subject only: it has to stay in fit, whatever the seed.
    clips = [*clips_of(subjects), clip("s3", "contempt")]
    for seed in range(20):
        fit, validation = inner_validation(clips, 0.2, seed)
        assert len({clip.subject for clip in validation}) == 4
        assert not {clip.subject for clip in fit} & {clip.subject for clip in validation}
        assert {clip.label for clip in fit} == {"anger", "fear", "contempt"}
        assert sorted(clip.clip_id for clip in (*fit, *validation)) == sorted(clip.clip_id for clip in clips)


def test_inner_validation_never_takes_a_class_from_fit():
    # By proportion alone the only subject with contempt would be held out: three of five are.
    clips = [*clips_of("abcde"), clip("c", "contempt")]
    for seed in range(20):
        fit, validation = inner_validation(clips, 0.6, seed)
        assert len({clip.subject for clip in validation}) == 3
        assert "c" in {clip.subject for clip in fit}


def test_inner_validation_does_not_depend_on_the_order_of_clips():
    clips = clips_of([f"s{number}" for number in range(9)])
    shuffled = random.Random(1).sample(clips, len(clips))
    assert set(inner_validation(clips, 0.3, 5)[1]) == set(inner_validation(shuffled, 0.3, 5)[1])
    others = {frozenset(inner_validation(clips, 0.3, seed)[1]) for seed in range(8)}
    assert len(others) > 1, "the seed matters"


def test_inner_validation_of_one_subject_is_empty():
    clips = clips_of("a")
    assert inner_validation(clips, 0.2) == (tuple(clips), ())
    assert inner_validation(clips_of("abc"), 0.0) == (tuple(clips_of("abc")), ())
    with pytest.raises(DatasetError, match="validation share"):
        inner_validation(clips, 1.0)


@pytest.mark.parametrize("name", ["ck+", "crema-d", "ravdess", "enterface05"])
def test_inner_validation_never_touches_the_test_fold(name):
    subjects = [str(number) for number in (range(1001, 1092) if name == "crema-d" else range(1, 25))]
    for fold in make_folds(load_card(name), clips_of(subjects)):
        fit, validation = inner_validation(fold.train, 0.2)
        people = [{clip.subject for clip in part} for part in (fit, validation, fold.test)]
        assert sum(map(len, people)) == len(set.union(*people)) == len(subjects)


def test_inner_validation_is_by_clip_where_subjects_are_unknown():
    clips = strangers(400)
    fit, validation = inner_validation(clips, 0.25)
    assert len(validation) == 100
    assert not {clip.clip_id for clip in fit} & {clip.clip_id for clip in validation}
    counts = [sum(clip.label == label for clip in validation) for label in ("anger", "fear", "disgust")]
    assert all(abs(count - wanted) <= 2 for count, wanted in zip(counts, (60, 30, 10), strict=True)), counts


def test_a_validation_part_of_one_dataset_leaves_the_others_to_the_draw():
    sides = ("train", "validation") * 4
    own = [replace(clip, dataset="a", split=side) for clip, side in zip(strangers(8), sides, strict=True)]
    other = [
        replace(clip, dataset="b", clip_id=f"b/{clip.clip_id}", subject=f"b:{clip.subject}") for clip in strangers(10)
    ]
    fit, validation = inner_validation([*own, *other], 0.2)
    assert {clip.split for clip in fit if clip.dataset == "a"} == {"train"}
    assert sum(clip.dataset == "a" for clip in validation) == 4
    assert sum(clip.dataset == "b" for clip in validation) == 2
    assert len(fit) + len(validation) == 18
    assert "own validation part (4 clips), and on 20% of the other datasets' training clips" in describe_validation(
        [*own, *other], 0.2
    )


def test_inner_validation_of_a_large_set_takes_seconds():
    clips = strangers(31_088)
    start = time.process_time()
    fit, validation = inner_validation(clips, 0.2)
    assert (len(fit), len(validation)) == (24_870, 6_218)
    assert time.process_time() - start < 10


def test_the_choice_of_the_epoch_in_words():
    known = clips_of("abc")
    assert describe_validation(known, 0.2) == "the epoch is chosen on 20% of the training subjects, held out"
    assert "training clips, whose subjects are unknown, held out" in describe_validation(strangers(9), 0.2)
    assert "subjects, clips where unknown, held out" in describe_validation([*known, *strangers(9)], 0.2)
    assert describe_validation(known, 0) == describe_validation(known[:2], 0.2) == "the last epoch is scored"
