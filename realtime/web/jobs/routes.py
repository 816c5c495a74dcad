"""The addresses of jobs: send a file, ask how far it is, take the results, end it."""

import re
from contextlib import suppress
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import FileResponse

from stgt.errors import StgtError
from stgt.predict import parse_neutral

from ..limits import Limits
from ..problems import problems
from ..uploads import receive_upload
from .job import Job, JobState
from .queue import Jobs, NotReady, QueueFull
from .results import ANNOTATED, CSV, JSON, RESULT, PhotoResult, VideoResult, mesh_name

router = APIRouter(tags=["jobs"])

_RETRY_S = "5"
_NO_JOB = "there is no such job; results are forgotten after a while, so send the file again"
_FULL = "many files are waiting to be read; try again soon"

# A field that is there must say something: one that is empty is a mistake of whoever filled the form.
_FACES = re.compile("[0-9]{1,3}")
_NEUTRAL = re.compile(r"[0-9]+(\.[0-9]+)?-[0-9]+(\.[0-9]+)?")

JobId = Annotated[str, Path(max_length=64)]

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "A photo or a video."},
                        "faces": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "People to look for; if it is left out, one in a video, several in a photo.",
                        },
                        "neutral": {
                            "type": "string",
                            "pattern": f"^{_NEUTRAL.pattern}$",
                            "description": "Start and end in seconds of a part in which the face is neutral, as 0-1.5.",
                        },
                    },
                }
            }
        },
    }
}


def _file(kind: str, what: str, *others: int, ranges: bool = False) -> dict[str, Any]:
    """The ``responses`` of a route that gives a file."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    found: dict[int | str, dict[str, Any]] = {200: {"description": what, "content": content}}
    if ranges:
        found[206] = {"description": "The part that was asked for.", "content": content}
    return found | problems(404, *others)


@router.post(
    "/api/predict",
    status_code=202,
    response_model=JobState,
    responses=problems(408, 415, 507),
    openapi_extra=_FORM,
)
async def predict(request: Request, response: Response) -> JobState:
    """Send a photo or a video to be read."""
    jobs: Jobs = request.app.state.service.jobs
    if jobs.is_full:  # said before the file is sent, where the client listens
        raise _full()
    upload, fields = await receive_upload(request)
    try:
        faces, neutral_s = _options(fields, jobs.limits)
        state = jobs.submit(upload, faces, neutral_s)
    except BaseException as error:
        upload.close()
        if isinstance(error, QueueFull):
            raise _full() from None
        raise
    response.headers["Location"] = f"/api/jobs/{state.id}"
    return state


@router.get("/api/jobs/{job_id}", responses=problems(404))
def job_state(request: Request, job_id: JobId) -> JobState:
    """How far a job is."""
    return _jobs(request).state(_job(request, job_id))


@router.delete("/api/jobs/{job_id}", status_code=204, responses=problems(404))
def forget_job(request: Request, job_id: JobId) -> Response:
    """End a job, and forget its file and results."""
    try:
        _jobs(request).cancel(job_id)
    except KeyError:
        raise HTTPException(404, _NO_JOB) from None
    return Response(status_code=204)


@router.get(
    "/api/jobs/{job_id}/result",
    response_model=VideoResult | PhotoResult,
    responses=problems(404, 409, 416),
)
def result(request: Request, job_id: JobId) -> FileResponse:
    """What was read in the video or photo."""
    return _kept(request, _finished(request, job_id), RESULT, "application/json")


@router.get(
    "/api/jobs/{job_id}/predictions.csv",
    response_class=FileResponse,
    responses=_file("text/csv", "A line per window of a video, or face of a photo.", 409, 416),
)
def predictions_csv(request: Request, job_id: JobId) -> FileResponse:
    """All windows as a table, as `stgt predict` writes it."""
    return _kept(request, _finished(request, job_id), CSV, "text/csv; charset=utf-8", CSV)


@router.get(
    "/api/jobs/{job_id}/predictions.json", response_model=list[dict[str, Any]], responses=problems(404, 409, 416)
)
def predictions_json(request: Request, job_id: JobId) -> FileResponse:
    """All windows as a list, as `stgt predict` writes it."""
    return _kept(request, _finished(request, job_id), JSON, "application/json", JSON)


@router.get(
    "/api/jobs/{job_id}/mesh/{face}",
    response_class=FileResponse,
    responses=_file(
        "application/octet-stream",
        "Little-endian int16, (frames, nodes, 2): x and y in half pixels; -32768 where the face is not seen.",
        *(409, 416),
    ),
)
def mesh(request: Request, job_id: JobId, face: Annotated[int, Path(ge=0, le=999)]) -> FileResponse:
    """The nodes of a person's face in every frame of a video."""
    return _kept(request, _finished(request, job_id), mesh_name(face), "application/octet-stream")


