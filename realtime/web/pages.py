"""The files of the page. They are read once and given by their exact names: no request is ever turned into a path."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from .problems import problems

router = APIRouter()

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"


@cache
def page_files() -> dict[str, tuple[str, bytes, str]]:
    """Name, such as "live/door.js" -> media type, content and entity tag."""
    return dict(_files_in(resources.files("stgt.realtime.web") / "page", ""))


def _files_in(folder: Traversable, prefix: str) -> Iterator[tuple[str, tuple[str, bytes, str]]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        suffix = "." + entry.name.rpartition(".")[2]
        if entry.is_dir():
            yield from _files_in(entry, f"{name}/")
        elif suffix in _TYPES:
            content = entry.read_bytes()
            yield name, (_TYPES[suffix], content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return _file(_INDEX, request)


@router.get("/page", include_in_schema=False)
async def folder() -> Response:
    """No folder is given; without this, the router would send visitors on to the same name with a slash."""
    raise HTTPException(404)


@router.get(
    "/page/{name:path}",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in _TYPES.values()}}, **problems(404)},
)
async def page_file(name: str, request: Request) -> Response:
    """A file of the page."""
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    """A file as an answer; 304 if the browser has it already."""
    if name not in page_files():
        raise HTTPException(404, "the page has no such file")
    kind, content, tag = page_files()[name]
    headers = {"ETag": tag, "Cache-Control": "no-cache"}  # asked for anew every time, but sent only once
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
