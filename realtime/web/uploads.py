"""A file that is sent to the server: read from the stream as it comes, into a temporary file that has no name."""

import errno
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from .limits import Limits
    from .scratch import Scratch
    from .service import Service

_NAME_LENGTH = 120
_FIELDS = 8
_FIELD_BYTES = 1024
_PART_HEADERS = 8
_PART_HEADER_BYTES = 2048
_BLOCK = 2**20  # bytes that are written at once
_RETRY_S = "5"


@dataclass(frozen=True)
class Upload:
    """A file that was sent.

    Attributes:
        file: at its start; closing it removes it.
        name: what its sender calls it, for display only: never a path.
        size: bytes.
    """

    file: BinaryIO
    name: str
    size: int

    def close(self) -> None:
        """Remove it."""
        self.file.close()


class UploadSlots:
    """How many files may be sent at once.

    Args:
        count: so many.
    """

    def __init__(self, count: int) -> None:
        self._free = count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for the block.

        Raises:
            HTTPException: 503, there is none.
        """
        if self._free == 0:
            raise HTTPException(
                503, "several files are being sent at the moment; try again soon", {"Retry-After": _RETRY_S}
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def receive_upload(request: Request) -> tuple[Upload, dict[str, str]]:
    """Read a multipart body: the part ``file``, and all others as short texts.

    The caller closes the upload. Nothing is left of one that fails.

    Raises:
        HTTPException: 400 malformed or without a file, 413 too large, 415 no multipart body, 422 a field that is too
            long, 503 too many senders at once, 507 the disk is full.
        ClientDisconnect: the sender went away.
    """
    service: Service = request.app.state.service
    with service.uploads.one():
        form = _Form(_boundary(request.headers.get("content-type", "")), service.scratch, service.limits)
        try:
            _check_room(request, service.scratch)
            async for chunk in request.stream():
                form.feed(chunk)
                if form.pending >= _BLOCK:
                    await run_in_threadpool(form.flush)
            return await run_in_threadpool(form.finish)
        except OSError as error:
            form.close()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _disk_full() from None
            raise
        except BaseException:
            form.close()
            raise


def display_name(name: str) -> str:
    """What a sender calls a file, harmless to show: no folders, no control characters, not longer than 120.

    Characters that turn the direction of writing are control characters, too.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(character for character in last if not unicodedata.category(character).startswith("C"))
    shown = shown.strip()
    return shown[:_NAME_LENGTH] if shown.strip(".") else "file"


def _boundary(content_type: str) -> bytes:
    """What stands between the parts of a body.

    Raises:
        HTTPException: 415, the body has no parts; 400, it does not say what stands between them.
    """
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise HTTPException(415, "the body must be multipart/form-data with the file in its part named file")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046
        raise HTTPException(400, "the multipart body names no boundary of 1 to 70 characters")
    return boundary


def _check_room(request: Request, scratch: "Scratch") -> None:
    """Say at once that a body of known size will not fit on the disk."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > scratch.free_bytes():
        raise _disk_full()


def _disk_full() -> HTTPException:
    return HTTPException(507, "the server's disk is full: make room there, or start it with another --temporary folder")


class _Form:
    """A multipart body that is taken apart while it comes. The methods of the parser's callbacks begin with ``_on``."""

    def __init__(self, boundary: bytes, scratch: "Scratch", limits: "Limits") -> None:
        from python_multipart.multipart import MultipartParser

        self._limit = limits.upload_bytes
        self._fields: dict[str, bytearray] = {}
        self._name = ""
        self._upload_name: str | None = None
        self._size = 0
        self._block = bytearray()
        self._parts = 0
        self._ended = False
        self._is_file = False
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
            max_header_count=_PART_HEADERS,
            max_header_size=_PART_HEADER_BYTES,
        )
        self._file = scratch.new_file()

    @property
    def pending(self) -> int:
        """Bytes of the file that are not yet written."""
        return len(self._block)

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the body."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(chunk)
        except FormParserError:
            raise HTTPException(400, "the multipart body is malformed") from None

    def flush(self) -> None:
        """Write what is pending. OSError: the disk is full."""
        self._file.write(self._block)
        self._block.clear()

    def finish(self) -> tuple[Upload, dict[str, str]]:
        """The file and the fields, after the last byte of the body."""
        if not self._ended:
            raise HTTPException(400, "the multipart body ends before its last part does")
        if self._upload_name is None:
            raise HTTPException(400, "the body has no part named file")
        self.flush()
        self._file.seek(0)  # flushes
        fields = {name: value.decode("utf-8", "replace").strip() for name, value in self._fields.items()}
        return Upload(self._file, display_name(self._upload_name), self._size), fields

    def close(self) -> None:
        """Remove the file."""
        self._block.clear()
        with suppress(OSError):  # on a full disk: it is closed nevertheless
            self._file.close()

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _FIELDS:
            raise HTTPException(413, f"the body has more than {_FIELDS} parts")
        self._disposition = b""
        self._header = (bytearray(), bytearray())

    def _on_header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        if kind != b"form-data" or b"name" not in options:
            raise HTTPException(400, "a part of the multipart body has no name")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._is_file = self._name == "file"
        if self._name in self._fields or (self._is_file and self._upload_name is not None):
            raise HTTPException(400, "the body has two parts of the same name; one file is taken at a time")
        if self._is_file:
            self._upload_name = options.get(b"filename", b"").decode("utf-8", "replace")
        else:
            self._fields[self._name] = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._size += end - start
            if self._size > self._limit:
                raise HTTPException(413, too_large(self._limit))
            self._block += data[start:end]
            return
        field = self._fields[self._name]
        if len(field) + end - start > _FIELD_BYTES:
            raise HTTPException(422, f"a field of the body is longer than {_FIELD_BYTES} bytes")
        field += data[start:end]

    def _on_end(self) -> None:
        self._ended = True


def too_large(limit: int) -> str:
    """What is said of a file that is larger than ``limit`` bytes."""
    return f"the file is larger than the {limit / 2**20:.0f} MiB that this server takes (--upload-mb)"
