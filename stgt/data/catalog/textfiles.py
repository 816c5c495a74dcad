"""Small text files beside clips, which hold their labels."""

import glob
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from stgt.data.catalog.layouts import TextFile
from stgt.data.catalog.notes import Notes
from stgt.data.catalog.tree import Tree
from stgt.data.disk import compiled, filled, image_files, image_number


class TextFiles:
    """The text files of one rule of a layout, and which of them have been used.

    Args:
        rule: what they are called and what they say.
        root: what patterns are relative to.
        values: places and values of the layout.
        tree: where to look.
    """

    def __init__(self, rule: TextFile, root: str, values: Mapping[str, str], tree: Tree) -> None:
        self.rule, self.root, self.values, self.tree = rule, root, values, tree
        self.match = compiled(rule.match, "files.match")
        self.number = compiled(rule.last_image, "files.last_image") if rule.last_image else None
        self.labels = "label" in self.match.groupindex
        self.used: set[str] = set()

    def read(self, groups: Mapping[str, str | None], notes: Notes) -> tuple[str | None, dict[str, str | None]]:
        """The file of the clip with these ``groups`` and what it says; ``(None, {})`` where there is none.

        A label file that says nothing is told in ``notes``.
        """
        known = {key: glob.escape(value or "") for key, value in groups.items()}
        files = sorted(self.tree.files(self.root, filled(self.rule.find, {**self.values, **known})))
        self.used.update(files)
        if not files:
            return None, {}
        name = files[0][len(self.root) + 1 :]
        try:
            text = name if self.rule.over == "path" else self.content(Path(files[0]))
        except OSError as error:
            notes.add(f"label file cannot be read ({error.strerror})", name)
            return files[0], {}
        except ValueError:
            notes.add("label file is no array of one number, or it is pickled, and such files are not read", name)
            return files[0], {}
        found = self.match.search(text)
        if not found and self.labels and not self.rule.optional:
            notes.add("label file is empty" if not text else "label file holds no label", name)
        return files[0], found.groupdict() if found else {}

    def content(self, path: Path) -> str:
        """What a file says, as text.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not an array of one number or text, or a pickled one.
        """
        if self.rule.over == "array":
            return array_value(path.read_bytes())
        return path.read_text("utf-8-sig", errors="replace").strip()

    def end(self, clip: str, file: str, frame_rate: float | None, notes: Notes) -> float | None:
        """Where the clip ends when images follow the one that its file is named after, in seconds."""
        number = self.number.search(Path(file).name) if self.number else None
        if not number or not frame_rate:
            return None
        wanted = int(number.group("number"))
        numbers = [image_number(image) for image in image_files(Path(clip))]
        if wanted not in numbers:
            where = clip[len(self.root) + 1 :]
            notes.add("no image of the number that the label is named after", where, fate="kept whole")
            return None
        index = numbers.index(wanted)
        # Half a frame later, so that the frame at the end belongs to the clip whichever way the border is counted.
        return None if index == len(numbers) - 1 else (index + 0.5) / frame_rate

    def report(self, notes: Notes) -> None:
        """Tell of label files that no clip has used: the images of their clips are missing."""
        if not self.labels or self.rule.optional or self.rule.over == "path":
            return
        pattern = re.sub(r"\{\w+\}", "*", filled(self.rule.find, self.values, partly=True))
        for file in sorted(self.tree.files(self.root, pattern)):
            if file not in self.used:
                notes.add_missing("label without images, so the copy is incomplete", file[len(self.root) + 1 :])


@lru_cache(maxsize=1024)  # hundreds of thousands of files hold a dozen different labels
def array_value(content: bytes) -> str:
    """The one number or text of a ``.npy`` file.

    Raises:
        ValueError: it holds something else, or is pickled: nothing is ever unpickled.
    """
    import io

    import numpy as np

    try:
        value = np.load(io.BytesIO(content), allow_pickle=False)
    except EOFError:
        raise ValueError("empty") from None
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise ValueError("not one value")
    number = value.reshape(-1)[0]
    return f"{number:g}" if value.dtype.kind == "f" else str(number).strip()
