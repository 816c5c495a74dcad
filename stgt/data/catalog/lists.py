"""The lists that datasets come with: which clips there are, their labels, and on which side of a split they are."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stgt.data.catalog.layouts import Layout, SplitList
from stgt.data.catalog.notes import Notes
from stgt.data.disk import IMAGE_SUFFIXES, TRACK_SUFFIXES, VIDEO_SUFFIXES, compiled, filled, read_csv
from stgt.errors import DatasetError


@dataclass
class Entry:
    """A clip that lists name."""

    clip_id: str
    columns: dict[str, str]
    where: str
    """List and line that named it first, for notes."""
    split: str | None = None
    splits: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ListFile:
    """One file of a layout's lists."""

    path: Path
    name: str
    """Below the root, with forward slashes."""
    split: str | None
    fold: int
    """Counted from 0."""


def list_files(layout: Layout, root: Path, values: Mapping[str, str]) -> list[ListFile]:
    """All list files of ``layout``, there or not; ``values`` fill in its places."""
    lists = (SplitList(layout.table),) if layout.table else layout.lists
    files = []
    for fold in range(max(layout.folds, 1)):
        for each in lists:
            name = os.path.normpath(filled(each.file, {**values, "fold": str(fold + 1)})).replace(os.sep, "/")
            files.append(ListFile(root / name, name, each.split, fold))
    return files


def read_lists(layout: Layout, files: list[ListFile], notes: Notes) -> dict[str, Entry]:
    """Clip id -> what the lists say of it, with everything doubtful told in ``notes``.

    Raises:
        DatasetError: a list is missing or no text, a column is missing, or a clip is on both sides of a split.
    """
    missing = [file for file in files if not file.path.is_file()]
    if missing:
        raise DatasetError(
            f"the split file {missing[0].path} is not there ({len(missing)} of {len(files)} are missing); "
            "without it nobody can say which clips are trained on"
        )
    entries: dict[str, Entry] = {}
    contradictory: set[str] = set()
    for file in files:
        seen: set[str] = set()
        for line, row in rows(file.path, layout.line, notes):
            columns = row | {"row": str(line - 2)} if layout.pixels else dict(row)
            if layout.columns:
                columns |= {meaning: column_of(row, name, file.path) for meaning, name in layout.columns.items()}
            where = f"{file.name}, line {line}"
            clip_id = entry_name(layout, columns, file.path)
            entry = entries.setdefault(clip_id, Entry(clip_id, columns, where, splits=[""] * layout.folds))
            if columns.get("label") != entry.columns.get("label"):
                contradictory.add(clip_id)
            if clip_id in seen:
                notes.add(f"named twice in {file.name}", clip_id, fate="used once")
            seen.add(clip_id)
            place_on_side(entry, file.split or columns.get("split") or "", file, layout.folds)
    for clip_id in sorted(contradictory):
        entry = entries.pop(clip_id)
        notes.add("listed with two labels", f"{clip_id}, first in {entry.where}")
    if layout.folds:
        for entry in entries.values():
            if "" in entry.splits:
                notes.add("not in the lists of every official fold", entry.clip_id, fate="used where listed")
    return entries


def place_on_side(entry: Entry, split: str, file: ListFile, folds: int) -> None:
    """Put ``entry`` on the side ``split``; on two sides of one split it would be a leak."""
    before = entry.splits[file.fold] if folds else entry.split or ""
    if before and split and before != split:
        fold = f" of official fold {file.fold + 1}" if folds else ""
        raise DatasetError(
            f"{entry.clip_id} is listed for {before} and for {split}{fold} ({entry.where}; {file.name}): "
            "the score would be a leak; get the original lists"
        )
    if folds:
        entry.splits[file.fold] = split or before
    else:
        entry.split = split or before or None


def rows(path: Path, line: str | None, notes: Notes) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and columns of every row; without ``line`` a CSV file with a header, else its groups on each line."""
    if line is None:
        for number, row in enumerate(read_csv(path), start=2):
            yield number, row
        return
    pattern = compiled(line, "line")
    # Some lists carry remarks in other encodings behind the columns; what is read is ASCII.
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from None
    for number, content in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        found = pattern.match(content.strip())
        if found:
            yield number, {key: value or "" for key, value in found.groupdict().items()}
        elif content.strip():
            notes.add(f"not a row of {path.name}", f"line {number}: {content.strip()[:40]}", "line")


def column_of(row: Mapping[str, str], name: str, path: Path) -> str:
    """A row's entry in the column ``name``."""
    if name not in row:
        raise DatasetError(f"{path} has no column {name!r}; it has {', '.join(row)}")
    return row[name]


def entry_name(layout: Layout, columns: Mapping[str, str], path: Path) -> str:
    """The clip id of a row: by the layout's template, else its own column, else the clip's path and where it starts."""
    try:
        if layout.clip_id:
            return filled(layout.clip_id, columns)
        pattern = filled(layout.clips, columns, partly=True)
    except KeyError as error:
        raise DatasetError(f"{path} has no column {error.args[0]!r}; it has {', '.join(columns)}") from None
    if columns.get("clip_id"):
        return columns["clip_id"]
    name = columns.get("clip") or pattern.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    suffixes = VIDEO_SUFFIXES + TRACK_SUFFIXES + (IMAGE_SUFFIXES if layout.kind == "image" else ())
    name = stem if dot and f".{suffix.lower()}" in suffixes else name
    return f"{name}@{columns['start_s']}" if columns.get("start_s") else name
