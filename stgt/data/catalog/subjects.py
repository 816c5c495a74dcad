"""Who is seen, where a card cannot say it: the user's rule."""

from pathlib import Path

from stgt.data.disk import compiled, subject_table
from stgt.errors import DatasetError


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
