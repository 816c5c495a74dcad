"""Which subjects are trained on and which are tested: folds that never put a subject on both sides."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted, natural_key
from stgt.data.rules import RULES, TEST, TRAIN, ranked
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.data.catalog.cards import DatasetCard


@dataclass(frozen=True)
class Protocol:
    """How a dataset is split; the fields are the keys of a ``[protocols.NAME]`` table of a card."""

    name: str
    rule: str
    """A name in ``stgt.data.rules.RULES``."""
    summary: str
    """The rule in words, for reports."""
    folds: int = 0
    """Number of folds of ``rank_mod``, ``seeded`` and ``blocks``."""
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
        classes = counted(len({clip.label for clip in used}), "class")
        return f"{title} {self.name}, {self.summary}, {clips_text}, {describe_subjects(used)}, {classes}"

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
    subjects = ranked(clips)
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
    for index, side in enumerate(RULES[chosen.rule](chosen, clips)):
        sides = [side(clip) for clip in used]
        train = tuple(clip for clip, side in zip(used, sides, strict=True) if side == TRAIN)
        test = tuple(clip for clip, side in zip(used, sides, strict=True) if side == TEST)
        if train and test:
            check_disjoint(train, test)
            folds.append(Fold(index, train, test))
    if not folds:
        raise DatasetError(
            f"{card.title}: protocol {chosen.name} gives no fold with clips on both sides, because the "
            f"{counted(len(used), 'clip')} of {counted(len(subjects), 'subject')} here are all on the same side; "
            "copy more of the dataset"
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


def knows_subject(clip: Clip) -> bool:
    """Whether it is known who is seen in a clip: otherwise the clip's own id stands in for the subject.

    A union of datasets writes a clip's id with a slash, and its subject with a colon, after the dataset.
    """
    return clip.subject not in (clip.clip_id, clip.clip_id.replace("/", ":", 1))


def subjects_known(clips: Iterable[Clip]) -> bool | None:
    """Whether it is known who is seen in all of ``clips``, in none of them (False), or in some (None)."""
    known = {knows_subject(clip) for clip in clips}
    return None if len(known) > 1 else known != {False}


def describe_subjects(clips: Sequence[Clip]) -> str:
    """``118 subjects``, or that they are unknown: intervals and inner validation are by clip then."""
    strangers = sum(not knows_subject(clip) for clip in clips)
    subjects = counted(len({clip.subject for clip in clips if knows_subject(clip)}), "subject")
    if not strangers:
        return subjects
    unknown = "subjects unknown (each clip counts as one)"
    return unknown if strangers == len(clips) else f"{subjects} and {counted(strangers, 'clip')} of {unknown}"
