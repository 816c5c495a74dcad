"""Files that grow while a session runs: after a full disk or a killed process they end with the last whole entry."""

import os
from pathlib import Path


class AppendFile:
    """A new file that is only ever added to. Nothing waits in memory: an entry that was appended is with the system.

    Args:
        path: created or emptied; its folder must exist.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.size = 0
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)

    def append(self, entry: bytes) -> None:
        """Add an entry as a whole, or not at all.

        Raises:
            OSError: it could not be written; what is in the file is what was there before.
        """
        if self._handle < 0:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        left = memoryview(entry)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError:
            self._cut()
            raise
        self.size += len(entry)

    def close(self) -> None:
        """Give the file back to the system; the next entry opens it again."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _cut(self) -> None:
        """Take back what was written of an entry that did not fit."""
        try:
            os.ftruncate(self._handle, self.size)
            os.lseek(self._handle, self.size, os.SEEK_SET)
        except OSError:  # a pipe or a device: there is nothing to take back
            return
