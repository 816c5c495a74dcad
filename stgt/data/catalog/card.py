"""A dataset card: everything that STGT knows about a dataset, and what of it lies on this machine."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stgt.data.catalog.layouts import Clip, Layout
from stgt.data.catalog.levels import other_level
from stgt.data.catalog.notes import shown
from stgt.data.catalog.reading import Found, Reading, read_layout
from stgt.data.catalog.subjects import SubjectRule
from stgt.data.catalog.tree import Tree
from stgt.data.disk import natural_key
from stgt.data.protocols import Protocol
from stgt.errors import DatasetError


@dataclass(frozen=True)
class Counts:
    """How much a complete copy holds, as published or measured on the official lists."""

    clips: int
    subjects: int | None = None
    """None where nobody knows who is seen."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """Class name -> clips."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """Side of the official split -> clips."""
    folds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Name of a protocol -> test clips of each fold."""


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
class Variant:
    """Another choice of a dataset's recordings, asked for as ``NAME@VARIANT``."""

    summary: str
    """What it chooses, in a line."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the card with other values; the entries of a table are added to those of the card."""


@dataclass(frozen=True)
class ClipListing:
    """The clips of a dataset on this machine, and what was left out or is missing."""

    root: Path
    clips: tuple[Clip, ...]
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    """Class names in the card's order."""
    layout: str = ""
    """Name of the card's layout that was read, if it has one."""
    missing: tuple[str, ...] = ()
    """Clips that the dataset's own lists or label files name, and that are not there."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in natural order."""
        return tuple(sorted({clip.subject for clip in self.clips}, key=natural_key))

    @property
    def clips_per_class(self) -> dict[str, int]:
        """Class name -> number of clips, in the order of ``classes``."""
        counts = Counter(clip.label for clip in self.clips)
        return {name: counts[name] for name in self.classes}

    @property
    def clips_per_split(self) -> dict[str, int]:
        """Side of the official split -> number of clips; empty without one."""
        return dict(Counter(clip.split for clip in self.clips if clip.split))

    def __len__(self) -> int:
        return len(self.clips)


