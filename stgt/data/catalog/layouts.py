"""How clips lie on disk: reads one layout of a dataset card into ``Clip``s.

A layout is data. It either walks the disk (``clips`` is a glob, ``match`` a regular expression over the path whose
named groups give subject, label, …) or follows a table (``clips`` is a template over the columns of a CSV file). Labels
may also come from one small file per clip.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stgt.data.disk import (
    below,
    compiled,
    counted,
    filled,
    first_present,
    image_files,
    image_number,
    is_medium,
    natural_key,
    read_csv,
    seconds,
    subject_table,
    with_suffix,
)
from stgt.errors import DatasetError

#: What ``Layout.media`` may be.
MEDIA = ("video", "images", "any")


@dataclass(frozen=True)
class Clip:
    """One labelled stretch of a face."""

    clip_id: str
    """Unique within its dataset, stable across layouts and machines."""
    source: Path
    """A video file, or a folder of images."""
    subject: str
    """Who is seen: folds keep a subject on one side."""
    label: str
    """Class name, never an index."""
    split: str | None = None
    """``train`` or ``test`` where the dataset has official splits."""
    start_s: float | None = None
    """Where the clip starts in its source, in seconds; none: at the start."""
    end_s: float | None = None
    """Where the clip ends in its source, in seconds; none: at the end."""
    frame_rate: float | None = None
    """Hz, for folders of images, which carry no time of their own."""
    apex: str = "unknown"
    """``last``: the expression is strongest at the end; ``unknown``: it may be anywhere."""


@dataclass(frozen=True)
class LabelFile:
    """One small text file per clip that holds its label (CK+)."""

    find: str
    """Glob below the root, after ``{places}`` and the groups of ``match`` are filled in."""
    match: str
    """Regular expression over the file's text; its group ``label`` is the code."""
    last_image: str | None = None
    """Regular expression over the file's name; its group ``number`` says at which image the clip ends."""


@dataclass(frozen=True)
class Ignored:
    """Files that belong to the dataset but not to its clips."""

    match: str
    """Regular expression over the path."""
    because: str
    """Why they are left out, for the notes."""


@dataclass(frozen=True)
class Layout:
    """One way in which a dataset lies on disk; see docs/datasets.md for the keys."""

    clips: str
    match: str | None = None
    table: str | None = None
    media: str = "video"
    frame_rate: float | None = None
    prefer: str | None = None
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    label_file: LabelFile | None = None
    ignore: tuple[Ignored, ...] = ()


@dataclass(frozen=True)
class Found:
    """What reading one layout gave."""

    clips: tuple[Clip, ...] = ()
    notes: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    """Places of the layout that are there."""
    absent: tuple[str, ...] = ()
    """Places of the layout that are not (its first variant)."""


class SubjectRule:
    """Where the subject comes from when the card cannot say: a pattern over the path, or a CSV file (``folder``)."""

    def __init__(self, pattern: str | None = None, table: Path | str | None = None) -> None:
        if pattern and table:
            raise DatasetError("give a subject pattern or a subject CSV, not both")
        self.pattern = compiled(pattern, "the subject pattern") if pattern else None
        self.table = subject_table(Path(table)) if table else None

    def __bool__(self) -> bool:
        return bool(self.pattern or self.table is not None)

    def subject(self, path: str) -> str | None:
        """The subject of the clip at ``path`` (POSIX, below the root); None where the rule does not say."""
        if self.pattern:
            found = self.pattern.search(path)
            if not found:
                return None
            return found.groupdict().get("subject") or (found.group(1) if found.groups() else found.group(0))
        if self.table is None:
            return None
        stem = path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path
        keys = (path, stem, path.rsplit("/", 1)[-1], stem.rsplit("/", 1)[-1])
        return next((self.table[key] for key in keys if key in self.table), None)


