"""Recordings to take home: ``/api/recordings``."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from ..problems import ANYWHERE, problems
from .recording import FILES

router = APIRouter(prefix="/api/recordings", tags=["live"])

_UNKNOWN = "there is no such file, or it was forgotten meanwhile"
_KINDS: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILES.values()}

Id = Annotated[str, Path(max_length=64, description="What the socket gave the recording.")]


@router.get(
    "/{id}/{name}",
    response_class=FileResponse,
    responses={
        200: {"content": _KINDS, "description": "The file."},
        206: {"content": _KINDS, "description": "The part of it that the header Range asked for."},
        **problems(404, 416, *ANYWHERE),
    },
)
def get_file(request: Request, id: Id, name: Annotated[str, Path(max_length=64)]) -> Response:
    """A file of a finished recording: annotated.mp4, predictions.csv, summary.json or summary.png."""
    path = request.app.state.service.room.recordings.path(id, name)
    if path is None:
        return JSONResponse({"error": _UNKNOWN}, 404)
    return FileResponse(path, media_type=FILES[name], filename=name, headers={"Cache-Control": "no-store"})


@router.delete("/{id}", status_code=204, responses=problems(404, *ANYWHERE))
def forget(request: Request, id: Id) -> Response:
    """Forget a recording and remove its files."""
    if not request.app.state.service.room.recordings.forget(id):
        return JSONResponse({"error": _UNKNOWN}, 404)
    return Response(status_code=204)
