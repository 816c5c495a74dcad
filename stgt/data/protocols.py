"""Which subjects are trained on and which are tested: folds that never put a subject on both sides."""

import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted, natural_key
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.data.catalog.cards import DatasetCard

#: Splits that ``inner_validation`` compares before it takes the most balanced one.
CANDIDATES = 256


@dataclass(frozen=True)
class Protocol:
    """How a dataset is split; the fields are the keys of a ``[protocols.NAME]`` table of a card."""

    name: str
    rule: str
    """``rank_mod``, ``seeded``, ``subject_sets`` or ``official``: see ``RULES``."""
    summary: str
    """The rule in words, for reports."""
    folds: int = 0
    """Number of folds of ``rank_mod`` and ``seeded``."""
    seed: int = 0
    """Order of the subjects under ``seeded``."""
    test_subjects: tuple[tuple[str, ...], ...] = ()
    """For ``subject_sets``: the test subjects of each fold, as names or ranges of numbers (``"1001-1018"``)."""
    classes: tuple[str, ...] = ()
    """The classes that are used; empty: all of the card."""

    def describe(self, title: str, clips: Sequence[Clip]) -> str:
        """The protocol in one line with the size of what it is run on.

        Example: ``CK+ 10-fold, subject-independent (rank of labelled subject mod 10), 327 clips, 118 subjects,
        7 classes``.
        """
        used = self.used(clips)
        clips_text = counted(len(used), "clip")
        subjects = counted(len({clip.subject for clip in used}), "subject")
        classes = counted(len({clip.label for clip in used}), "class")
        return f"{title} {self.name}, {self.summary}, {clips_text}, {subjects}, {classes}"

    def used(self, clips: Iterable[Clip]) -> tuple[Clip, ...]:
        """The clips of the protocol's classes."""
        return tuple(clip for clip in clips if not self.classes or clip.label in self.classes)


@dataclass(frozen=True)
class Fold:
    """One split of a protocol."""

    index: int
    """The fold's number in the protocol, from 0; it stays the same when other folds are empty."""
    train: tuple[Clip, ...]
    test: tuple[Clip, ...]

    def without(self, clip_ids: Collection[str]) -> "Fold":
        """The fold less some clips (broken ones), everybody else staying where they are."""
        return Fold(
            self.index,
            tuple(clip for clip in self.train if clip.clip_id not in clip_ids),
            tuple(clip for clip in self.test if clip.clip_id not in clip_ids),
        )


def make_folds(card: "DatasetCard", clips: Sequence[Clip], protocol: str | None = None) -> list[Fold]:
    """The folds of ``card``'s ``protocol`` (none: its default) over ``clips``.

    Folds whose test subjects are not among ``clips`` are left out, so a part of a dataset can be worked with. Give all
    clips that were found and take broken ones out afterwards (``Fold.without``): a subject's rank, and so the folds,
    must not depend on which files are broken.

    Raises:
        DatasetError: unknown protocol, fewer than two subjects, a subject that is in no fold, or a subject on both
            sides of a fold.
    """
    chosen = card.protocol(protocol)
    subjects = sorted({clip.subject for clip in clips}, key=natural_key)
    if len(subjects) < 2:
        who = f"only one subject ({subjects[0]})" if subjects else "no clip"
        raise DatasetError(
            f"{card.title} has {who} here, and training needs subjects to train on and others to test on; "
            "a trained model can be tested on these clips with stgt evaluate"
        )
    if chosen.rule not in RULES:
        raise DatasetError(
            f"{card.name}: protocol {chosen.name} has the rule {chosen.rule!r}; rules: {', '.join(RULES)}"
        )
    used = chosen.used(clips)
    folds = []
    for index, is_test in enumerate(RULES[chosen.rule](chosen, subjects)):
        train = tuple(clip for clip in used if not is_test(clip))
        test = tuple(clip for clip in used if is_test(clip))
        if chosen.rule == "official":
            train = tuple(clip for clip in train if clip.split == "train")
        if train and test:
            check_disjoint(train, test)
            folds.append(Fold(index, train, test))
    if not folds:
        raise DatasetError(
            f"{card.title}: protocol {chosen.name} gives no fold with clips on both sides, because all "
            f"{len(subjects)} subjects here are test subjects of the same fold; copy more of the dataset"
        )
    return folds


def all_as_test(clips: Sequence[Clip]) -> Fold:
    """Every clip on the test side: for a model that was trained elsewhere."""
    return Fold(0, (), tuple(clips))


