"""A folder tree that is read once: what lies in a folder, remembered, and patterns over it.

Listing a dataset of 40,000 clips means opening as many folders, on network disks the whole cost. Every folder is opened
once, by ``os.scandir``, which also says what is a folder without asking for each entry.
"""

import fnmatch
import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stgt.data.disk import IMAGE_SUFFIXES, TRACK_SUFFIXES, VIDEO_SUFFIXES

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
#: Folders that archives of other systems leave behind.
FOREIGN_FOLDERS = {"__MACOSX", "@eaDir"}

#: Folders that a thread opens at a time, and threads.
MANY, THREADS = 64, 8

#: What may be a clip in a layout of each kind: suffixes of files, and whether folders of images count.
KINDS: dict[str, tuple[tuple[str, ...], bool]] = {
    "video": (VIDEO_SUFFIXES, False),
    "images": ((), True),
    "any": (VIDEO_SUFFIXES, True),
    "image": (IMAGE_SUFFIXES, False),
    "tracks": (TRACK_SUFFIXES, False),
}


class TooMuchError(Exception):
    """A tree with a limit has opened as many folders as it may."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a folder, hidden things left out; images are only counted, as there may be millions."""

    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    images: int = 0
    links: frozenset[str] = frozenset()
    """Those of the folders that are links to others."""


@dataclass(frozen=True, slots=True)
class Medium:
    """Something on disk that can be a clip."""

    path: str
    kind: str
    """``video``, ``images``, ``image`` or ``tracks``."""


