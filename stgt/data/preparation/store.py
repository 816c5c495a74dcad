"""The store of prepared clips: a folder of shards, each written by one process, and their indexes.

Nothing in it is ever changed, only appended; readers need no lock and no server, and the folder may lie on a network
drive or be read-only. Clips are known by a key of the content that they were made from, so a clip that two processes
made at once is there twice and does no harm.
"""

import os
import random
import time
from pathlib import Path

from stgt.data.preparation.blocks import pack_crops, pack_track, unpack_crops, unpack_track
from stgt.data.preparation.index import CLAIM, LOST, RELEASE, SOURCE, SUFFIX, Entry, Index
from stgt.data.preparation.shards import DamagedBlock, ShardReader, ShardWriter, host_name
from stgt.faces.tracks import LandmarkTrack

#: Who has promised a clip and written nothing for so long has died, or is stuck.
CLAIM_LASTS_S = 15 * 60

#: How often a process that claims together with others tries again, and how long it waits at most in between.
CLAIM_TRIES, CLAIM_PAUSE_S = 10, 0.05


class Store:
    """Tracks and crops by the key of what they were made from.

    Args:
        folder: where it lies; need not be there yet.
        durable: see ``ShardWriter``.
    """

    def __init__(self, folder: Path | str, durable: bool = False) -> None:
        self.folder = Path(folder)
        self.durable = durable
        self.index = Index(self.folder)
        self.reader = ShardReader(self.folder)
        self._writer: ShardWriter | None = None
        self.index.refresh()

    def __getstate__(self) -> dict:
        # Open files stay where they are; another process opens its own.
        return {"folder": self.folder, "durable": self.durable, "index": self.index}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.reader, self._writer = ShardReader(self.folder), None

    def __len__(self) -> int:
        return len(self.index.entries)

    def __contains__(self, key: str) -> bool:
        return key in self.index.entries

    def __getitem__(self, key: str) -> Entry:
        return self.index.entries[key]

    def get(self, key: str) -> Entry | None:
        """The entry of a key, if there is one."""
        return self.index.entries.get(key)

    def refresh(self) -> None:
        """Take in what other processes have written since."""
        self.index.refresh()

    @property
    def writer(self) -> ShardWriter:
        """This process's own files; a forked process does not go on with its parent's."""
        if self._writer is None or self._writer.process != os.getpid():
            self._writer = ShardWriter(self.folder, self.durable)
        return self._writer

    def close(self) -> None:
        """Close the files that are written; a store can be read on, and writing again opens new ones."""
        if self._writer and self._writer.process == os.getpid():
            self._writer.close()
        self._writer = None

    def add(self, key: str, track: LandmarkTrack, crops: "tuple | None" = None) -> Entry:
        """Write a clip.

        Args:
            key: of its content.
            track: its landmarks.
            crops: data and offsets of its ``CropSequence``; none: it has no pictures.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        places = self.writer.append([pack_track(track), pack_crops(*crops) if crops else b""])
        first_s, last_s = (float(track.times[0]), float(track.times[-1])) if len(track) else (0.0, 0.0)
        entry = Entry(key, self.writer.name, *places, len(track), track.valid_share, first_s, last_s)
        self.writer.note(entry.line())
        self.index.release(key, self.writer.name)
        self.index.entries[key] = entry
        return entry

    def track(self, entry: Entry) -> LandmarkTrack:
        """The track of an entry.

        Raises:
            DamagedBlock: it is not there whole.
        """
        return self._unpacked(unpack_track, entry.shard, entry.track)

    def crops(self, entry: Entry) -> tuple:
        """Data and offsets of the crops of an entry.

        Raises:
            DamagedBlock: they are not there whole.
        """
        return self._unpacked(unpack_crops, entry.shard, entry.crops)

    def _unpacked(self, unpack, shard: str, place: tuple[int, int, int]):  # noqa: ANN001, ANN202 - returns what unpack returns
        try:
            return unpack(self.reader.read(shard, *place))
        except ValueError as error:
            raise DamagedBlock(str(error)) from None

    def lose(self, entry: Entry) -> None:
        """Forget a damaged entry, here and, where the folder can be written, for all who open it later."""
        self.index.lose(entry.key, entry.shard, entry.track[0])
        self.writer.note([LOST, entry.key, entry.shard, entry.track[0]])

    def claim(self, key: str) -> bool:
        """Tell other processes that this one is about to make a clip; whether no other was before it.

        Of two that claim at the same moment at least one sees the other's claim and steps back. If both do, each tries
        again after a moment that is its own.
        """
        for _ in range(CLAIM_TRIES):
            self.refresh()
            if key in self or self.claimed(key):
                return False
            self.writer.note([CLAIM, key])
            self.refresh()
            if not self.claimed(key):
                return True
            self.release(key)
            time.sleep(random.uniform(0, CLAIM_PAUSE_S))
        return False

    def release(self, key: str) -> None:
        """Tell them that it will not make the clip after all."""
        self.writer.note([RELEASE, key])
        self.index.release(key, self.writer.name)

    def claimed(self, key: str) -> bool:
        """Whether another process is making a clip, as far as one can see: it claimed it, and it lives."""
        return any(self.at_work(writer) for writer in self.index.claims.get(key, ()))

    def at_work(self, writer: str) -> bool:
        """Whether a writer is another process, and lives."""
        if writer == self.writer.name:
            return False
        host, process, _ = writer.rsplit(".", 2)
        if host == host_name() and (int(process) == os.getpid() or not alive(int(process))):
            return False
        try:
            return time.time() - (self.folder / f"{writer}{SUFFIX}").stat().st_mtime < CLAIM_LASTS_S
        except OSError:
            return False

    def remember(self, *sources: tuple[str, str, str]) -> None:
        """Keep the digests of files (path, mark, digest), each for as long as the file's mark stays the same."""
        self.writer.note(*([SOURCE, *source] for source in sources))
        for path, mark, digest in sources:
            self.index.sources[path] = (mark, digest)

    def remembered(self, path: str, mark: str) -> str | None:
        """The digest of a file that has this mark."""
        known = self.index.sources.get(path)
        return known[1] if known and known[0] == mark else None


_shared: dict[tuple[Path, bool], Store] = {}


def shared_store(folder: Path, durable: bool = False) -> Store:
    """This process's store at a folder: it is opened once, until ``close_shared_stores``."""
    key = (folder, durable)
    if key not in _shared:
        _shared[key] = Store(folder, durable)
    return _shared[key]


def close_shared_stores() -> None:
    """Close the stores that ``shared_store`` gave."""
    for store in _shared.values():
        store.close()
    _shared.clear()


def alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
