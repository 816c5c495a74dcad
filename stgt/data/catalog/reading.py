"""Reads the layouts of a dataset card: what is on a disk -> ``Clip``s, and notes on what is not."""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stgt.data.catalog.layouts import Clip, Layout
from stgt.data.catalog.lists import Entry, list_files, read_lists
from stgt.data.catalog.notes import Notes
from stgt.data.catalog.pictures import written_out
from stgt.data.catalog.subjects import SubjectRule
from stgt.data.catalog.textfiles import TextFiles
from stgt.data.catalog.tree import Finder, Medium, Tree
from stgt.data.catalog.votes import shares_of
from stgt.data.disk import compiled, filled, natural_key, seconds
from stgt.errors import DatasetError

Groups = dict[str, str | None]


@dataclass(frozen=True)
class Reading:
    """What all layouts of a card have in common."""

    dataset: str
    labels: Mapping[str, str]
    """The dataset's codes -> class names."""
    classes: Sequence[str]
    """Class names that are kept; empty: all."""
    splits: Mapping[str, str]
    """The dataset's words for sides of its split -> train, validation, test."""
    values: Mapping[str, str]
    """What fills ``{names}`` in patterns."""
    rule: SubjectRule
    """Says who is seen where the layout does not."""
    subjects_known: bool
    """Whether the dataset says who is seen; else every clip is a subject of its own."""
    apex: str
    """As in ``Clip``."""

    def label(self, code: str) -> str | None:
        """The class that ``code`` means, in whatever case it is written; None if the card does not know it."""
        name = self.labels.get(code) or self.folded.get(code.casefold()) or (None if self.classes else code)
        return name if name and (not self.classes or name in self.classes) else None

    @cached_property
    def folded(self) -> dict[str, str]:
        """Codes and class names in lower case -> class names."""
        return {name.casefold(): name for name in self.classes} | {
            code.casefold(): name for code, name in self.labels.items()
        }