class Tree:
    """Folders that have been opened, and what was in them.

    Args:
        limit: raise ``TooMuchError`` when more folders than this would be opened; none: no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.unreadable: list[str] = []
        self.unnamable: list[str] = []
        """Paths that are no text in the system's encoding."""
        self._listings: dict[str, Listing] = {}
        self._pictures: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, frozenset[str]] = {}

    @property
    def opened(self) -> int:
        """How many folders have been opened."""
        return len(self._listings)

    def archives(self) -> list[str]:
        """Archives in the folders that have been opened: perhaps what is missing was not unpacked."""
        return [
            f"{folder}/{file}"
            for folder, listing in self._listings.items()
            for file in listing.files
            if file.lower().endswith(ARCHIVE_SUFFIXES)
        ]

    def listing(self, folder: str) -> Listing:
        """What lies in ``folder``; nothing where it is absent or cannot be read."""
        if folder not in self._listings:
            if self.limit is not None and len(self._listings) >= self.limit:
                raise TooMuchError
            self._listings[folder] = self._scan(folder)
        return self._listings[folder]

    def pictures(self, folder: str) -> tuple[str, ...]:
        """The names of the images in ``folder``: only of layouts whose clips are single pictures one wants to know."""
        if folder not in self._pictures:
            names: list[str] = []
            if self.listing(folder).images:
                with os.scandir(folder) as entries:
                    names = [entry.name for entry in entries if entry.name.lower().endswith(IMAGE_SUFFIXES)]
            self.unnamable.extend(f"{folder}/{name}" for name in names if not is_text(name))
            self._pictures[folder] = tuple(sorted(name for name in names if name[0] != "." and is_text(name)))
        return self._pictures[folder]

    def candidates(self, folder: str, kind: str) -> tuple[str, ...]:
        """The names of the files in ``folder`` that may be clips of ``kind``, by their suffixes."""
        names = self.pictures(folder) if kind == "image" else self.listing(folder).files
        suffixes = KINDS[kind][0]
        return tuple(name for name in names if name.lower().endswith(suffixes)) if suffixes else ()

    def open_ahead(self, folders: list[str]) -> None:
        """Open many folders at once, because on network disks most of the time is waiting; few are left for later."""
        missing = [folder for folder in folders if folder not in self._listings]
        if self.limit is not None or len(missing) < MANY:
            return
        pieces = [missing[start : start + MANY] for start in range(0, len(missing), MANY)]
        with ThreadPoolExecutor(THREADS) as pool:
            for piece, listings in zip(pieces, pool.map(self._scan_all, pieces), strict=True):
                self._listings.update(zip(piece, listings, strict=True))

    def _scan_all(self, folders: list[str]) -> list[Listing]:
        return [self._scan(folder) for folder in folders]

    def _scan(self, folder: str) -> Listing:
        folders, files, links, images = [], [], [], 0
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == "." or name in FOREIGN_FOLDERS:
                        continue
                    # Images first: they are nearly all there is.
                    if name.lower().endswith(IMAGE_SUFFIXES):
                        images += 1
                    elif not is_text(name):
                        self.unnamable.append(f"{folder}/{name}")
                    elif entry.is_dir():
                        folders.append(name)
                        if entry.is_symlink():
                            links.append(name)
                    else:
                        files.append(name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            self.unreadable.append(folder)
        return Listing(tuple(sorted(folders)), tuple(sorted(files)), images, frozenset(links))

    def media(self, root: str, pattern: str, kind: str, within: str | None = None) -> Iterator[Medium]:
        """Everything of ``kind`` (a key of ``KINDS``) that ``pattern`` finds below ``root``.

        Args:
            root: a folder.
            pattern: parts between slashes with ``*``, ``?``, ``[…]``; ``**`` stands for any number of folders.
            kind: a key of ``KINDS``.
            within: go only where it leads to, or further below it.
        """
        parent, _, name = pattern.rpartition("/")
        for folder in self.folders(root, parent, within):
            yield from self.media_in(folder, name, kind, within)

    def media_in(self, folder: str, name: str, kind: str, within: str | None = None) -> Iterator[Medium]:
        """Everything of ``kind`` directly in ``folder`` whose name the pattern ``name`` finds."""
        fits = matcher(name)
        for file in self.candidates(folder, kind):
            path = f"{folder}/{file}"
            if fits(file) and leads(path, within):
                yield Medium(path, kind_of_file(kind))
        if KINDS[kind][1]:
            children = [f"{folder}/{child}" for child in self.listing(folder).folders if fits(child)]
            children = [path for path in children if leads(path, within)]
            self.open_ahead(children)
            yield from (Medium(path, "images") for path in children if self.listing(path).images)

    def files(self, root: str, pattern: str) -> Iterator[str]:
        """Every file that ``pattern`` finds below ``root``, images aside."""
        parent, _, name = pattern.rpartition("/")
        if name.isascii() and (plain_name := unescaped(name)) and glob.escape(plain_name) == name:
            # One file by its name, perhaps of hundreds of thousands in the folder.
            yield from (
                f"{folder}/{plain_name}" for folder in self.folders(root, parent) if self.has(folder, plain_name)
            )
            return
        fits = matcher(name)
        for folder in self.folders(root, parent):
            yield from (f"{folder}/{file}" for file in self.listing(folder).files if fits(file))

    def has(self, folder: str, name: str) -> bool:
        """Whether there is a file ``name`` in ``folder``, images aside."""
        if folder not in self._names:
            self._names[folder] = frozenset(self.listing(folder).files)
        return name in self._names[folder]

    def folders(self, root: str, pattern: str, within: str | None = None) -> Iterator[str]:
        """Every folder that ``pattern`` finds below ``root``; the empty one finds ``root``. Names need not exist."""
        yield from self._folders(root.rstrip("/"), [part for part in pattern.split("/") if part], within)

    def _folders(self, folder: str, parts: list[str], within: str | None) -> Iterator[str]:
        if not parts:
            yield folder
            return
        first, *rest = parts
        if first in (".", ".."):
            yield from self._folders(folder if first == "." else f"{folder}/..", rest, within)
        elif first == "**":
            yield from self._folders(folder, rest, within)
            listing = self.listing(folder)
            self.open_ahead([f"{folder}/{child}" for child in listing.folders if child not in listing.links])
            for child in listing.folders:
                path = f"{folder}/{child}"
                if leads(path, within) and not (child in listing.links and is_loop(path)):
                    yield from self._folders(path, parts, within)
        elif first.isascii() and not glob.has_magic(first):
            # Not looked up in the folder above it, which one may have no permission to list.
            if leads(f"{folder}/{first}", within):
                yield from self._folders(f"{folder}/{first}", rest, within)
        else:
            fits = matcher(first)
            for child in self.listing(folder).folders:
                path = f"{folder}/{child}"
                if fits(child) and leads(path, within):
                    yield from self._folders(path, rest, within)


class Finder:
    """Media by name: in the folders of a pattern, whatever their suffix, zeros in front and way of writing accents.

    Args:
        tree: where to look.
        root: what patterns are relative to.
        kind: a key of ``KINDS``.
        within: see ``Tree.media``.
    """

    def __init__(self, tree: Tree, root: str, kind: str, within: str | None = None) -> None:
        self.tree, self.root, self.kind, self.within = tree, root, kind, within
        self._indices: dict[str, dict[str, list[str]]] = {}

    def find(self, pattern: str) -> list[Medium]:
        """The media that ``pattern`` names, the most fitting first; in a sound dataset it is one or none.

        Folders may be patterns, the last part is a name (``glob.escape``d). Files need not be named with their suffix,
        and the suffix may be another one of the kind (a list of ``.mp4`` may stand for folders of images).
        """
        parent, _, escaped = pattern.rpartition("/")
        name = unescaped(escaped)
        index = self._index(parent)
        stem, dot, suffix = name.rpartition(".")
        known = dot and f".{suffix.lower()}" in VIDEO_SUFFIXES + TRACK_SUFFIXES + KINDS[self.kind][0]
        for key in (name, stem) if known else (name,):
            media = [medium for path in index.get(plain(key), ()) if (medium := self._medium(path))]
            if media:
                return media
        return []

    def _medium(self, path: str) -> Medium | None:
        suffixes, of_images = KINDS[self.kind]
        if path.lower().endswith(suffixes) and suffixes:
            return Medium(path, kind_of_file(self.kind))
        return Medium(path, "images") if of_images and self.tree.listing(path).images else None

    def _index(self, parent: str) -> dict[str, list[str]]:
        if parent not in self._indices:
            absolute = parent.startswith("/")
            index: dict[str, list[str]] = {}
            of_images = KINDS[self.kind][1]
            for folder in self.tree.folders("/" if absolute else self.root, parent, self.within):
                listing = self.tree.listing(folder)
                # With the name in full first: of two files that differ in the suffix the named one is meant.
                for file in self.tree.candidates(folder, self.kind):
                    path = f"{folder}/{file}"
                    index.setdefault(plain(file), []).append(path)
                    index.setdefault(plain(file.rpartition(".")[0]), []).append(path)
                if of_images:
                    self.tree.open_ahead([f"{folder}/{child}" for child in listing.folders])
                for child in listing.folders if of_images else ():
                    index.setdefault(plain(child), []).append(f"{folder}/{child}")
            self._indices[parent] = index
        return self._indices[parent]


def kind_of_file(kind: str) -> str:
    """What a single file is, as ``Medium.kind``, in a layout of ``kind``."""
    return kind if kind in ("image", "tracks") else "video"


def plain(name: str) -> str:
    """``name`` as it is compared: without zeros before a number, accents as single characters."""
    name = composed(name)
    return str(int(name)) if name.isascii() and name.isdigit() else name


def composed(name: str) -> str:
    """``name`` with accents as single characters: copies from a Mac have them apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Whether a file's name is text: names in another encoding come with lone surrogates, which nothing can print."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def leads(path: str, within: str | None) -> bool:
    """Whether ``path`` lies on the way to ``within``, or below it."""
    return within is None or f"{within}/".startswith(f"{path}/") or path.startswith(f"{within}/")


def is_loop(path: str) -> bool:
    """Whether the link ``path`` is to a folder that it is reached through."""
    target = os.path.realpath(path)
    return any(os.path.realpath(parent) == target for parent in Path(path).parents)


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], object]:
    """Whether a name fits a glob ``pattern`` without slashes; case matters, the way of writing accents does not."""
    if pattern == "*":
        return bool
    composed_pattern = composed(pattern)
    if not glob.has_magic(pattern):
        return lambda name: composed(name) == composed_pattern
    fits = re.compile(fnmatch.translate(composed_pattern)).match
    return lambda name: fits(composed(name))


def unescaped(pattern: str) -> str:
    """The name that ``glob.escape`` made ``pattern`` from."""
    return re.sub(r"\[([*?[])\]", r"\1", pattern)
