"""Several datasets as one: their clips under names of their own, their classes matched by name, their folds together.

A clip of a union is called ``dataset/clip`` and a subject ``dataset:subject``, so that equal names in two datasets stay
apart. Whether two datasets show the same person under different names, nobody can tell from files; that a file itself
is in two of them is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from stgt.data.catalog.cards import ClipListing, DatasetCard, load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold, Protocol, make_folds
from stgt.data.vocabulary import meaning
from stgt.errors import DatasetError

#: The protocols of every union; the first is the default.
MERGED, LEAVE_ONE_OUT = "merged", "leave_one_dataset_out"
#: Which classes of a union are used: those of any of its datasets, or those of at least two.
CLASSES = ("all", "shared")
#: Characters of a heading.
LONGEST_TITLE = 60


@dataclass(frozen=True)
class Member:
    """One dataset of a union."""

    card: DatasetCard
    listing: ClipListing
    """As it is found without the others."""
    renamed: Mapping[str, str]
    """Labels of the dataset that have another name in the union -> that name."""

    @property
    def name(self) -> str:
        """By which its clips are told from others; two variants of one dataset show the same people."""
        return self.card.dataset

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """The clips of its default protocol, as the union has them."""
        return tuple(self.joined(clip) for clip in self.card.protocol().used(self.listing.clips))

    def joined(self, clip: Clip) -> Clip:
        """A clip of the dataset as the union has it."""
        return replace(
            clip,
            clip_id=f"{self.name}/{clip.clip_id}",
            subject=f"{self.name}:{clip.subject}",
            label=self.renamed.get(clip.label, clip.label),
            shares=clip.shares and {self.renamed.get(name, name): share for name, share in clip.shares.items()},
            dataset=self.name,
        )

    def folds(self) -> list[Fold]:
        """The folds of its own default protocol, over the clips of the union."""
        joined = {clip.clip_id.removeprefix(f"{self.name}/"): clip for clip in self.clips}

        def side(clips: Sequence[Clip]) -> tuple[Clip, ...]:
            return tuple(joined[clip.clip_id] for clip in clips)

        folds = make_folds(self.card, self.listing.clips)
        return [Fold(fold.index, side(fold.train), side(fold.test)) for fold in folds]


@dataclass(frozen=True)
class UnionCard(DatasetCard):
    """The card of a union: ``name`` is its datasets' names with commas between them."""

    members: tuple[Member, ...] = ()


def names_in(dataset: str) -> tuple[str, ...]:
    """``"a, b"`` -> ``("a", "b")``: the datasets that an option names."""
    return tuple(name.strip() for name in dataset.split(",") if name.strip())


def assignments(text: str | None, option: str) -> dict[str, str]:
    """``"a=x,b=y"`` -> ``{"a": "x", "b": "y"}``; a comma within a value is kept.

    Raises:
        DatasetError: it is not written so, or names something twice.
    """
    found: dict[str, str] = {}
    for part in re.split(r",(?=[^,=]+=)", text.strip()) if text and text.strip() else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise DatasetError(f"--{option} is {text!r}; it is written name=value,name=value")
        if name in found:
            raise DatasetError(f"--{option} names {name} twice")
        found[name] = value
    return found


def find_dataset(
    dataset: str,
    root: Path | str | None = None,
    roots: Mapping[str, Path | str] | None = None,
    subject_pattern: str | None = None,
    subject_csv: Path | str | None = None,
    classes: str | None = None,
) -> tuple[DatasetCard, ClipListing]:
    """The card and the clips of one dataset, or of several with commas between their names.

    Args:
        dataset: name or names.
        root: where a single dataset lies.
        roots: dataset -> where it lies.
        subject_pattern: for cards that ask the user for the subjects.
        subject_csv: for the same.
        classes: of a union, one of ``CLASSES``; none: as the protocol has it.

    Raises:
        DatasetError: a dataset that is not known or not there, or settings that contradict each other.
    """
    names = names_in(dataset)
    if len(names) > 1:
        if root is not None:
            raise DatasetError(f"--root says where one dataset lies; for {dataset} give --roots NAME=PATH,NAME=PATH")
        return find_union(names, roots, subject_pattern, subject_csv, classes)
    if classes is not None:
        raise DatasetError("--classes chooses among the classes of several datasets; give --dataset a,b")
    card = load_card(names[0] if names else dataset)
    places = checked_roots(roots, [card])
    return card, card.find_clips(places.get(card.dataset, root), subject_pattern, subject_csv)


def find_union(
    names: Sequence[str],
    roots: Mapping[str, Path | str] | None = None,
    subject_pattern: str | None = None,
    subject_csv: Path | str | None = None,
    classes: str | None = None,
) -> tuple[UnionCard, ClipListing]:
    """The union of the datasets called ``names``.

    Its protocols are ``merged`` (fold k tests what fold k of each dataset's default protocol tests) over the classes of
    all datasets, and ``leave_one_dataset_out`` over the classes that at least two datasets have, as only these can be
    learned from some and tested on another.

    Args:
        names: of cards, or paths of the user's own; at least two.
        roots: dataset -> where it lies; for those that are not given, as for a single dataset.
        subject_pattern: for those datasets whose card asks the user for the subjects.
        subject_csv: for the same.
        classes: one of ``CLASSES``, for both protocols; none: as above.

    Raises:
        DatasetError: a dataset that is not known or not there, one that is named twice, no common class, or a file that
            is in two datasets.
    """
    cards = [load_card(name) for name in names]
    twice = next((card.dataset for card in cards if sum(card.dataset == other.dataset for other in cards) > 1), None)
    if twice:
        raise DatasetError(f"{twice} is named twice in --dataset; its people would be in training and test")
    if classes is not None and classes not in CLASSES:
        raise DatasetError(f"--classes is {classes!r}; it is {' or '.join(CLASSES)}")
    places = checked_roots(roots, cards)
    members = tuple(find_member(card, places.get(card.dataset), subject_pattern, subject_csv) for card in cards)
    refuse_common_files(members)
    every, shared = class_names(members)
    chosen = {MERGED: classes or "all", LEAVE_ONE_OUT: classes or "shared"}
    used = {name: () if choice == "all" else shared for name, choice in chosen.items()}
    card = union_card(members, every, used)
    clips = tuple(clip for member in members for clip in member.clips)
    notes = tuple(f"{member.name}: {note}" for member in members for note in member_notes(member))
    return card, ClipListing(members[0].listing.root, clips, (*notes, *settings_notes(cards)), every)


