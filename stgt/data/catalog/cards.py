"""Dataset cards: everything that STGT knows about a dataset, read from ``datasets/*.toml``."""

import dataclasses
import difflib
import os
import sys
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from stgt.data.catalog.layouts import MEDIA, Clip, Found, Layout, Reading, SubjectRule, read_layout
from stgt.data.disk import counted, natural_key
from stgt.data.protocols import Protocol
from stgt.errors import DatasetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "Clip",
    "ClipListing",
    "Counts",
    "DatasetCard",
    "PublishedResult",
    "Refusal",
    "list_cards",
    "load_card",
]

Table = TypeVar("Table")


@dataclass(frozen=True)
class Counts:
    """How much a complete copy holds."""

    clips: int
    subjects: int


@dataclass(frozen=True)
class PublishedResult:
    """A figure from the literature, in percent."""

    method: str
    war: float
    source: str
    protocol: str
    uar: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Refusal:
    """A known bad copy of the dataset, by a glob that only it matches, and why it is not used."""

    find: str
    because: str


@dataclass(frozen=True)
class ClipListing:
    """The clips of a dataset on this machine, and what was left out or is missing."""

    root: Path
    clips: tuple[Clip, ...]
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    """Class names in the card's order."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in natural order."""
        return tuple(sorted({clip.subject for clip in self.clips}, key=natural_key))

    @property
    def clips_per_class(self) -> dict[str, int]:
        """Class name -> number of clips, in the order of ``classes``."""
        counted = Counter(clip.label for clip in self.clips)
        return {name: counted[name] for name in self.classes}

    def __len__(self) -> int:
        return len(self.clips)


