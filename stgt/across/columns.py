"""The datasets that are tested on: the columns of the matrix."""

from functools import cached_property
from typing import TYPE_CHECKING

from stgt.across.config import MatrixConfig
from stgt.data.catalog.cards import DatasetCard, load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.union import Member, assignments, checked_roots, find_member, names_in, refuse_common_files
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.data.preparation.prepare import Prepared


class Column:
    """A dataset that is tested on.

    Args:
        asked: how it was named: a card, or the path of the user's own.
        member: its card and its clips.
        config: of the matrix.
        protocol: whose classes and folds are used; none: the card's default.
    """

    def __init__(self, asked: str, member: Member, config: MatrixConfig, protocol: str | None) -> None:
        self.asked = asked
        self.card: DatasetCard = member.card
        self.member = member
        self.config = config
        self.protocol = protocol

    @property
    def name(self) -> str:
        """Of the dataset."""
        return self.member.name

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """Those of the protocol."""
        return self.card.protocol(self.protocol).used(self.member.listing.clips)

    @cached_property
    def prepared(self) -> "Prepared":
        """Their tracks and crops."""
        from stgt.data.preparation.prepare import prepare_clips

        return prepare_clips(self.clips, cache=self.config.cache, workers=self.config.workers)

    @cached_property
    def contents(self) -> frozenset[str]:
        """Keys of what the clips show."""
        return frozenset(self.prepared.content(clip_id) for clip_id in self.prepared)


def find_columns(config: MatrixConfig) -> list[Column]:
    """The datasets, found on disk.

    Raises:
        DatasetError: one is not known, not there, or named twice, or two hold the same file.
    """
    cards = [load_card(name) for name in names_in(config.dataset)]
    names = [card.dataset for card in cards]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DatasetError(f"{twice} is named twice in --dataset")
    roots = checked_roots(assignments(config.roots, "roots"), cards)
    protocols = assignments(config.protocols, "protocols")
    stray = next((name for name in protocols if name not in names), None)
    if stray:
        raise DatasetError(f"--protocols names {stray}, which is not in --dataset ({', '.join(names)})")
    members = [find_member(card, roots.get(card.dataset), config.subject_pattern, config.subject_csv) for card in cards]
    refuse_common_files(members)
    asked = names_in(config.dataset)
    return [
        Column(name, member, config, protocols.get(member.name)) for name, member in zip(asked, members, strict=True)
    ]
