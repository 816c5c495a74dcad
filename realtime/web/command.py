"""``stgt web``: the page and the API."""

import contextlib
import errno
import importlib.util
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from stgt.command import run
from stgt.errors import MissingExtraError, StgtError

from ..interruption import finished_on_signals
from .options import WebOptions, parse

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from .hosts import Hosts
    from .service import Service

_NEEDED = ("fastapi", "uvicorn", "websockets", "python_multipart")
_GRACE_S = 1  # uvicorn takes whole seconds
_END_S = 2.5  # after a signal: what has not ended by itself until then is cut off


def main(arguments: list[str]) -> int:
    """Run the command; the exit code."""
    options = parse(arguments)
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("stgt web", "web")
    begun = False
    with finished_on_signals("stgt web") as interrupted, contextlib.ExitStack() as stack:
        try:
            if options.certificate is not None:
                check_certificate(options)
            listener = stack.enter_context(listen(options))
            service = stack.enter_context(contextlib.closing(open_service(options)))
            if interrupted():
                return 130
            begun = True
            log_defects_alone()
            serve(options, service, listener)
        except KeyboardInterrupt:  # how a server ends
            if not begun:
                return 130
    return leave()


def leave() -> NoReturn:
    """End the process now that all is closed: native libraries would take seconds to take themselves apart."""
    with contextlib.suppress(OSError):  # whoever read the output may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def listen(options: WebOptions) -> socket.socket:
    """The socket on which visitors arrive; they wait until `serve` takes care of them.

    Raises:
        StgtError: the port is taken, or the host is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise StgtError(f"--host {options.host} is no address or name of this machine") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise StgtError(_why_not(options, error)) from None
    return listener


def _why_not(options: WebOptions, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {options.port} is taken by another program; choose another --port, or 0 for any that is free"
    if error.errno == errno.EACCES:
        return f"port {options.port} may not be used without more rights; choose a --port from 1024 on"
    return f"--host {options.host} is no address or name of this machine"


def check_certificate(options: WebOptions) -> None:
    """Say at once that a certificate cannot be used.

    Raises:
        StgtError: it, or its key, is damaged, or they do not belong together.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.certificate, options.key, password="")
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise StgtError(
            f"--certificate {options.certificate} and --key {options.key} are no PEM files that belong together "
            "(a key with a password cannot be used)"
        ) from None


def open_service(options: WebOptions) -> "Service":
    """Load the model, and all that requests share."""
    from stgt.inference import ExpressionReader

    from .service import Service

    reader = ExpressionReader(options.checkpoint, options.device, options.min_confidence, options.engine)
    return Service(reader, options.limits, options.checkpoint, options.token, options.temporary)


def log_defects_alone() -> None:
    """From now on. Warnings are about visitors' files, by their names: they are told to the visitors as notes."""
    logging.getLogger("stgt").setLevel(logging.ERROR)


def serve(options: WebOptions, service: "Service", listener: socket.socket) -> None:
    """Answer requests until a signal comes; it is raised as KeyboardInterrupt then."""
    from .app import create_app

    config = server_settings(create_app(service, hosts_of(options)), options)
    port = listener.getsockname()[1]
    _server(config, lambda: announce(options, port), service.scratch.close).run([listener])


def server_settings(app: "ASGIApp", options: WebOptions) -> "uvicorn.Config":
    """How uvicorn serves an application."""
    import uvicorn

    from .connections import HttpConnection, SocketConnection, kept_to

    return uvicorn.Config(
        app,
        loop="asyncio",
        http=kept_to(options.limits, HttpConnection),
        ws=kept_to(options.limits, SocketConnection),
        ws_max_size=options.limits.live_frame_bytes,
        ws_per_message_deflate=False,  # pictures are compressed already, and what grows when it is unpacked is a risk
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=options.limits.connections,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )


def announce(options: WebOptions, port: int) -> None:
    """Say, on one line, that visitors can come; and open the page, if that was asked for."""
    address = address_of(options, port)
    whole = address if options.token is None else f"{address}?token={options.token}"
    # A token that somebody chose is known to them, and logs are no place for it.
    print(f"stgt web: {whole if options.token_is_new else address}  (Ctrl-C ends it)", flush=True)
    if not options.is_loopback and options.certificate is None:
        print(
            "stgt web: browsers give the camera only to pages on localhost or over https; "
            "for other machines, give --certificate and --key",
            file=sys.stderr,
        )
    if options.open:
        open_browser(whole)


def open_browser(address: str) -> None:
    """Open a page in the user's browser, which must not inherit what `refuse_telemetry` did to this process."""
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    command = [sys.executable, "-m", "webbrowser", address]
    subprocess.Popen(command, env=dict(os.environ), start_new_session=True, **silent)


def hosts_of(options: WebOptions) -> "Hosts":
    """The names that the server goes by."""
    from .hosts import LOOPBACK, Hosts

    names = LOOPBACK | {options.host.lower(), *options.names}
    if not options.is_loopback:
        own = socket.gethostname().lower()
        names |= {own, f"{own}.local", socket.getfqdn().lower()}
    return Hosts(names, addresses=not options.is_loopback)


def address_of(options: WebOptions, port: int) -> str:
    """What a visitor types."""
    host = own_address() if options.host in ("0.0.0.0", "::") else options.host
    scheme = "http" if options.certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def own_address() -> str:
    """The address by which other machines most likely reach this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which way a datagram would go
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def _server(config: "uvicorn.Config", ready: Callable[[], None], clean: Callable[[], None]) -> "uvicorn.Server":
    """A uvicorn server that says when it is ready, and ends in time.

    Args:
        config: its settings.
        ready: called when it answers.
        clean: called when it has to be cut off.
    """
    import uvicorn

    def cut_off() -> None:
        clean()
        leave()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if not self.should_exit:
                timer = threading.Timer(_END_S, cut_off)
                timer.daemon = True
                timer.start()
            super().handle_exit(sig, frame)

    return Server(config)


if __name__ == "__main__":
    run(main)
