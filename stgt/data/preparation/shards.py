"""The files of the store: a shard of blocks per writing process, mapped into memory where it is read."""

import json
import mmap
import os
import secrets
import socket
import zlib
from io import FileIO
from pathlib import Path
from typing import Any

from stgt.data.preparation.index import SUFFIX as INDEX_SUFFIX

SUFFIX = ".shard"

#: Shards that are kept open: a process may have a thousand or so files.
OPEN_SHARDS = 128

#: Whether the system can be told what is read next.
HAS_ADVICE = hasattr(mmap.mmap, "madvise")


class DamagedBlock(Exception):  # noqa: N818 - says what it is
    """A block that is not there whole."""


class ShardReader:
    """Reads blocks out of shards.

    A block is mapped for as long as it is read, and nothing else of its shard: what stays mapped counts as this
    process's memory, and a training that visits all clips would in time hold the whole store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, FileIO] = {}

    def read(self, shard: str, start: int, size: int, checksum: int) -> bytes:
        """A copy of a block.

        Raises:
            DamagedBlock: the shard is missing or too short, or the block is not what was written.
        """
        if size == 0:
            return b""
        number = self._file(shard).fileno()
        page = start - start % mmap.ALLOCATIONGRANULARITY
        # Beyond the end of a file a map is no memory: reading there would end the process.
        if os.fstat(number).st_size < start + size:
            raise DamagedBlock(f"{self.folder / shard}{SUFFIX} is too short")
        with mmap.mmap(number, start + size - page, access=mmap.ACCESS_READ, offset=page) as mapped:
            if HAS_ADVICE:
                mapped.madvise(mmap.MADV_WILLNEED)  # in one request, not page by page
            block = mapped[start - page :]
        if zlib.crc32(block) != checksum:
            raise DamagedBlock(f"bytes {start} to {start + size} of {self.folder / shard}{SUFFIX}")
        return block

    def _file(self, shard: str) -> FileIO:
        """The shard, open."""
        file = self._files.get(shard)
        if file is None:
            while len(self._files) >= OPEN_SHARDS:
                self._files.pop(next(iter(self._files))).close()
            try:
                file = (self.folder / f"{shard}{SUFFIX}").open("rb", buffering=0)
            except FileNotFoundError:
                raise DamagedBlock(f"{self.folder / shard}{SUFFIX} is not there") from None
            self._files[shard] = file
        return file


class ShardWriter:
    """This process's shard and index: only ever appended to, and by nobody else.

    Args:
        folder: of the store; made when the first thing is written.
        durable: whether what was written shall be on the disk, or at the file server, when a call returns. Without, a
            power cut may cost clips, which are then made again, and another machine may see them later.
    """

    def __init__(self, folder: Path, durable: bool = False) -> None:
        self.folder = folder
        self.durable = durable
        self.process = os.getpid()
        self.name = f"{host_name()}.{self.process}.{secrets.token_hex(4)}"
        self._files: dict[str, FileIO] = {}

    def append(self, blocks: list[bytes]) -> list[tuple[int, int, int]]:
        """Write blocks; first byte, size and checksum of each."""
        start = self._write(SUFFIX, b"".join(blocks))
        places = []
        for block in blocks:
            places.append((start, len(block), zlib.crc32(block)))
            start += len(block)
        return places

    def note(self, *lines: list[Any]) -> None:
        """Write lines of the index."""
        text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
        self._write(INDEX_SUFFIX, text.encode("utf-8", "surrogateescape"))

    def _write(self, suffix: str, content: bytes) -> int:
        """Append all of ``content`` or nothing; where it begins.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        path = self.folder / f"{self.name}{suffix}"
        file = self._files.get(suffix)
        if file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._files[suffix] = path.open("xb", buffering=0)
        start = file.tell()
        try:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            if self.durable:
                os.fsync(file.fileno())
        except OSError as error:
            file.truncate(start)
            file.seek(start)
            raise OSError(error.errno, error.strerror, str(path)) from None
        return start

    def close(self) -> None:
        """Close the files; this writer does not write again."""
        for file in self._files.values():
            file.close()
        self._files = {}


def host_name() -> str:
    """This machine's name, as part of a file's."""
    return "".join(letter for letter in socket.gethostname() if letter.isalnum() or letter == "-") or "host"