@router.post("/api/jobs/{job_id}/video", status_code=202, responses=problems(404, 409))
def draw_video(request: Request, job_id: JobId) -> JobState:
    """Have the annotated video of a job drawn; it is done when `has_video` is true."""
    try:
        return _jobs(request).draw(job_id)
    except KeyError:
        raise HTTPException(404, _NO_JOB) from None
    except NotReady as error:
        raise HTTPException(409, str(error)) from None
    except QueueFull:
        raise _full() from None


@router.get(
    "/api/jobs/{job_id}/annotated.mp4",
    response_class=FileResponse,
    responses=_file("video/mp4", "The video with faces and readings drawn on it.", 416, ranges=True),
)
def annotated_video(request: Request, job_id: JobId) -> FileResponse:
    """The annotated video; there is none before it was drawn."""
    job = _job(request, job_id)
    if not job.has_video:
        raise HTTPException(404, "the annotated video was not drawn; ask for it with POST .../video")
    return _kept(request, job, ANNOTATED, "video/mp4", ANNOTATED, disposition="inline")


def _jobs(request: Request) -> Jobs:
    return request.app.state.service.jobs


def _job(request: Request, job_id: str) -> Job:
    try:
        return _jobs(request).get(job_id)
    except KeyError:
        raise HTTPException(404, _NO_JOB) from None


def _finished(request: Request, job_id: str) -> Job:
    job = _job(request, job_id)
    if not job.has_result:
        raise HTTPException(409, job.error or "the file was not read to its end so far; ask again when the job is done")
    return job


def _full() -> HTTPException:
    return HTTPException(503, _FULL, {"Retry-After": _RETRY_S})


def _options(fields: dict[str, str], limits: Limits) -> tuple[int | None, tuple[float, float] | None]:
    """The number of faces and the neutral part that a form asks for.

    Raises:
        HTTPException: 422, they make no sense.
    """
    faces, neutral = fields.get("faces"), fields.get("neutral")
    if faces is not None and not (_FACES.fullmatch(faces) and 1 <= int(faces) <= limits.faces):
        raise HTTPException(422, f"faces must be a whole number from 1 to {limits.faces}")
    return None if faces is None else int(faces), None if neutral is None else _neutral_part(neutral)


def _neutral_part(text: str) -> tuple[float, float]:
    if _NEUTRAL.fullmatch(text):
        with suppress(StgtError):
            return parse_neutral(text)
    raise HTTPException(422, "neutral must be the start and the end of a part in seconds, as 0-1.5")


def _kept(
    request: Request, job: Job, name: str, media_type: str, download: str | None = None, disposition: str = "attachment"
) -> FileResponse:
    """A file from a job's folder; ``download``: how its name ends on the client's disk."""
    try:
        status = (job.folder / name).stat()
    except OSError:
        raise HTTPException(404, "there is no such part of this result") from None
    _check_range(request, status.st_size)
    filename = None if download is None else f"{PurePath(job.upload.name).stem}.{download}"
    return FileResponse(
        job.folder / name,
        media_type=media_type,
        filename=filename,
        content_disposition_type=disposition,
        stat_result=status,
    )


def _check_range(request: Request, size: int) -> None:
    """Let only ranges through that can be answered; one that is malformed, or several, are as good as none.

    Raises:
        HTTPException: 416, the range begins beyond the end.
    """
    asked = request.headers.get("range")
    if asked is None:
        return
    match = re.fullmatch(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))", asked.strip())
    if match is None or (match[2] and int(match[2]) < int(match[1])):
        request.scope["headers"] = [(key, value) for key, value in request.scope["headers"] if key != b"range"]
    elif (match[1] and int(match[1]) >= size) or (match[3] and int(match[3]) == 0):
        raise HTTPException(416, "the file has no such part", {"Content-Range": f"bytes */{size}"})