@dataclass(frozen=True)
class Reading:
    """What all layouts of a card have in common."""

    labels: Mapping[str, str]
    """The dataset's codes -> class names."""
    classes: Sequence[str]
    """Class names that are kept; empty: all."""
    subjects: SubjectRule
    """Says who is seen where the layout does not."""
    apex: str
    """As in ``Clip``."""


def read_layout(layout: Layout, root: Path, reading: Reading) -> Found:
    """Every clip of ``layout`` below ``root``.

    What is unlabelled, doubled, or contradicts the card is left out and told in the notes, by name.
    """
    places = {name: first_present(root, variants) for name, variants in layout.places.items()}
    absent = tuple(layout.places[name][0] for name, place in places.items() if place is None)
    present = tuple(place for place in places.values() if place is not None)
    if absent:
        return Found(present=present, absent=absent)
    notes = Notes()
    read = rows_of_table if layout.table else rows_of_walk
    clips: dict[str, tuple[str, Clip]] = {}
    label_files = LabelFiles(layout.label_file, root, places) if layout.label_file else None
    for path, groups in read(layout, root, places, notes):
        code, end_s = groups.get("label"), seconds(groups.get("end_s"))
        if label_files:
            code, end_s = label_files.read(path, groups, layout.frame_rate, notes)
            if code is None:
                continue
        label = reading.labels.get(code or "", code)
        if not label or (reading.classes and label not in reading.classes):
            notes.add("label that the card does not know", f"{below(path, root)}: {code}")
            continue
        where = below(path, root)
        subject = groups.get("subject") or reading.subjects.subject(where)
        if not subject:
            notes.add("no subject by the rule given", where)
            continue
        clip = Clip(
            clip_id=groups.get("clip_id") or (where if path.is_dir() else where[: -len(path.suffix)]),
            source=path,
            subject=subject,
            label=label,
            split=groups.get("split") or None,
            start_s=seconds(groups.get("start_s")),
            end_s=end_s,
            frame_rate=layout.frame_rate if path.is_dir() else None,
            apex=reading.apex,
        )
        order = groups.get(layout.prefer or "", "") or ""
        if clip.clip_id in clips:
            notes.add("another file of the same take", where)
        if clip.clip_id not in clips or order < clips[clip.clip_id][0]:
            clips[clip.clip_id] = (order, clip)
    if label_files:
        label_files.report(notes)
    ordered = sorted((clip for _, clip in clips.values()), key=lambda clip: natural_key(clip.clip_id))
    return Found(tuple(ordered), notes.sentences(), present)


def rows_of_walk(
    layout: Layout, root: Path, places: Mapping[str, str], notes: "Notes"
) -> Iterator[tuple[Path, dict[str, str | None]]]:
    """Every medium on disk that ``layout.clips`` finds and ``layout.match`` can read, with its named groups."""
    match = compiled(layout.match or "", "match")
    ignored = [(compiled(rule.match, "ignore.match"), rule.because) for rule in layout.ignore]
    for path in sorted(root.glob(filled(layout.clips, places)), key=lambda path: natural_key(path.as_posix())):
        where = below(path, root)
        if any(part.startswith(".") for part in where.split("/")) or not is_medium(path, layout.media):
            continue
        because = next((because for pattern, because in ignored if pattern.search(where)), None)
        if because:
            notes.add(because, where)
            continue
        found = match.search(where)
        if found:
            yield path, found.groupdict()
        else:
            notes.add("not named as in this dataset", where)


def rows_of_table(
    layout: Layout, root: Path, places: Mapping[str, str], notes: "Notes"
) -> Iterator[tuple[Path, dict[str, str | None]]]:
    """Every row of the layout's CSV file whose clip is on disk, with its columns."""
    table = root / filled(layout.table or "", places)
    if not table.is_file():
        return
    for line, row in enumerate(read_csv(table), start=2):
        try:
            path = with_suffix(root / filled(layout.clips, {**places, **row}))
        except KeyError as error:
            raise DatasetError(f"{table} has no column {error.args[0]!r}; it has {', '.join(row)}") from None
        if not all(row.get(column) for column in ("subject", "label")):
            notes.add(f"no subject or no label in {table.name}", f"line {line}")
        elif path is None:
            notes.add(f"named in {table.name}, but not there", filled(layout.clips, {**places, **row}))
        else:
            yield path, {"clip_id": row_name(row, path), **row}