@dataclass(frozen=True)
class Found:
    """What reading one layout gave."""

    clips: tuple[Clip, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Clips that the dataset's own lists or label files name, and that are not there."""
    present: tuple[str, ...] = ()
    """Places of the layout that are there."""
    absent: tuple[str, ...] = ()
    """Places and lists of the layout that are not."""


@dataclass(frozen=True)
class Row:
    """A medium on disk, and what its path or the lists say of it."""

    medium: Medium
    groups: Groups
    listed: str = ""
    """The list and line that named it."""
    splits: tuple[str, ...] = ()


def read_layout(layout: Layout, root: Path, reading: Reading, tree: Tree | None = None) -> Found:
    """Every clip of ``layout`` below ``root``.

    What is unlabelled, doubled, or contradicts the card is left out and told in the notes, by name.

    Raises:
        DatasetError: some of the layout's lists are there and others are not, or one contradicts itself.
    """
    reader = LayoutReader(layout, root, reading, tree or Tree())
    if reader.absent:
        return Found(present=reader.present, absent=reader.absent)
    clips: dict[str, tuple[str, Clip]] = {}
    for order, clip in reader.clips():
        if clip.clip_id in clips:
            reader.notes.add("another file of the same take", reader.below(clip.source.as_posix()))
        if clip.clip_id not in clips or order < clips[clip.clip_id][0]:
            clips[clip.clip_id] = (order, clip)
    reader.finish()
    ordered = sorted((clip for _, clip in clips.values()), key=lambda clip: natural_key(clip.clip_id))
    notes = reader.notes
    return Found(tuple(ordered), notes.sentences(), tuple(notes.missing), reader.present)


class LayoutReader:
    """Reads one layout.

    Args:
        layout: how clips lie.
        root: folder of the dataset.
        reading: what holds for all layouts of its card.
        tree: folders that have been opened already.
        within: give only the clips that lie there.
    """

    def __init__(self, layout: Layout, root: Path, reading: Reading, tree: Tree, within: str | None = None) -> None:
        self.layout, self.reading, self.tree, self.within = layout, reading, tree, within
        self.root = root.as_posix().rstrip("/")
        self.notes = Notes()
        found = {name: self.first_place(folders) for name, folders in layout.places.items()}
        self.absent = tuple(self.fill(layout.places[name][0]) for name, place in found.items() if place is None)
        self.present = tuple(place for place in found.values() if place not in (None, "."))
        self.values = {**reading.values, **{name: place for name, place in found.items() if place is not None}}
        self.lists = [] if self.absent else list_files(layout, root, self.values)
        if self.lists and not any(file.path.is_file() for file in self.lists):
            self.absent = (self.lists[0].name,)
        if layout.pixels and not Path(self.root, layout.pixels.file).is_file():
            self.absent = (*self.absent, layout.pixels.file)
            self.present = (*self.present, *(file.name for file in self.lists if file.path.is_file()))
        self.files = [TextFiles(rule, self.root, self.values, tree) for rule in layout.files] if not self.absent else []
        self.match = compiled(self.fill(layout.match), "match") if layout.match else None
        self.ignored = [(compiled(self.fill(rule.match), "ignore.match"), rule) for rule in layout.ignore]

    def first_place(self, folders: Sequence[str]) -> str | None:
        """The first of ``folders`` that is there."""
        return next((place for place in map(self.fill, folders) if Path(self.root, place).is_dir()), None)

    def fill(self, template: str) -> str:
        """``template`` with the card's values; other ``{names}`` stay."""
        return filled(template, self.reading.values, partly=True)

    def below(self, path: str) -> str:
        """``path`` relative to the root."""
        return path[len(self.root) + 1 :] if path.startswith(f"{self.root}/") else path

    def clips(self) -> Iterator[tuple[str, Clip]]:
        """Every clip, with the value of its ``prefer`` group; the same id may come twice."""
        for row in self.listed() if self.lists else self.walked():
            clip = self.clip(row)
            if clip:
                yield row.groups.get(self.layout.prefer or "") or "", clip

    def walked(self) -> Iterator[Row]:
        """Every medium that ``clips`` finds and ``match`` can read."""
        pattern = filled(self.layout.clips, self.values)
        for medium in self.tree.media(self.root, pattern, self.layout.kind, self.within):
            where = self.below(medium.path)
            because = self.ignored_because(where, {}, by_group=False)
            found = self.match.search(where) if self.match else None
            if because:
                self.notes.add(because, where)
            elif found:
                yield Row(medium, found.groupdict())
            else:
                self.notes.add("not named as in this dataset", where)

    def listed(self) -> Iterator[Row]:
        """Every clip of the lists that is on disk."""
        finder = Finder(self.tree, self.root, self.layout.kind, self.within)
        entries = read_lists(self.layout, self.lists, self.notes)
        faulty: Mapping[str, str] = {}
        if self.layout.pixels:
            pictures = written_out(Path(self.root), self.layout.pixels, self.lists[0].path, len(entries))
            self.values["pictures"], faulty = pictures.folder.as_posix(), pictures.faulty
        for entry in entries.values():
            if entry.columns.get("row") in faulty:
                self.notes.add(faulty[entry.columns["row"]], entry.clip_id)
                continue
            media = finder.find(self.pattern(entry))
            if not media:
                name = entry.where.rpartition(", line ")[0]
                self.notes.add_missing(f"named in {name}, but not there", entry.clip_id)
                continue
            for other in media[1:]:
                self.notes.add("another file of the same take", self.below(other.path))
            found = self.match.search(self.below(media[0].path)) if self.match else None
            groups = {**(found.groupdict() if found else {}), **entry.columns, "clip_id": entry.clip_id}
            yield Row(media[0], {**groups, "split": entry.split}, entry.where, tuple(entry.splits))

    def pattern(self, entry: Entry) -> str:
        """Where the clip of ``entry`` lies."""
        columns = {key: glob.escape(value) for key, value in entry.columns.items()}
        try:
            return filled(self.layout.clips, {**self.values, **columns})
        except KeyError as error:
            place = f"{self.root}/{entry.where.rpartition(', line ')[0]}"
            raise DatasetError(f"{place} has no column {error.args[0]!r}; it has {', '.join(entry.columns)}") from None

    def ignored_because(self, where: str, groups: Groups, by_group: bool) -> str | None:
        """Why the clip at ``where`` is left out by a rule over its path, or by one over a group."""
        for pattern, rule in self.ignored:
            if by_group == (rule.group is not None) and pattern.search(
                groups.get(rule.group or "") or "" if by_group else where
            ):
                return self.fill(rule.because)
        return None

    def clip(self, row: Row) -> Clip | None:
        """The clip of a row, or None, with the reason in the notes."""
        where, path = self.below(row.medium.path), row.medium.path
        frame_rate = None if row.medium.kind == "video" else self.layout.frame_rate
        groups, end_s = dict(row.groups), seconds(row.groups.get("end_s"))
        for files in self.files:
            file, said = files.read(groups, self.notes)
            groups.update(said)
            end_s = files.end(path, file, frame_rate, self.notes) if file and said and files.number else end_s
            if files.labels and not said:
                # An empty label file has been told of; a label file that is not there is how a dataset marks a clip
                # without label.
                self.notes.unlabelled += file is None or files.rule.optional
                return None
        because = self.ignored_because(where, groups, by_group=True)
        if because:
            self.notes.add(because, where)
            return None
        code, shares = groups.get("label"), None
        if self.layout.votes:
            shares, because = shares_of(self.layout.votes, groups, self.reading.label)
            if because:
                self.notes.add(because, groups.get("clip_id") or where)
                return None
            code = code or (max(shares, key=shares.__getitem__) if shares else None)
        label = self.reading.label(code) if code else None
        if label is None and not code:
            self.notes.add("without a label", row.listed or where)
        elif label is None:
            self.notes.add("label that the card does not know", f"{where}: {code}")
        if label is None:
            return None
        groups["split"] = self.reading.splits.get(groups.get("split") or "", groups.get("split"))
        clip_id = self.clip_id(row.medium, groups)
        subject = groups.get("subject") or self.reading.rule.subject(where)
        if not self.reading.subjects_known:
            subject = clip_id
        if not subject:
            self.notes.add(
                "no subject by the rule given" if self.reading.rule else "without a subject", row.listed or where
            )
            return None
        return Clip(
            clip_id=clip_id,
            source=Path(path),
            subject=subject,
            label=label,
            split=groups.get("split") or None,
            start_s=seconds(groups.get("start_s")),
            end_s=end_s,
            frame_rate=frame_rate,
            apex=self.reading.apex,
            dataset=self.reading.dataset,
            kind=row.medium.kind,
            splits=row.splits,
            shares=shares,
            aligned=self.layout.aligned and row.medium.kind == "image",
        )

    def clip_id(self, medium: Medium, groups: Groups) -> str:
        """The clip's id: by the template, else its group, else its path without suffix."""
        if self.layout.clip_id and not self.lists:
            return filled(self.layout.clip_id, {key: value or "" for key, value in groups.items()})
        where = self.below(medium.path)
        return groups.get("clip_id") or (where if medium.kind == "images" else re.sub(r"\.[^./]+$", "", where))

    def finish(self) -> None:
        """Tell of what is left over: label files without clips, what cannot be opened, names that are no text."""
        for files in self.files:
            files.report(self.notes)
        for folder in self.tree.unreadable:
            self.notes.add("cannot be opened (permissions?)", self.below(folder), "folder", "skipped")
        for path in self.tree.unnamable:
            self.notes.add("its name is not text in UTF-8", self.below(path), "file", "skipped")
