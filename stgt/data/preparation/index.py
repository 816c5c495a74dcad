"""The index of the store: what each writing process appends, line by line, and what all of them together say.

A line is a JSON list whose first item says what it tells. A process writes to its own file only, and only at its end,
so that no two ever need a lock; a line that was torn by a crash or a full disk is not there.
"""

import contextlib
import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

#: What the lines tell, by their first item.
CLIP, SOURCE, CLAIM, RELEASE, LOST = "clip", "source", "claim", "release", "lost"

SUFFIX = ".index"


class Entry(NamedTuple):
    """Where a prepared clip lies in the store, and what there is to know without reading it."""

    key: str
    """Of the content that it was made from."""
    shard: str
    """Name of the writer; its shard holds the blocks."""
    track: tuple[int, int, int]
    """First byte, number of bytes and checksum (CRC-32) of the track's block."""
    crops: tuple[int, int, int]
    """The same of the crops; no bytes: the clip has none."""
    frames: int
    valid_share: float
    first_s: float
    last_s: float

    @property
    def size_bytes(self) -> int:
        """What the clip takes up."""
        return self.track[1] + self.crops[1]

    def line(self) -> list:
        """As a line of the writer's index."""
        return [CLIP, self.key, self.track, self.crops, self.frames, self.valid_share, self.first_s, self.last_s]


class Index:
    """What all index files of a folder say; ``refresh`` takes in what was appended since.

    Attributes:
        entries: key -> entry.
        sources: path -> (mark, digest): digests of files that need not be read again while their mark is the same.
        claims: key -> names of the writers that are about to make it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        self.sources: dict[str, tuple[str, str]] = {}
        self.claims: dict[str, set[str]] = {}
        self._lost: set[tuple[str, str, int]] = set()
        self._spare: dict[str, list[Entry]] = {}
        """Of clips that several processes made at once: the entries that are not needed."""
        self._read: dict[str, int] = {}
        """Name of an index file -> bytes of it that were taken in."""

    def refresh(self) -> None:
        """Take in the whole lines that were appended to any index file since the last time."""
        try:
            with os.scandir(self.folder) as found:
                files = [(file.name, file.stat().st_size) for file in found if file.name.endswith(SUFFIX)]
        except (FileNotFoundError, NotADirectoryError):
            return
        grown = [name for name, size in sorted(files) if size > self._read.get(name, 0)]
        with without_collection():
            for name in grown:
                start = self._read.get(name, 0)
                with (self.folder / name).open("rb") as file:
                    file.seek(start)
                    content = file.read()
                whole = content.rfind(b"\n") + 1
                self._read[name] = start + whole
                self.take_in(name.removesuffix(SUFFIX), parsed(content[:whole]))

    def take_in(self, writer: str, lines: Iterator[Any]) -> None:
        """Understand lines of a writer; one that makes no sense is passed over."""
        entries, lost = self.entries, self._lost
        for line in lines:
            try:
                if line[0] == CLIP:
                    _, key, track, crops, *facts = line
                    entry = Entry(key, writer, tuple(track), tuple(crops), *facts)
                    if self.claims:
                        self.release(key, writer)
                    if lost and (key, writer, entry.track[0]) in lost:
                        continue
                    if entries.setdefault(key, entry) is not entry:
                        self._spare.setdefault(key, []).append(entry)
                elif line[0] == SOURCE:
                    _, path, mark, digest = line
                    self.sources[path] = (mark, digest)
                elif line[0] == CLAIM:
                    self.claims.setdefault(line[1], set()).add(writer)
                elif line[0] == RELEASE:
                    self.release(line[1], writer)
                elif line[0] == LOST:
                    self.lose(*line[1:])
            except (TypeError, ValueError, IndexError, KeyError):
                continue

    def release(self, key: str, writer: str) -> None:
        """A writer is not, or no longer, about to make a clip."""
        writers = self.claims.get(key)
        if writers is not None:
            writers.discard(writer)
            if not writers:
                del self.claims[key]

    def lose(self, key: str, shard: str, start: int) -> None:
        """An entry turned out to be damaged; another one of the same clip takes its place, if there is one."""
        self._lost.add((key, shard, start))
        left = [entry for entry in (self.entries.pop(key, None), *self._spare.pop(key, ())) if entry]
        left = [entry for entry in left if (key, entry.shard, entry.track[0]) not in self._lost]
        if left:
            self.entries[key], self._spare[key] = left[0], left[1:]


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage while many small things are made that all stay: it would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parsed(content: bytes) -> Iterator[Any]:
    """The values of whole lines; those that are no JSON are left out."""
    lines = content.split(b"\n")[:-1]
    try:
        # In one go, which is several times as fast as line by line.
        yield from json.loads(b"[" + b",".join(lines) + b"]")
        return
    except ValueError:
        pass
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue
