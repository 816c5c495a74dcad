"""Content keys: the name under which the result of preparing a clip is kept, and how files are known without reading.

The key is a hash of the clip's bytes, its range and frame rate, and the version of the extractor. A moved or renamed
dataset is not prepared again; a changed file or extractor is. Hashing tens of thousands of files takes minutes, so the
store remembers each file's hash together with its size and the time of its last change.
"""

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import image_files
from stgt.data.preparation.store import Store

#: Changes whenever what is made of an unchanged picture would (videos: ``stgt.faces.extract.EXTRACTOR_VERSION``).
STILLS_VERSION = 1

#: Files up to this size are hashed whole; of longer ones three pieces of a third of it: the start, middle and end.
WHOLE_HASH_BYTES = 32 * 2**20

#: A file that was changed this recently may change again without its time telling (clocks of disks are coarse).
SETTLED_NS = 2 * 10**9

#: Clips that a thread looks at before it tells; an interrupt costs no more than these for each thread.
GROUP = 64

#: Hashing releases the interpreter's lock, and on a cold disk most of the time is waiting.
HASHING_THREADS = 4


def content_keys(clips: Sequence[Clip], store: Store, version: str) -> Iterator[str]:
    """The keys of clips, in order, as they become known; what has to be read is remembered in the store.

    A store that cannot be written remembers nothing, and is none the worse for it.
    """
    digests: dict[str, str] = {}
    groups = [clips[start : start + GROUP] for start in range(0, len(clips), GROUP)]
    pool = ThreadPoolExecutor(max_workers=HASHING_THREADS)
    try:
        found = pool.map(lambda group: [source_digest(clip.source, store, digests) for clip in group], groups)
        for group, sources in zip(groups, found, strict=True):
            news = [(path, mark, digest) for path, mark, digest, new in sources if new]
            if news:
                with contextlib.suppress(OSError):
                    store.remember(*news)
            for clip, (_, _, digest, _) in zip(group, sources, strict=True):
                yield content_key(clip, digest, version)
    finally:
        pool.shutdown(cancel_futures=True)  # whoever stops waiting shall not have to wait for the rest


def content_key(clip: Clip, digest: str, version: str) -> str:
    """Equal for equal content, range, rate and extractor ``version``; ``digest`` is that of the clip's source."""
    settings = f"{version}\0{clip.start_s}\0{clip.end_s}\0{clip.frame_rate}\0{digest}"
    if clip.kind == "image":
        settings += f"\0picture {STILLS_VERSION} {clip.aligned}"
    return hashlib.blake2b(settings.encode(), digest_size=20).hexdigest()


def source_digest(source: Path, store: Store, digests: dict[str, str]) -> tuple[str, str, str, bool]:
    """Path and mark of a source, the hash of its content, and whether that is worth remembering.

    ``digests`` holds those of sources that were met before: many clips may be parts of one video.
    """
    path = os.path.abspath(source)  # noqa: PTH100 - several times as fast, and links shall stay links
    known = digests.get(path)
    if known is not None:
        return path, "", known, False
    try:
        mark, changed_ns = source_mark(path)
        known = store.remembered(path, mark)
        digest = known or hashed(source)
        new = known is None and time.time_ns() - changed_ns > SETTLED_NS
    except OSError:
        # Missing, or not ours to read: extraction will say so, under a name that no content has.
        mark, new = "", False
        digest = hashlib.blake2b(f"unreadable\0{source}".encode("utf-8", "surrogateescape")).hexdigest()
    digests[path] = digest
    return path, mark, digest, new


def source_mark(path: str) -> tuple[str, int]:
    """What changes when a source does, without reading it, and the time (ns) of the change.

    Of a file its size and time. Of a folder its own time, which tells of files that come and go, and the marks of its
    first and last image, which tell of pictures that are written over: by whatever writes all of them.
    """
    status = os.stat(path)  # noqa: PTH116
    if not stat.S_ISDIR(status.st_mode):
        return f"{status.st_size} {status.st_mtime_ns}", status.st_mtime_ns
    names = [name for name in os.listdir(path) if name[0] != "."]  # noqa: PTH208
    ends = [os.stat(os.path.join(path, name)) for name in {min(names), max(names)}] if names else []  # noqa: PTH116, PTH118
    ends.sort(key=lambda end: (end.st_size, end.st_mtime_ns))
    parts = [f"{len(names)} {status.st_mtime_ns}", *(f"{end.st_size} {end.st_mtime_ns}" for end in ends)]
    return " ".join(parts), max(status.st_mtime_ns, *(end.st_mtime_ns for end in ends), 0)


def hashed(source: Path) -> str:
    """Hash of a file's content, or of the names and contents of a folder's images."""
    digest = hashlib.blake2b(digest_size=20)
    folder = source.is_dir()
    for file in image_files(source) if folder else [source]:
        digest.update(f"\0{file.name if folder else ''}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        hash_file(file, digest)
    return digest.hexdigest()


def hash_file(path: Path, digest: "hashlib._Hash") -> None:
    """Feed a file to ``digest``: whole, or the start, middle and end of a long one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_HASH_BYTES:
            digest.update(file.read())
            return
        piece = WHOLE_HASH_BYTES // 3
        for start in (0, (size - piece) // 2, size - piece):
            file.seek(start)
            digest.update(file.read(piece))
