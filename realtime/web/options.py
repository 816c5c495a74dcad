"""The options of ``stgt web``."""

import ipaddress
import os
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stgt.command import argument_parser
from stgt.errors import StgtError

from .limits import Limits

DESCRIPTION = (
    """Serve a page for photos, videos and the camera, and an API, on this machine. Nothing is sent elsewhere."""
)

EPILOG = """Ctrl-C and SIGTERM end it. Browsers give a page the camera only on localhost, or over https: give
--certificate and --key to be reached from other machines."""

#: Where the token is looked for when --token is not given.
TOKEN_VARIABLE = "STGT_WEB_TOKEN"

#: Given as --token: one that nobody knows yet.
NEW_TOKEN = "auto"

_TOKEN_LENGTH = 12


@dataclass(frozen=True)
class WebOptions:
    """What was asked for; `parse` says what each of it means."""

    host: str
    port: int
    names: tuple[str, ...]
    checkpoint: str
    engine: str
    device: str
    min_confidence: float
    token: str | None
    token_is_new: bool
    certificate: Path | None
    key: Path | None
    open: bool
    temporary: Path | None
    limits: Limits

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def parse(arguments: list[str]) -> WebOptions:
    """The options of a command line.

    Raises:
        StgtError: an unknown option, or a value that makes no sense.
    """
    given = _parser().parse_args(arguments)
    values: dict[str, Any] = {field.name: getattr(given, field.name, None) for field in fields(WebOptions)}
    _check(given)
    values["names"] = tuple(name.strip().lower() for name in given.names.split(",") if name.strip())
    values["token"] = _token(given.token)
    values["token_is_new"] = given.token == NEW_TOKEN
    values["limits"] = Limits(
        upload_bytes=round(given.upload_mb * 2**20),
        video_s=given.video_minutes * 60,
        faces=given.faces,
        live_sessions=given.live_sessions,
    )
    for name in ("certificate", "key", "temporary"):
        values[name] = None if getattr(given, name) is None else Path(getattr(given, name))
    options = WebOptions(**values)
    if not options.is_loopback and options.token is None:
        raise StgtError(
            f"--host {options.host} lets other machines in, so it needs --token auto, or a token of your own "
            f"(it may also stand in {TOKEN_VARIABLE})"
        )
    return options


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _token(given: str | None) -> str | None:
    """The token that was meant: from the command line, a file or the environment; or a new one.

    Raises:
        StgtError: it can be guessed, or is not fit for an address.
    """
    token = (os.environ.get(TOKEN_VARIABLE) or None) if given is None else given
    if token is None:
        return None
    if token == NEW_TOKEN:
        return secrets.token_urlsafe(24)
    if token.startswith("@"):
        try:
            token = Path(token[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise StgtError(f"--token {token}: there is no such file that can be read") from None
    if len(token) < _TOKEN_LENGTH or not all(
        letter.isascii() and (letter.isalnum() or letter in "-_.~") for letter in token
    ):
        raise StgtError(
            f"the token must have at least {_TOKEN_LENGTH} letters, digits, or - _ . ~ (--token auto makes a good one)"
        )
    return token


def _check(given: Any) -> None:
    """Say at once what is wrong, before anything is loaded."""
    if not 0 <= given.port <= 65535:
        raise StgtError(f"--port is {given.port}; it is from 1 to 65535, or 0 for any that is free")
    if not 0 <= given.min_confidence <= 1:
        raise StgtError(f"--min-confidence is {given.min_confidence}; it is a probability, from 0 to 1")
    for name in ("faces", "live_sessions"):
        if not 1 <= getattr(given, name) <= 64:
            raise StgtError(f"--{name.replace('_', '-')} is {getattr(given, name)}; it is from 1 to 64")
    for name in ("upload_mb", "video_minutes"):
        if not getattr(given, name) > 0:
            raise StgtError(f"--{name.replace('_', '-')} is {getattr(given, name)}; it must be positive")
    if (given.certificate is None) != (given.key is None):
        raise StgtError("--certificate and --key belong together: give both, or neither")
    for name in ("certificate", "key"):
        path = getattr(given, name)
        if path is not None and not Path(path).is_file():
            raise StgtError(f"--{name} {path}: there is no such file")
    if given.temporary is not None and not os.access(given.temporary, os.W_OK | os.X_OK):
        raise StgtError(f"--temporary {given.temporary}: there is no such folder that can be written to")


def _parser() -> Any:
    parser = argument_parser("web", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0: all of this machine's, with a --token.")
    add("--port", type=int, default=8765, metavar="N", help="Where to listen; 0: any port that is free.")
    add("--names", default="", metavar="A,B", help="Further names under which the server is reached.")
    add(
        "--checkpoint",
        default="pretrained",
        metavar="FILE",
        help="Trained model (.safetensors, or .onnx from stgt export); pretrained: the one that comes with stgt.",
    )
    add(
        "--engine",
        default="auto",
        choices=("auto", "torch", "onnxruntime"),
        help="What runs the model; auto: the faster.",
    )
    add("--device", default="auto", help="Where the model runs: auto, cpu, cuda, mps.")
    add(
        *("--min-confidence", "--min_confidence"),
        type=float,
        default=0.0,
        metavar="P",
        help="Below this probability no label is named, and the face is called uncertain.",
    )
    add(
        "--token",
        metavar="TEXT|auto|@FILE",
        help=f"What visitors have to know; auto: a new one; none: {TOKEN_VARIABLE} of the environment, or nothing.",
    )
    add("--certificate", metavar="FILE", help="Certificate chain (PEM), for https.")
    add("--key", metavar="FILE", help="Its private key (PEM).")
    add("--open", action="store_true", help="Open the page in a browser.")
    limits = Limits()
    add(
        "--faces",
        type=int,
        default=limits.faces,
        metavar="N",
        help="The most people that are followed in a video or live.",
    )
    add(
        *("--live-sessions", "--live_sessions"),
        type=int,
        default=limits.live_sessions,
        metavar="N",
        help="Cameras that are read at once; others wait.",
    )
    add(
        *("--upload-mb", "--upload_mb"),
        type=float,
        default=limits.upload_bytes / 2**20,
        metavar="MIB",
        help="The largest file that is taken.",
    )
    add(
        *("--video-minutes", "--video_minutes"),
        type=float,
        default=limits.video_s / 60,
        metavar="MIN",
        help="How far a video is read.",
    )
    add("--temporary", metavar="DIR", help="Where files are kept while they are read; none: the system's place.")
    return parser
