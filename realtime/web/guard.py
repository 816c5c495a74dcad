"""What every request passes before anything else sees it: who may ask, for how much, and what browsers may do with it.

Plain ASGI, so that bodies stream through it.
"""

import hmac
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .bodies import Body
from .hosts import Hosts, check_origin

if TYPE_CHECKING:
    from .limits import Limits

logger = logging.getLogger("stgt.web")

_SIGN_IN = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>stgt web</title><h1>This page needs its token</h1>
<p>Open the whole address that <code>stgt web</code> printed when it was started, or give the token here:</p>
<form><label>Token <input name="token" type="password" autocomplete="off" required></label> <button>Open</button></form>
"""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware in front of all routes.

    Args:
        app: what is guarded.
        limits: sizes and times.
        token: what visitors have to know; none: nothing.
        hosts: names of the server.
    """

    def __init__(self, app: ASGIApp, limits: "Limits", token: str | None = None, hosts: Hosts | None = None) -> None:
        self._app = app
        self._limits = limits
        self._token = None if token is None else token.encode()
        self._hosts = hosts or Hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = _Answer(send, _security_headers(headers.get("host", "")))
        body = Body(receive, headers, self._limits, scope["path"])
        answer.body = body
        try:
            if self._refused_name(headers) is None and await self._signed_in(scope, headers, answer):
                return
            self._check(scope, headers)
            body.check_length()
            await self._app(scope, body.receive, answer.send)
        except HTTPException as error:
            await answer.say(error)
        except ClientDisconnect:
            return
        except Exception:
            logger.exception("%s %r", scope["method"], scope["path"])  # quoted: a path may hold lines of its own
            if answer.started:
                raise
            await answer.say(HTTPException(500, "the server met an error of its own; its log says more"))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope, Headers(scope=scope))
        except HTTPException as error:
            await _refuse_socket(scope, send, error)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """HTTPException: who asks must not, or does not say for whom the question is."""
        refused = self._refused_name(headers)
        if refused is not None:
            raise refused
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            check_origin(headers)
        if self._token is not None and scope["path"] != "/healthz" and not self._knows_token(scope, headers):
            raise HTTPException(
                401, "this server needs its token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )

    def _refused_name(self, headers: Headers) -> HTTPException | None:
        host = headers.get("host", "")
        if self._hosts.knows(host):
            return None
        return HTTPException(421, "this server does not go by the name in the Host header; --names gives it more names")

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        cookies = cookie_parser(headers.get("cookie", ""))
        return self._is_token(cookies.get(_cookie_name(scope), ""))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token)

    async def _signed_in(self, scope: Scope, headers: Headers, answer: "_Answer") -> bool:
        """Answer a visit to the page that brings the token along, or that lacks it; false: it needs no such answer."""
        if self._token is None or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return False
        given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=16).get("token", [""])[0]
        if self._is_token(given):
            secure = "; Secure" if scope["scheme"] == "https" else ""
            cookie = f"{_cookie_name(scope)}={given}; Path=/; HttpOnly; SameSite=Strict{secure}"
            await answer.give(303, {"Location": "/", "Set-Cookie": cookie, "Cache-Control": "no-store"}, b"")
            return True
        if self._knows_token(scope, headers):
            return False
        html = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "WWW-Authenticate": "Bearer"}
        await answer.give(401, html, _SIGN_IN)
        return True


def _cookie_name(scope: Scope) -> str:
    """Browsers keep cookies by host, not by port: two servers on one machine must not take each other's."""
    return f"stgt_token_{(scope.get('server') or ('', 0))[1]}"


def _security_headers(host: str) -> dict[str, str]:
    """Everything comes from this server and goes to it. Its sockets are named, because not all browsers know that
    'self' means them."""
    sockets = ""
    if host and all(character.isalnum() or character in "-.:[]" for character in host):
        sockets = f" ws://{host} wss://{host}"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        f"connect-src 'self'{sockets}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, **_HEADERS}


async def _refuse_socket(scope: Scope, send: Send, error: HTTPException) -> None:
    """Answer the request for a socket with a status and a sentence, where the server can do that."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    content = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": error.status_code, "headers": content})
    await send({"type": "websocket.http.response.body", "body": _sentence(error)})


def _sentence(error: HTTPException) -> bytes:
    return json.dumps({"error": str(error.detail)}, ensure_ascii=False).encode()


class _Answer:
    """What is sent: with the headers of all answers, and to the end even where the question has not ended."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._lingers = False
        self.body: Body | None = None
        self.started = False

    async def send(self, message: Message) -> None:
        """One ASGI message."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body" and self._lingers and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self.body.discard()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._send(message)

    async def give(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """A whole answer."""
        all_headers = {**headers, "Content-Length": str(len(content))}
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in all_headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": content})

    async def say(self, error: HTTPException) -> None:
        """Why something was not done."""
        headers: dict[str, Any] = {"Content-Type": "application/json", **(error.headers or {})}
        await self.give(error.status_code, headers, _sentence(error))

    async def _start(self, message: Message) -> None:
        self.started = True
        given = list(message.get("headers", []))
        known = {name for name, _ in given}
        added = [pair for pair in self._headers if pair[0] not in known]
        if b"cache-control" not in known:
            added.append((b"cache-control", b"no-store"))
        self._lingers = not self.body.complete
        if self._lingers:
            added.append((b"connection", b"close"))
        await self._send({**message, "headers": given + added})