def checked_roots(roots: Mapping[str, Path | str] | None, cards: Sequence[DatasetCard]) -> dict[str, Path | str]:
    """Dataset -> its root, or DatasetError if one is given for a dataset that is not asked for."""
    known = [card.dataset for card in cards]
    places = {name.partition("@")[0]: place for name, place in (roots or {}).items()}
    for name in places:
        if name not in known:
            raise DatasetError(f"--roots gives a folder for {name}, which is not in --dataset ({', '.join(known)})")
    return places


def find_member(
    card: DatasetCard, root: Path | str | None, subject_pattern: str | None, subject_csv: Path | str | None
) -> Member:
    """One dataset of a union, found on disk."""
    if card.locate(root) is None:
        raise DatasetError(f"{card.absence(root)}\nIts folder is given with --roots {card.dataset}=PATH.")
    rule = (subject_pattern, subject_csv) if card.subjects == "user" else (None, None)
    listing = card.find_clips(root, *rule)
    labels = dict.fromkeys(clip.label for clip in card.protocol().used(listing.clips))
    return Member(card, listing, {label: meaning(label) for label in labels if meaning(label) != label})


def member_notes(member: Member) -> list[str]:
    """What is to be said of a dataset: its own notes, and the labels that have another name in the union."""
    renamed = ", ".join(f"{label} counts as {name}" for label, name in member.renamed.items())
    return [*member.listing.notes, *([renamed] if renamed else [])]


def refuse_common_files(members: Sequence[Member]) -> None:
    """Raise DatasetError if a stretch of a file is in two datasets: it would be in training and in test."""
    owner: dict[tuple, str] = {}
    for member in members:
        for clip in member.listing.clips:
            before = owner.setdefault((clip.source, clip.start_s, clip.end_s), member.name)
            if before != member.name:
                raise DatasetError(
                    f"{clip.source} is in {before} and in {member.name}: the score would be a leak; give each dataset "
                    "a folder of its own"
                )


def class_names(members: Sequence[Member]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of all datasets, and those that at least two of them have, in the order in which they are met.

    Raises:
        DatasetError: no two datasets have a class in common.
    """
    of = {member.name: dict.fromkeys(clip.label for clip in member.clips) for member in members}
    ordered = [member.renamed.get(label, label) for member in members for label in member.listing.classes]
    every = tuple(label for label in dict.fromkeys(ordered) if any(label in labels for labels in of.values()))
    shared = tuple(label for label in every if sum(label in labels for labels in of.values()) > 1)
    if not shared:
        lists = "; ".join(f"{name} has {', '.join(labels)}" for name, labels in of.items())
        raise DatasetError(f"the datasets have no class in common: {lists}")
    return every, shared


def union_card(members: Sequence[Member], classes: tuple[str, ...], used: Mapping[str, tuple[str, ...]]) -> UnionCard:
    """The card of a union; ``used`` are the classes of its protocols (empty: all)."""
    cards = [member.card for member in members]
    own = ", ".join(f"{card.name} {card.default_protocol}" for card in cards)
    protocols = (
        Protocol(MERGED, MERGED, f"fold by fold what each dataset's own protocol tests ({own})", classes=used[MERGED]),
        Protocol(
            LEAVE_ONE_OUT,
            LEAVE_ONE_OUT,
            "each dataset tested by a model that was trained on the others alone",
            classes=used[LEAVE_ONE_OUT],
        ),
    )
    return UnionCard(
        name=",".join(card.name for card in cards),
        title=union_title(cards),
        licence="; ".join(f"{card.title}: {card.licence}" for card in cards),
        how_to_get="\n".join(card.how_to_get for card in cards),
        tree="\n".join(card.tree for card in cards),
        layouts=(),
        protocols={protocol.name: protocol for protocol in protocols},
        default_protocol=MERGED,
        citation="\n\n".join(card.citation.strip() for card in cards if card.citation),
        classes=classes,
        known_broken=tuple(f"{card.dataset}/{clip_id}" for card in cards for clip_id in card.known_broken),
        defaults=common_settings(cards),
        members=tuple(members),
    )


def union_title(cards: Sequence[DatasetCard]) -> str:
    """The titles of the datasets; their names where that would be too long for a heading."""
    titles = " + ".join(card.title for card in cards)
    return titles if len(titles) <= LONGEST_TITLE else " + ".join(card.dataset for card in cards)


def common_settings(cards: Sequence[DatasetCard]) -> dict[str, Any]:
    """The recommended settings that all cards have in common."""
    first = cards[0].defaults
    return {key: value for key, value in first.items() if all(card.defaults.get(key) == value for card in cards)}


def settings_notes(cards: Sequence[DatasetCard]) -> tuple[str, ...]:
    """A note where a card recommends settings that not all have in common."""
    common = common_settings(cards)
    differing = [
        f"{key} = {value} of {card.name}" for card in cards for key, value in card.defaults.items() if key not in common
    ]
    return (f"recommended for one dataset only, and so not used: {', '.join(differing)}",) if differing else ()
