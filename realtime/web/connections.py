"""Connections that do not wait for ever, and whose memory does not grow: what uvicorn leaves open, closed.

uvicorn holds back a sender whose messages are not read, and a handler whose messages are not received (of its
implementations of WebSocket, ``websockets-sansio`` does both). It has no time limit for the head of a request, nor for
a peer that never reads, answers pings whether or not the answers are read, and counts no fragments.
"""

import asyncio
from typing import Any, ClassVar, TypeVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .limits import Limits

_FRAGMENTS = 256  # of one message


class _Impatient(asyncio.Protocol):
    """Cuts off a peer that does not read on."""

    limits: ClassVar[Limits] = Limits()
    _stall: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The peer does not read."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.limits.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._end_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        self._end_stall()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _close_for_certain(self) -> None:
        """A transport that is closed still waits for its peer to read what is left: not for ever."""
        self.transport.close()
        self.loop.call_later(self.limits.stall_s, self.transport.abort)


class HttpConnection(_Impatient, H11Protocol):
    """A connection for requests."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A peer has come, and should say soon what it wants."""
        super().connection_made(transport)
        self._head = self.loop.call_later(self.limits.head_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a head is complete, or has begun."""
        super().data_received(data)
        waiting = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        if not waiting:
            self._end_head()
        elif self._head is None:
            self._head = self.loop.call_later(self.limits.head_s, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        super().connection_lost(exc)
        self._end_head()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        super().timeout_keep_alive_handler()
        self._close_for_certain()

    def _end_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class SocketConnection(_Impatient, WebSocketsSansIOProtocol):
    """A WebSocket."""

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer does not read answers."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Any) -> None:
        """Take in a fragment; a message of very many is refused, because empty ones cost memory, too."""
        if len(self.frames) < _FRAGMENTS:
            super().handle_cont(event)
        elif not self.transport.is_closing():
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()

    def keepalive_timeout(self) -> None:
        """The peer does not answer pings."""
        super().keepalive_timeout()
        self.transport.abort()

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """The handler has returned; uvicorn waits some seconds for the peer to close, too."""
        super().on_task_complete(task)
        self.loop.call_later(self.limits.stall_s, self.transport.abort)


_Kind = TypeVar("_Kind", bound=type[_Impatient])


def kept_to(limits: Limits, kind: _Kind) -> _Kind:
    """A kind of connection that keeps to the limits of a server; uvicorn makes them without being told of any."""
    return type(kind.__name__, (kind,), {"limits": limits})