@dataclass(frozen=True)
class DatasetCard:
    """One dataset; the fields are the keys of its TOML file, which docs/datasets.md explains."""

    name: str
    """As asked for: the dataset, with ``@VARIANT`` where one was chosen."""
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
    """The dataset's codes -> class names, whatever their case; a code that is a class name needs no entry."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """The dataset's words for the sides of its split -> ``train``, ``validation``, ``test``."""
    counts: Counts | None = None
    apex: str = "unknown"
    """``last``: the expression is strongest at the end of a clip; ``unknown``: it may be anywhere."""
    subjects: str = "known"
    """``known``: the card reads who is seen; ``user``: by a pattern or a CSV file that the user gives; ``none``: nobody
    knows, and every clip counts as a subject of its own."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What fills ``{names}`` in the patterns of all layouts; variants choose other values."""
    use: tuple[str, ...] = ()
    """Names of the layouts that are tried, in this order; empty: all."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """Other choices of the recordings, as ``NAME@VARIANT``."""
    known_broken: tuple[str, ...] = ()
    """Clips that are broken in the released dataset itself."""
    refuse: tuple[Refusal, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings that suit this dataset, as dotted keys of a training configuration."""
    published: tuple[PublishedResult, ...] = ()
    remarks: tuple[str, ...] = ()
    """What a user of the dataset should know; ``(unverified)`` marks what could not be checked."""

    @property
    def dataset(self) -> str:
        """The name without its variant, as clips carry it."""
        return self.name.partition("@")[0]

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
            subject_pattern: for cards whose subjects only the user knows: regular expression over a clip's path; its
                group ``subject``, else its first group, else the whole match is the subject.
            subject_csv: the same from a CSV file with the columns clip and subject.

        Raises:
            DatasetError: the dataset is absent, half copied, a copy that must not be used, given by the wrong level of
                its tree, contradicts itself, or holds no clip.
        """
        folder = self.locate(root)
        if folder is None:
            raise DatasetError(self.absence(root))
        reading = self.reading(self.subject_rule(subject_pattern, subject_csv))
        folder = folder.absolute()
        tried: list[Found] = []
        tree = Tree()
        for layout in self.chosen_layouts():
            found = read_layout(layout, folder, reading, tree)
            if found.clips:
                classes = self.classes or tuple(sorted({clip.label for clip in found.clips}, key=natural_key))
                notes = (*self.shortfall(found), *self.one_subject_alone(folder, found), *found.notes)
                return ClipListing(folder, found.clips, notes, classes, layout.name, found.missing)
            tried.append(found)
        raise DatasetError(self.emptiness(folder, tried, reading, tree))

    def chosen_layouts(self) -> tuple[Layout, ...]:
        """The layouts that are tried, in order."""
        by_name = {layout.name: layout for layout in self.layouts}
        return tuple(by_name[name] for name in self.use) if self.use else self.layouts

    def reading(self, rule: SubjectRule) -> Reading:
        """What all layouts have in common."""
        return Reading(
            dataset=self.dataset,
            labels=self.labels,
            classes=self.classes,
            splits=self.splits,
            values=self.values,
            rule=rule,
            subjects_known=self.subjects != "none",
            apex=self.apex,
        )

    def subject_rule(self, pattern: str | None, table: Path | str | None) -> SubjectRule:
        """The user's rule for subjects, checked against what the card needs."""
        rule = SubjectRule(pattern, table)
        if rule and self.subjects != "user":
            raise DatasetError(f"{self.name} reads its subjects itself; a subject pattern or CSV is for folder")
        if self.subjects == "user" and not rule:
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

    def emptiness(self, root: Path, tried: list[Found], reading: Reading, tree: Tree) -> str:
        """The sentence for a folder without a single usable clip."""
        for refusal in self.refuse:
            example = next(iter(root.glob(refusal.find)), None)
            if example is not None:
                return f"{root} is refused as {self.title} (found {example.relative_to(root)}): {refusal.because}"
        elsewhere = other_level(root, self.title, self.chosen_layouts(), reading, self.folders)
        if elsewhere and self.subjects != "user":
            return elsewhere
        nearest = max(tried, key=lambda found: (bool(found.notes), len(found.present)))
        if nearest.absent and nearest.present:
            reason = f"is half copied: {', '.join(nearest.present)} is there, {', '.join(nearest.absent)} is not"
        elif nearest.notes:
            reason = f"holds no usable clip ({'; '.join(nearest.notes)})"
        else:
            reason = "holds no clip in the expected layout"
        packed = tree.archives()
        if packed:
            reason += f" (but {packed[0]}, which is not unpacked)"
        return f"{root} {reason}. {self.how_to_get} Expected tree:\n{self.tree.rstrip()}"

    def shortfall(self, found: Found) -> tuple[str, ...]:
        """A warning when what was found is not the whole dataset, with what is missing."""
        clips, subjects = len(found.clips), len({clip.subject for clip in found.clips})
        counts = self.counts
        known = counts is not None and counts.subjects is not None
        if counts is None or (clips == counts.clips and (not known or subjects == counts.subjects)):
            return ()
        sentence = f"{clips:,} of {counts.clips:,} clips" if clips <= counts.clips else f"{clips:,} clips"
        sentence += f" of {subjects} of {counts.subjects} subjects" if known else ""
        if clips > counts.clips:
            sentence += f", where a complete copy has {counts.clips:,}"
        lost = self.lost(found)
        return (f"{sentence}{f'; missing: {lost}' if lost else ''}: figures cannot be compared with published ones",)

    def one_subject_alone(self, root: Path, found: Found) -> tuple[str, ...]:
        """A warning when the folder is that of one subject, in a layout that reads those as well."""
        subjects = {clip.subject for clip in found.clips}
        if len(subjects) > 1 or self.subjects != "known" or (self.counts and self.counts.subjects == 1):
            return ()
        (subject,) = subjects
        if subject not in root.name:
            return ()
        return (f"{root} is the folder of subject {subject} alone; for the others, too, give {root.parent}",)

    def lost(self, found: Found) -> str:
        """What of the dataset is missing: by name where it is named somewhere, else by class."""
        if found.missing:
            return shown(found.missing, 5)
        counts = Counter(clip.label for clip in found.clips)
        expected = self.counts.classes if self.counts else {}
        fewer = [f"{number - counts[name]:,} of {name}" for name, number in expected.items() if counts[name] < number]
        return ", ".join(fewer)

    def protocol(self, name: str | None = None) -> Protocol:
        """The protocol called ``name``, or the default one.

        Raises:
            DatasetError: the card has no such protocol.
        """
        wanted = name or self.default_protocol
        if wanted not in self.protocols:
            raise DatasetError(f"{self.name} has no protocol {wanted!r}; it has {', '.join(self.protocols)}")
        return self.protocols[wanted]
