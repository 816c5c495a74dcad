"""The body of a request as it comes: not more of it than is allowed, and not at any slowness."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from .uploads import too_large

if TYPE_CHECKING:
    from .limits import Limits

_UPLOADS = "/api/predict"
_FRAMING = 64 * 1024  # bytes that a multipart body may be larger than the file in it
_LINGER_S = 2.0
_LINGER_BYTES = 64 * 2**20


class Body:
    """What is still to come of a request.

    Args:
        receive: of ASGI.
        headers: of the request.
        limits: sizes and times.
        path: of the request; files are only sent to one.

    Attributes:
        complete: whether all of it has come.
    """

    def __init__(self, receive: Receive, headers: Headers, limits: "Limits", path: str) -> None:
        self._receive = receive
        self._limits = limits
        self._is_upload = path == _UPLOADS
        self._limit = limits.upload_bytes + _FRAMING if self._is_upload else limits.body_bytes
        self._length = headers.get("content-length", "")
        self._began_s = time.monotonic()
        self._bytes = 0
        self._gone = False
        self.complete = self._length in ("", "0") and "transfer-encoding" not in headers

    def check_length(self) -> None:
        """HTTPException: the header announces too much."""
        if self._length and int(self._length) > self._limit:  # h11 lets nothing but digits through
            raise self._too_large()

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 408, it does not come or comes too slowly; 413, there was too much.
        """
        if self.complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._limits.stall_s)
        except TimeoutError:
            raise HTTPException(408, "the rest of the body does not come") from None
        self._take(message)
        if self._bytes > self._limit:
            raise self._too_large()
        took_s = time.monotonic() - self._began_s
        if not self.complete and took_s > self._limits.stall_s + self._bytes / self._limits.upload_rate:
            raise HTTPException(408, "the body comes too slowly")
        return message

    async def discard(self) -> None:
        """Read on for a moment: a sender that is cut off while it sends might never read the answer."""
        end_s = time.monotonic() + _LINGER_S
        last = self._bytes + _LINGER_BYTES
        with contextlib.suppress(asyncio.TimeoutError):
            while not (self.complete or self._gone) and self._bytes < last and time.monotonic() < end_s:
                self._take(await asyncio.wait_for(self._receive(), end_s - time.monotonic()))

    def _take(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self._gone = True
            return
        self._bytes += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)

    def _too_large(self) -> HTTPException:
        if self._is_upload:
            return HTTPException(413, too_large(self._limits.upload_bytes))
        return HTTPException(413, f"the body is larger than {self._limit} bytes")