def check_disjoint(*sides: Sequence[Clip]) -> None:
    """Raise DatasetError if a subject, a clip or a source is on two of ``sides``."""
    for what, key in (("subject", "subject"), ("clip", "clip_id")):
        seen: set[str] = set()
        for side in sides:
            values = {getattr(clip, key) for clip in side}
            leaked = sorted(values & seen, key=natural_key)
            if leaked:
                raise DatasetError(
                    f"{what} {leaked[0]} is on two sides of a split ({len(leaked)} in all): the score would be a leak"
                )
            seen |= values


def inner_validation(train: Sequence[Clip], share: float, seed: int = 0) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Split training clips into ``(fit, validation)`` by subject, about ``share`` of the subjects in validation.

    Of many random splits the one is taken that keeps every class in ``fit`` and whose validation side has each class
    most nearly in proportion. The same clips, share and seed give the same split, in whatever order the clips come.
    With one subject, or a share of 0, validation is empty.
    """
    subjects = sorted({clip.subject for clip in train}, key=natural_key)
    if not 0 <= share < 1:
        raise DatasetError(f"the validation share is {share}; it must be at least 0 and below 1")
    if len(subjects) < 2 or share == 0:
        return tuple(train), ()
    held_out = min(max(1, round(share * len(subjects))), len(subjects) - 1)
    per_subject = {subject: Counter() for subject in subjects}
    for clip in train:
        per_subject[clip.subject][clip.label] += 1
    total = sum(per_subject.values(), Counter())
    order = random.Random(seed)

    def imbalance(chosen: Sequence[str]) -> tuple[int, float]:
        counted = sum((per_subject[subject] for subject in chosen), Counter())
        lost = sum(counted[label] == total[label] for label in total)
        return lost, sum(abs(counted[label] / total[label] - share) for label in total)

    best = min((order.sample(subjects, held_out) for _ in range(CANDIDATES)), key=imbalance)
    fit = tuple(clip for clip in train if clip.subject not in best)
    validation = tuple(clip for clip in train if clip.subject in best)
    check_disjoint(fit, validation)
    return fit, validation


IsTest = Callable[[Clip], bool]


def rank_mod(protocol: Protocol, subjects: Sequence[str]) -> list[IsTest]:
    """Fold k tests the subjects whose rank in natural order is k modulo the number of folds."""
    return by_rank(subjects, protocol.folds)


def seeded(protocol: Protocol, subjects: Sequence[str]) -> list[IsTest]:
    """As ``rank_mod``, after the subjects are shuffled by the protocol's seed."""
    return by_rank(random.Random(protocol.seed).sample(list(subjects), len(subjects)), protocol.folds)


def subject_sets(protocol: Protocol, subjects: Sequence[str]) -> list[IsTest]:
    """Fold k tests the subjects named in its list."""
    folds: list[set[str]] = []
    for entries in protocol.test_subjects:
        folds.append({subject for subject in subjects if any(names_subject(entry, subject) for entry in entries)})
    homeless = [subject for subject in subjects if not any(subject in fold for fold in folds)]
    if homeless:
        raise DatasetError(f"subject {homeless[0]} is in no fold of the protocol {protocol.name}")
    return [lambda clip, fold=fold: clip.subject in fold for fold in folds]


def official(protocol: Protocol, subjects: Sequence[str]) -> list[IsTest]:  # noqa: ARG001 - all rules are called alike
    """One fold: the dataset's own test split."""
    return [lambda clip: clip.split == "test"]


#: Name of a rule in a card -> the rule: for each fold, whether a clip is a test clip.
RULES: dict[str, Callable[[Protocol, Sequence[str]], list[IsTest]]] = {
    "rank_mod": rank_mod,
    "seeded": seeded,
    "subject_sets": subject_sets,
    "official": official,
}


def by_rank(subjects: Sequence[str], folds: int) -> list[IsTest]:
    """Folds by rank modulo ``folds``; fewer subjects than folds give a fold for each subject."""
    if folds < 2:
        raise DatasetError(f"a protocol needs at least 2 folds, not {folds}")
    fold_of = {subject: rank % folds for rank, subject in enumerate(subjects)}
    return [lambda clip, fold=fold: fold_of[clip.subject] == fold for fold in range(min(folds, len(subjects)))]


def names_subject(entry: str, subject: str) -> bool:
    """Whether ``entry``, a name or a range of numbers like ``1001-1018``, means ``subject``."""
    bounds = re.fullmatch(r"(\d+)-(\d+)", entry)
    if bounds and subject.isdigit():
        return int(bounds[1]) <= int(subject) <= int(bounds[2])
    return entry == subject
