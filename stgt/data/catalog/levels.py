"""The wrong level of the tree: a folder above or below the one that a dataset's layouts begin at."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from stgt.data.catalog.layouts import Clip, Layout
from stgt.data.catalog.reading import LayoutReader, Reading
from stgt.data.catalog.tree import TooMuchError, Tree
from stgt.errors import DatasetError

#: How many levels up and down the right folder is looked for.
LEVELS_UP, LEVELS_DOWN = 4, 2
#: Folders that are tried below, and folders that are opened in each.
CANDIDATES, OPENED = 60, 400
#: Clips that are looked at to tell what a folder holds.
LOOKED_AT = 200


def other_level(
    root: Path, title: str, layouts: Sequence[Layout], reading: Reading, folders: Sequence[str]
) -> str | None:
    """One sentence with the right folder, if ``root`` is a few levels below or above it.

    Args:
        root: the folder that was given, in which no layout finds a clip.
        title: what the dataset is called.
        layouts: of its card.
        reading: as for reading them.
        folders: names under which the dataset is looked for, tried first.
    """
    above = list(reversed(root.parents[:LEVELS_UP]))
    # Some layouts can be read from two levels: the one with the dataset's name is meant, else the upper one.
    for right in sorted(above, key=lambda parent: parent.name not in folders):
        clips = some_clips(layouts, right, reading, root.as_posix())
        if clips:
            return f"{root} is {part(root, right, clips)} of {title}; give {right}"
    for right in below(root, folders):
        if some_clips(layouts, right, reading, None, 1):
            levels = len(right.relative_to(root).parts)
            return f"{root} is {'one level' if levels == 1 else f'{levels} levels'} above {title}; give {right}"
    return None


def some_clips(
    layouts: Sequence[Layout], root: Path, reading: Reading, within: str | None, count: int = LOOKED_AT
) -> list[Clip]:
    """A few clips that a layout finds below ``root``, in ``within`` if it is given."""
    tree = Tree(OPENED)
    for layout in layouts:
        try:
            reader = LayoutReader(layout, root, reading, tree, within)
            clips = [] if reader.absent else [clip for _, clip in islice(reader.clips(), count)]
        except (TooMuchError, DatasetError, OSError):
            continue
        if clips:
            return clips
    return []


def part(root: Path, right: Path, clips: Sequence[Clip]) -> str:
    """What of the dataset at ``right`` the folder ``root`` is, judged by the clips in it."""
    subjects, labels = {clip.subject for clip in clips}, {clip.label for clip in clips}
    name, where = root.name, root.relative_to(right).as_posix()
    if len(subjects) == 1 and next(iter(subjects)).casefold() in name.casefold():
        return f"the folder of subject {subjects.pop()}"
    if len(labels) == 1:
        return f"the folder {where}, of {labels.pop()} alone,"
    return f"the folder {where}"


def below(root: Path, folders: Sequence[str]) -> Iterator[Path]:
    """Folders one and two levels below ``root``, those called like the dataset first."""
    found: list[tuple[bool, int, Path]] = []
    for level in range(1, LEVELS_DOWN + 1):
        for path in islice(subfolders(root, level), CANDIDATES):
            found.append((path.name not in folders, level, path))
    yield from (path for _, _, path in sorted(found))


def subfolders(root: Path, level: int) -> Iterator[Path]:
    """The folders ``level`` levels below ``root``, hidden ones left out."""
    try:
        with os.scandir(root) as entries:
            children = [
                Path(entry.path)
                for entry in islice(entries, 10 * CANDIDATES)
                if entry.name[0] != "." and entry.is_dir()
            ]
    except OSError:
        return
    for child in sorted(children):
        if level == 1:
            yield child
        else:
            yield from subfolders(child, level - 1)