def row_name(row: Mapping[str, str], path: Path) -> str:
    """The clip id of a table's row that has no column of that name: its clip, and where it starts in a longer video."""
    name = row.get("clip") or path.name
    name = name.removesuffix(path.suffix) if path.is_file() else name
    return f"{name}@{row['start_s']}" if row.get("start_s") else name


class LabelFiles:
    """The label files of a layout, and which of them have been used."""

    def __init__(self, rule: LabelFile, root: Path, places: Mapping[str, str]) -> None:
        self.rule, self.root, self.places = rule, root, places
        self.text = compiled(rule.match, "label_file.match")
        self.name = compiled(rule.last_image, "label_file.last_image") if rule.last_image else None
        self.used: set[Path] = set()

    def read(
        self, path: Path, groups: Mapping[str, str | None], frame_rate: float | None, notes: "Notes"
    ) -> tuple[str | None, float | None]:
        """The code of the clip at ``path`` and where it ends in seconds; ``(None, None)`` when it has no label."""
        pattern = filled(self.rule.find, {**self.places, **{key: value or "" for key, value in groups.items()}})
        files = sorted(file for file in self.root.glob(pattern) if not file.name.startswith("."))
        self.used.update(files)
        if not files:
            notes.unlabelled += 1
            return None, None
        text = files[0].read_text(encoding="utf-8", errors="replace").strip()
        found = self.text.search(text)
        if not found:
            fault = "label file is empty" if not text else "label file holds no label"
            notes.add(fault, below(files[0], self.root))
            return None, None
        return found.group("label"), self.end(path, files[0], frame_rate, notes)

    def end(self, path: Path, file: Path, frame_rate: float | None, notes: "Notes") -> float | None:
        """Where the clip ends when images follow the one that the label file is named after, in seconds."""
        number = self.name.search(file.name) if self.name else None
        if not number or not frame_rate:
            return None
        wanted = int(number.group("number"))
        numbers = [image_number(image) for image in image_files(path)]
        if wanted not in numbers:
            notes.add("no image of the number that the label is named after", below(path, self.root), fate="kept whole")
            return None
        index = numbers.index(wanted)
        # Half a frame later, so that the frame at the end belongs to the clip whichever way the border is counted.
        return None if index == len(numbers) - 1 else (index + 0.5) / frame_rate

    def report(self, notes: "Notes") -> None:
        """Tell of label files that no clip has used: the images of their clips are missing."""
        pattern = re.sub(r"\{\w+\}", "*", filled(self.rule.find, self.places, partly=True))
        for file in sorted(self.root.glob(pattern)):
            if file not in self.used and not file.name.startswith("."):
                notes.add("label without images, so the copy is incomplete", below(file, self.root))


class Notes:
    """Collects what was left out, and says it in one sentence per reason with a few names."""

    SHOWN = 3

    def __init__(self) -> None:
        self.reasons: dict[tuple[str, str, str], list[str]] = {}
        self.unlabelled = 0

    def add(self, reason: str, name: str, kind: str = "clip", fate: str = "left out") -> None:
        """``name`` met this ``fate`` for this ``reason``."""
        self.reasons.setdefault((reason, kind, fate), []).append(name)

    def sentences(self) -> tuple[str, ...]:
        """One sentence per reason."""
        lines = (
            [f"without a label, as the dataset has it: {counted(self.unlabelled, 'clip')}"] if self.unlabelled else []
        )
        for (reason, kind, fate), names in self.reasons.items():
            shown = ", ".join(names[: self.SHOWN]) + (" …" if len(names) > self.SHOWN else "")
            lines.append(f"{reason}: {counted(len(names), kind)} {fate} ({shown})")
        return tuple(lines)
