"""The folder in which a running server keeps what it must put on a disk; nothing of it outlives the server."""

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: folders of servers that were killed are not told from those that run, so they stay
    fcntl = None  # type: ignore[assignment]

_PREFIX = "stgt-web-"


class Scratch:
    """A private folder that vanishes with its owner.

    It is locked while its owner lives. Whoever makes the next one removes those whose lock is free: their owners were
    killed before they could do it.

    Args:
        parent: where the folder is made; none: the system's place for temporary files.

    Attributes:
        path: the folder, for the owner's eyes only.

    Raises:
        OSError: no folder can be made in ``parent``.
    """

    def __init__(self, parent: Path | None = None) -> None:
        place = Path(tempfile.gettempdir() if parent is None else parent)
        remove_abandoned(place)
        self.path, self._lock = _new_locked_folder(place)

    def new_folder(self) -> Path:
        """An empty folder for one purpose."""
        return Path(tempfile.mkdtemp(dir=self.path))

    def new_file(self) -> BinaryIO:
        """An empty file without a name: closed or not, nothing is left of it when the process ends."""
        return tempfile.TemporaryFile(dir=self.path)

    def free_bytes(self) -> int:
        """Room on the disk."""
        return shutil.disk_usage(self.path).free

    def remove(self, path: Path) -> None:
        """Remove a folder that `new_folder` gave; one that is gone already is fine."""
        if path.parent != self.path:
            raise ValueError(f"{path} is no folder of {self.path}")
        shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_abandoned(parent: Path) -> None:
    """Remove the folders in ``parent`` whose owners have died."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for path in parent.glob(f"{_PREFIX}*"):
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _new_locked_folder(parent: Path) -> tuple[Path, int | None]:
    """A new folder, and the open descriptor that locks it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))  # mode 0700
        if fcntl is None:
            return path, None
        lock = _lock(path)
        # Another server that starts at this moment may have taken it for an abandoned one.
        if lock is not None and path.exists():
            return path, lock
        if lock is not None:
            os.close(lock)


def _lock(path: Path) -> int | None:
    """Lock a folder of our own; none: it is someone else's, no folder, or locked by its owner."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
