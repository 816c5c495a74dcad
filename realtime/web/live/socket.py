"""The WebSocket ``/api/live``: frames in, results out. docs/web.md has its messages.

Nothing here waits for a session, and no session waits for a client: of the frames that come the newest is read, and of
the results that could not be sent yet only the newest is kept.
"""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from stgt.errors import StgtError

from .messages import Hello, ProtocolError, as_text, parse_frame, parse_hello, parse_wish
from .outbox import Outbox, OutboxFullError
from .room import Place, RoomIsFullError
from .seat import Seat

if TYPE_CHECKING:
    from ..service import Service

router = APIRouter()

#: Why a socket is closed (RFC 6455, 7.4.1).
GOING_AWAY, NOT_ALLOWED, MISTAKE, TRY_LATER = 1001, 1008, 1011, 1013

_HELLO_S = 10.0  # within which a client says what it is
_LAST_WORD_S = 1.0  # for a client to be told why
_LOOKED_EVERY_S = 1.0
_MESSAGES_PER_S, _BURST = 120.0, 60.0  # more than any camera gives: who sends more is read more slowly
_WISHES_PER_S, _MOST_WISHES = 5.0, 50.0  # of text: more than anyone means
_TOO_EARLY = 100  # messages of somebody who was told to wait


@router.websocket("/api/live")
async def live(socket: WebSocket) -> None:
    """Read the expressions of whoever is in the frames that a client sends."""
    await Connection(socket, socket.app.state.service).run()


class _Over(Exception):  # noqa: N818 - no error
    """The connection is to be ended.

    Args:
        code: for the closing frame.
        message: what is said before that.
    """

    def __init__(self, code: int, message: dict[str, Any] | None = None) -> None:
        self.code = code
        self.message = message


def _error(sentence: object, code: int = NOT_ALLOWED) -> _Over:
    return _Over(code, {"type": "error", "error": str(sentence)})


