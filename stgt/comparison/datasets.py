"""The datasets on which methods are compared: the same clips and folds for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from stgt.comparison.config import CompareConfig
from stgt.config import names
from stgt.data.catalog.cards import ClipListing, DatasetCard, load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold, make_folds
from stgt.data.union import assignments
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.data.preparation.prepare import Prepared


@dataclass(frozen=True)
class Ground:
    """A dataset, found on disk.

    Attributes:
        name: in tables and folders: the card's, or one of the user's own.
        asked: how its card is asked for: a name or a path.
        card: what is known of it.
        listing: its clips.
        protocol: name of the protocol; None: the card's default one.
        folds: those that are run.
        all_folds: how many the protocol has.
        config: of the comparison.
    """

    name: str
    asked: str
    card: DatasetCard
    listing: ClipListing
    protocol: str | None
    folds: tuple[Fold, ...]
    all_folds: int
    config: CompareConfig = field(repr=False)

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """Those of the protocol."""
        return self.card.protocol(self.protocol).used(self.listing.clips)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the models' outputs."""
        present = {clip.label for clip in self.clips}
        return tuple(name for name in self.listing.classes if name in present)

    @cached_property
    def prepared(self) -> "Prepared":
        """Their tracks and crops."""
        from stgt.data.preparation.prepare import prepare_clips

        return prepare_clips(self.clips, cache=self.config.cache, workers=self.config.workers)

    @property
    def extent(self) -> str:
        """Which folds are run, as the protocol's sentence goes on; empty if all are."""
        if len(self.folds) == self.all_folds:
            return ""
        tested = sum(len(fold.test) for fold in self.folds)
        which = " and ".join(str(fold.index) for fold in self.folds)
        return f"; fold{'s' if len(self.folds) > 1 else ''} {which} of {self.all_folds} only ({tested} test clips)"


def find_grounds(config: CompareConfig) -> list[Ground]:
    """The datasets of a comparison.

    Raises:
        DatasetError: one is not known, not there, or named twice, or an option names one that is not asked for.
    """
    entries = [read_entry(entry) for entry in names(config.datasets)]
    known = [name for name, _ in entries]
    twice = next((name for name in known if known.count(name) > 1), None)
    if twice:
        raise DatasetError(f"{twice} is named twice in --datasets; a further copy has a name of its own: far={twice}")
    if not entries:
        raise DatasetError("--datasets names no dataset")
    roots, protocols = assignments(config.roots, "roots"), assignments(config.protocols, "protocols")
    for option, given in (("roots", roots), ("protocols", protocols)):
        stray = next((name for name in given if name not in known), None)
        if stray:
            raise DatasetError(f"--{option} names {stray}, which is not in --datasets ({', '.join(known)})")
    return [find_ground(name, asked, roots.get(name), protocols.get(name), config) for name, asked in entries]


def read_entry(entry: str) -> tuple[str, str]:
    """``"far=synthetic"`` -> ``("far", "synthetic")``; without a name of its own a dataset has its card's."""
    name, equals, asked = (part.strip() for part in entry.partition("="))
    if not equals:
        return load_card(name).name, name
    if not (name and asked):
        raise DatasetError(f"--datasets has {entry!r}; it is written CARD, or NAME=CARD")
    return name, asked


def find_ground(name: str, asked: str, root: str | None, protocol: str | None, config: CompareConfig) -> Ground:
    """One dataset, with the folds that are run."""
    card = load_card(asked)
    if card.locate(root) is None:
        raise DatasetError(f"{card.absence(root)}\nIts folder is given with --roots {name}=PATH.")
    rule = (config.subject_pattern, config.subject_csv) if card.subjects == "user" else (None, None)
    listing = card.find_clips(root, *rule)
    every = make_folds(card, listing.clips, protocol)
    return Ground(name, asked, card, listing, protocol, chosen_folds(every, config), len(every), config)


def chosen_folds(folds: Sequence[Fold], config: CompareConfig) -> tuple[Fold, ...]:
    """The first of the folds, as many as are asked for."""
    count = config.folds or (1 if config.quick else len(folds))
    return tuple(folds[:count])


def with_folds(ground: Ground, folds: Sequence[Fold]) -> Ground:
    """The same dataset with other folds: fewer training subjects."""
    return replace(ground, folds=tuple(folds))
