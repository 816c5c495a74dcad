"""The part of the training clips that is held out to choose the epoch and to fit the temperature."""

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted
from stgt.data.protocols import check_disjoint, subjects_known
from stgt.data.rules import VALIDATION, ranked
from stgt.errors import DatasetError

#: Splits that are compared before the most balanced one is taken.
CANDIDATES = 256


def inner_validation(train: Sequence[Clip], share: float, seed: int = 0) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Split training clips into ``(fit, validation)`` by subject, about ``share`` of the subjects in validation.

    Where it is not known who is seen, every clip counts as a subject of its own, so that the split is by clip. The test
    clips take no part in it.

    A dataset that has a validation part of its own gives that instead, whatever the share; nothing is fitted on it even
    with a share of 0. What follows is about the clips of other datasets.

    Of many random splits the one is taken that keeps every class in ``fit`` and whose validation side has each class
    most nearly in proportion. The same clips, share and seed give the same split, in whatever order the clips come.
    With one subject, or a share of 0, validation is empty.
    """
    if not 0 <= share < 1:
        raise DatasetError(f"the validation share is {share}; it must be at least 0 and below 1")
    own = tuple(clip for clip in train if clip.split == VALIDATION)
    if own:
        given = {clip.dataset for clip in own}
        remaining = tuple(clip for clip in train if clip.split != VALIDATION)
        _, drawn = inner_validation([clip for clip in remaining if clip.dataset not in given], share, seed)
        held = {clip.clip_id for clip in drawn}
        fit = tuple(clip for clip in remaining if clip.clip_id not in held)
        check_disjoint(fit, (*own, *drawn))
        return fit, (*own, *drawn) if share else ()
    subjects = ranked(train)
    if len(subjects) < 2 or share == 0:
        return tuple(train), ()
    held_out = min(max(1, round(share * len(subjects))), len(subjects) - 1)
    row = {subject: number for number, subject in enumerate(subjects)}
    in_order = sorted(train, key=lambda clip: row[clip.subject])
    total = Counter(clip.label for clip in in_order)
    column = {label: number for number, label in enumerate(total)}
    clips_of = np.zeros((len(subjects), len(total)), np.int64)
    np.add.at(clips_of, ([row[clip.subject] for clip in train], [column[clip.label] for clip in train]), 1)
    order = random.Random(seed)

    def imbalance(chosen: Sequence[int]) -> tuple[int, float]:
        pairs = list(zip(clips_of[chosen].sum(axis=0).tolist(), total.values(), strict=True))
        return sum(held == all_ for held, all_ in pairs), sum(abs(held / all_ - share) for held, all_ in pairs)

    best = min((order.sample(range(len(subjects)), held_out) for _ in range(CANDIDATES)), key=imbalance)
    chosen = {subjects[number] for number in best}
    fit = tuple(clip for clip in train if clip.subject not in chosen)
    validation = tuple(clip for clip in train if clip.subject in chosen)
    check_disjoint(fit, validation)
    return fit, validation


def describe_validation(train: Sequence[Clip], share: float) -> str:
    """How the epoch is chosen, for the sentence that goes with a score.

    >>> describe_validation([], 0.0)
    'the last epoch is scored'
    """
    if share == 0 or len({clip.subject for clip in train}) < 2:
        return "the last epoch is scored"
    own = [clip for clip in train if clip.split == VALIDATION]
    if own:
        part = f"the dataset's own validation part ({counted(len(own), 'clip')})"
        if {clip.dataset for clip in train} == {clip.dataset for clip in own}:
            return f"the epoch is chosen on {part}"
        return f"the epoch is chosen on {part}, and on {share:.0%} of the other datasets' training clips, held out"
    known = subjects_known(train)
    whose = {True: "subjects", False: "clips, whose subjects are unknown"}.get(known, "subjects, clips where unknown")
    return f"the epoch is chosen on {share:.0%} of the training {whose}, held out"