@dataclass(frozen=True)
class DatasetCard:
    """One dataset; the fields are the keys of its TOML file, which docs/datasets.md explains."""

    name: str
    title: str
    licence: str
    how_to_get: str
    tree: str
    """The expected tree, as text."""
    layouts: tuple[Layout, ...]
    protocols: Mapping[str, Protocol]
    default_protocol: str
    folders: tuple[str, ...] = ()
    """Names under which the dataset is looked for below ``$STGT_DATA`` and ``./data``."""
    homepage: str = ""
    citation: str = ""
    """BibTeX."""
    classes: tuple[str, ...] = ()
    """Class names; empty: whatever labels are found."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The dataset's codes -> class names; a code that is a class name needs no entry."""
    counts: Counts | None = None
    apex: str = "unknown"
    """``last``: the expression is strongest at the end of a clip; ``unknown``: it may be anywhere."""
    subjects_from_user: bool = False
    """The subject is read by a pattern or a CSV file that the user gives."""
    known_broken: tuple[str, ...] = ()
    """Clips that are broken in the released dataset itself."""
    refuse: tuple[Refusal, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings that suit this dataset, as dotted keys of a training configuration."""
    published: tuple[PublishedResult, ...] = ()

    def places(self, root: Path | str | None = None) -> list[Path]:
        """Where the dataset is looked for, in order: ``root`` alone if given, else below $STGT_DATA and ./data."""
        if root is not None:
            return [Path(root).expanduser()]
        bases = [Path(os.environ["STGT_DATA"]).expanduser()] if os.environ.get("STGT_DATA") else []
        return [base / folder for base in [*bases, Path("data")] for folder in self.folders]

    def locate(self, root: Path | str | None = None) -> Path | None:
        """The first of ``places(root)`` that is a folder, or None."""
        return next((place for place in self.places(root) if place.is_dir()), None)

    def find_clips(
        self,
        root: Path | str | None = None,
        subject_pattern: str | None = None,
        subject_csv: Path | str | None = None,
    ) -> ClipListing:
        """Every labelled clip of the dataset at ``root`` (none: wherever ``locate`` finds it).

        Args:
            root: folder of the dataset.
            subject_pattern: for cards with ``subjects_from_user``: regular expression over a clip's path; its group
                ``subject``, else its first group, else the whole match is the subject.
            subject_csv: the same from a CSV file with the columns clip and subject.

        Raises:
            DatasetError: the dataset is absent, half copied, a copy that must not be used, or holds no clip.
        """
        folder = self.locate(root)
        if folder is None:
            raise DatasetError(self.absence(root))
        rule = self.subject_rule(subject_pattern, subject_csv)
        reading = Reading(self.labels, self.classes, rule, self.apex)
        folder = folder.absolute()
        tried: list[Found] = []
        for layout in self.layouts:
            found = read_layout(layout, folder, reading)
            if found.clips:
                clips = found.clips
                classes = self.classes or tuple(sorted({clip.label for clip in clips}, key=natural_key))
                return ClipListing(folder, clips, (*self.shortfall(clips), *found.notes), classes)
            tried.append(found)
        raise DatasetError(self.emptiness(folder, tried))

    def subject_rule(self, pattern: str | None, table: Path | str | None) -> SubjectRule:
        """The user's rule for subjects, checked against what the card needs."""
        rule = SubjectRule(pattern, table)
        if rule and not self.subjects_from_user:
            raise DatasetError(f"{self.name} reads its subjects itself; a subject pattern or CSV is for folder")
        if self.subjects_from_user and not rule:
            raise DatasetError(
                "who is seen in which clip must be known, or the same face would be in training and test: give "
                "--subject_pattern (a regular expression over the path, e.g. '(S\\d+)_') or --subject_csv (a file with "
                "the columns clip and subject; if every clip shows somebody else, give each its own subject there)"
            )
        return rule

    def absence(self, root: Path | str | None = None) -> str:
        """The sentence for a dataset that is not there: where it was looked for, how to get it, the expected tree."""
        places = self.places(root)
        looked = f"looked in {', '.join(map(str, places))}" if places else "give its folder with --root"
        return f"{self.title} is not there: {looked}. {self.how_to_get} Expected tree:\n{self.tree.rstrip()}"

    def emptiness(self, root: Path, tried: list[Found]) -> str:
        """The sentence for a folder without a single usable clip."""
        for refusal in self.refuse:
            example = next(iter(root.glob(refusal.find)), None)
            if example is not None:
                return f"{root} is refused as {self.title} (found {example.relative_to(root)}): {refusal.because}"
        nearest = max(tried, key=lambda found: (bool(found.notes), len(found.present)))
        if nearest.absent and nearest.present:
            reason = f"is half copied: {', '.join(nearest.present)} is there, {', '.join(nearest.absent)} is not"
        elif nearest.notes:
            reason = f"holds no usable clip ({'; '.join(nearest.notes)})"
        else:
            reason = "holds no clip in the expected layout"
        return f"{root} {reason}. {self.how_to_get} Expected tree:\n{self.tree.rstrip()}"

    def shortfall(self, clips: tuple[Clip, ...]) -> tuple[str, ...]:
        """A warning when ``clips`` are not the whole dataset."""
        subjects = len({clip.subject for clip in clips})
        if self.counts is None or (len(clips), subjects) == (self.counts.clips, self.counts.subjects):
            return ()
        return (
            f"{counted(len(clips), 'clip')} of {counted(subjects, 'subject')}, where a complete copy has "
            f"{self.counts.clips:,} of {self.counts.subjects}: figures cannot be compared with published ones",
        )

    def protocol(self, name: str | None = None) -> Protocol:
        """The protocol called ``name``, or the default one.

        Raises:
            DatasetError: the card has no such protocol.
        """
        wanted = name or self.default_protocol
        if wanted not in self.protocols:
            raise DatasetError(f"{self.name} has no protocol {wanted!r}; it has {', '.join(self.protocols)}")
        return self.protocols[wanted]


def list_cards() -> list[str]:
    """Names of the cards that come with STGT."""
    files = (file.name for file in resources.files("stgt.cards").iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load_card(name: str) -> DatasetCard:
    """The card called ``name``, or the user's own one at the path ``name`` (ending in .toml).

    Raises:
        DatasetError: no such card, or the file does not follow the schema (the sentence names file and key).
    """
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise DatasetError(f"there is no card {path}")
        return parse_card(path.stem, path.read_text(encoding="utf-8"), str(path))
    cards = list_cards()
    if name.lower() not in cards:
        near = difflib.get_close_matches(name.lower(), cards, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise DatasetError(
            f"there is no dataset {name!r}; {hint}the cards are {', '.join(cards)}, or the path of your own .toml card"
        )
    file = f"{name.lower()}.toml"
    return parse_card(name.lower(), (resources.files("stgt.cards") / file).read_text(encoding="utf-8"), file)


def parse_card(name: str, text: str, where: str) -> DatasetCard:
    """A card from the text of its TOML file; ``where`` is how errors name the file."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{where} is not TOML: {error}") from None
    protocols = {key: {"name": key, **value} for key, value in values.pop("protocols", {}).items()}
    card = from_table(DatasetCard, {"name": name, **values, "protocols": protocols}, where)
    if card.default_protocol not in card.protocols:
        raise DatasetError(f"{where}: default_protocol {card.default_protocol!r} is not one of its protocols")
    if card.apex not in ("last", "unknown"):
        raise DatasetError(f"{where}: apex is {card.apex!r}; it is either last or unknown")
    for layout in card.layouts:
        if (layout.match is None) == (layout.table is None):
            raise DatasetError(f"{where}: a layout has either match (a pattern over paths) or table (a CSV file)")
        if layout.media not in MEDIA:
            raise DatasetError(f"{where}: media is {layout.media!r}; it is one of {', '.join(MEDIA)}")
    known = set(card.classes)
    stray = sorted(label for label in card.labels.values() if known and label not in known)
    if stray:
        raise DatasetError(f"{where}: labels name {stray[0]!r}, which is not one of its classes")
    return card


def from_table(kind: type[Table], values: Mapping[str, Any], where: str) -> Table:
    """A dataclass from a TOML table; lists of tables and mappings of tables become dataclasses as its hints say."""
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            raise DatasetError(f"{where}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    for entry in dataclasses.fields(kind):  # type: ignore[arg-type]
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and entry.name not in values:
            raise DatasetError(f"{where}: the key {entry.name!r} is missing")
    return kind(**{key: converted(hints[key], value, f"{where}, {key}") for key, value in values.items()})


def converted(hint: Any, value: Any, where: str) -> Any:
    """``value`` of a TOML file as the type ``hint``, or a DatasetError that says where it does not fit."""
    parts = typing.get_args(hint)
    inner = next((part for part in parts if dataclasses.is_dataclass(part)), None)
    if dataclasses.is_dataclass(hint):
        inner = hint
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise DatasetError(f"{where}: a list is expected")
        return tuple(from_table(inner, item, where) if inner else item for item in value)
    if isinstance(value, Mapping):
        if inner is None:
            return dict(value)
        if parts and parts[0] is str:
            return {key: from_table(inner, item, f"{where}.{key}") for key, item in value.items()}
        return from_table(inner, value, where)
    if hint is float and isinstance(value, int):
        return float(value)
    if hint in (str, int, float, bool) and not isinstance(value, hint):
        raise DatasetError(f"{where}: {hint.__name__} is expected, not {value!r}")
    return value