class Connection:
    """One client, from its hello to its end.

    Args:
        socket: not accepted yet.
        service: of the server.
    """

    def __init__(self, socket: WebSocket, service: "Service") -> None:
        self._socket = socket
        self._service = service
        self._limits = service.limits
        self._pace = _Pace(_MESSAGES_PER_S, _BURST)
        self._wishes = _Pace(_WISHES_PER_S, _MOST_WISHES)
        self._last_frame_s = time.monotonic()

    async def run(self) -> None:
        """Serve it. Whatever happens, its place is free afterwards."""
        try:
            await self._socket.accept()
            await self._serve()
        except _Over as over:
            await self._end(over)
        except WebSocketDisconnect:
            pass

    async def _serve(self) -> None:
        hello = await self._hello()
        faces = self._faces()
        room, outbox = self._service.room, Outbox(self._limits.result_backlog)
        try:
            seat = Seat(self._service, hello, faces, outbox)
            place = room.ask()
        except RoomIsFullError as error:
            raise _Over(TRY_LATER, {"type": "full", "error": str(error)}) from None
        except StgtError as error:
            raise _error(error) from None
        try:
            if place.ahead is not None:
                await self._wait(place)
            await self._sit(place, seat, outbox)
        finally:
            room.leave(place)

    def _faces(self) -> int:
        """How many people are to be followed, by the address."""
        text, most = self._socket.query_params.get("faces", "1"), self._limits.faces
        if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= most):
            raise _error(f"faces must be a number from 1 to {most}")
        return int(text)

    async def _hello(self) -> Hello:
        try:
            async with asyncio.timeout(_HELLO_S):
                message = await self._receive()
        except TimeoutError:
            raise _error("the first message, hello, did not come") from None
        try:
            if not isinstance(message, str):
                raise ProtocolError("the first message must be a hello, of text")
            return parse_hello(message)
        except ProtocolError as error:
            raise _error(error) from None

    async def _wait(self, place: Place) -> None:
        """Stand in line until there is a place inside."""
        async with _tasks(self._pass_over_what_comes()) as (leaving,):
            while place.ahead is not None:
                await self._send(as_text({"type": "wait", "ahead": place.ahead}))
                moving = asyncio.ensure_future(place.moved())
                await asyncio.wait((moving, leaving), return_when=asyncio.FIRST_COMPLETED)
                moving.cancel()
                if leaving.done():
                    leaving.result()

    async def _pass_over_what_comes(self) -> None:
        """Frames that come too early are nothing; who goes away gives up the place in the line."""
        for _ in range(_TOO_EARLY):
            await self._receive()
        raise _error("nothing is to be sent before the message ready")

    async def _sit(self, place: Place, seat: Seat, outbox: Outbox) -> None:
        """Read frames until the client goes, or gives a reason to end."""
        room = self._service.room
        self._last_frame_s = time.monotonic()
        session = asyncio.get_running_loop().run_in_executor(room.threads, seat.run)
        room.stop_with(place, seat.stop)
        try:
            async with _tasks(self._listen(seat), self._tell(outbox), self._watch()) as tasks:
                done, _ = await asyncio.wait((session, *tasks), return_when=asyncio.FIRST_COMPLETED)
                for task in done - {session}:
                    task.result()
            try:
                why = session.result()
            except Exception:  # it is in the log
                raise _error("the server has made a mistake; its log says more", MISTAKE) from None
            if why is not None:
                raise _error(why)
            raise _Over(GOING_AWAY, {"type": "end", "reason": "the server is about to end"})
        finally:
            seat.stop()
            await _finished(session)

    async def _listen(self, seat: Seat) -> None:
        """Hand on what the client sends."""
        while True:
            message = await self._receive()
            try:
                if isinstance(message, str):
                    if not self._wishes.take():
                        raise ProtocolError("so many messages cannot be meant")
                    seat.wish(parse_wish(message))
                elif len(message) > self._limits.live_frame_bytes:
                    raise ProtocolError(f"a frame has at most {self._limits.live_frame_bytes} bytes")
                else:
                    seat.source.push(*parse_frame(message))
                    self._last_frame_s = time.monotonic()
            except StgtError as error:
                raise _error(error) from None

    async def _tell(self, outbox: Outbox) -> None:
        """Send what is to be sent."""
        with contextlib.suppress(OutboxFullError):
            while True:
                await self._send(await outbox.take())
        raise _Over(TRY_LATER)

    async def _watch(self) -> None:
        """End a session to which nothing comes any more, as when a laptop was closed."""
        while True:
            await asyncio.sleep(min(_LOOKED_EVERY_S, self._limits.live_idle_s / 4))
            if time.monotonic() - self._last_frame_s > self._limits.live_idle_s:
                reason = f"no frame has come for {self._limits.live_idle_s:g} s, so the place was given to the next"
                raise _Over(GOING_AWAY, {"type": "end", "reason": reason})

    async def _receive(self) -> str | bytes:
        """The next message, no sooner than the pace allows: TCP holds back who sends faster."""
        await self._pace.keep()
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._socket.send_text(text)
        except TimeoutError:
            raise _Over(TRY_LATER) from None

    async def _end(self, over: _Over) -> None:
        """Say why, if the client listens, and close."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_LAST_WORD_S):
                if over.message is not None:
                    await self._socket.send_text(as_text(over.message))
                await self._socket.close(over.code)


class _Pace:
    """How often something may happen: so many times a second, and a few more at first.

    Args:
        per_s: times a second.
        burst: times at once.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._since_s = time.monotonic()

    def take(self) -> bool:
        """It happens once more; whether it may."""
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._since_s) * self._per_s) - 1.0
        self._since_s = now_s
        return self._left >= 0.0

    async def keep(self) -> None:
        """Wait until it may happen once more."""
        if not self.take():
            await asyncio.sleep(-self._left / self._per_s)


@contextlib.asynccontextmanager
async def _tasks(*coroutines: Any) -> Any:
    """Tasks that run beside the block, and end with it."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _finished(future: "asyncio.Future[Any]") -> None:
    """Wait until a thread has ended, even if nobody wants this task any more: its place is taken until then."""
    cancelled = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # said elsewhere
            break
    if cancelled is not None:
        raise cancelled
