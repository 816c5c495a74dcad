"""The files of the page. They are read once and given by their exact names: no request is ever turned into a path."""

import hashlib
from functools import cache
from importlib import resources

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
    """Name -> media type, content and entity tag."""
    files = {}
    for file in (resources.files("stgt.realtime.web") / "page").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            content = file.read_bytes()
            files[file.name] = (_TYPES[suffix], content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return files


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return _file(_INDEX, request)


@router.get(
    "/page/{name}",
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
