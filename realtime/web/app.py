"""The application: the routes of all rooms behind one guard."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from stgt import __version__
from stgt.errors import StgtError

from . import about, pages
from .guard import Guard
from .hosts import Hosts
from .jobs import routes as jobs
from .live import routes as recordings
from .live import socket as live
from .problems import ANYWHERE, problems
from .service import Service

_DESCRIPTION = """Facial expressions in photos, in videos and live. What cannot be done is answered with a status from
400 on and one sentence, `{"error": "..."}`. Live reading is a WebSocket, `/api/live`; docs/web.md has its messages."""


def create_app(service: Service, hosts: Hosts | None = None) -> FastAPI:
    """The ASGI application of a service, which is at ``app.state.service``.

    Args:
        service: what requests share; the caller closes it.
        hosts: names that the server goes by; none: those of this machine for itself.
    """
    app = FastAPI(
        title="stgt web",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # those pages load their code from elsewhere
        redoc_url=None,
        responses=problems(*ANYWHERE),
        separate_input_output_schemas=False,
    )
    app.state.service = service
    app.state.model_card = about.model_card(service)
    app.add_middleware(Guard, limits=service.limits, token=service.token, hosts=hosts)
    app.add_exception_handler(HTTPException, _say_why)
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    app.add_exception_handler(StgtError, _say_what_was_bad)
    for room in (about, jobs, live, recordings, pages):
        app.include_router(room.router)
    _complete_description(app, service)
    return app


def _complete_description(app: FastAPI, service: Service) -> None:
    """Put into the OpenAPI description what depends on the service."""
    description = app.openapi()
    form = description["paths"]["/api/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    form["properties"]["faces"]["maximum"] = service.limits.faces
    if service.token is not None:
        description["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{"token": []}]


def _say_why(request: Request, error: HTTPException) -> JSONResponse:
    sentence, headers = str(error.detail), error.headers
    if sentence == HTTPStatus(error.status_code).phrase:  # from the router, which has no sentences
        if error.status_code == 405:
            sentence = f"this address does not take {request.method}"
            headers = {"Allow": ", ".join(sorted(_methods(request))) or "GET"}
        else:
            sentence = "there is nothing at this address"
    return JSONResponse({"error": sentence}, error.status_code, headers)


def _methods(request: Request) -> set[str]:
    """What the address of a request takes; the router names those of the first route that matches."""
    return {
        method.upper()
        for address, operations in request.app.openapi()["paths"].items()
        for method in operations
        if compile_path(address)[0].match(request.scope["path"])
    }


def _say_what_was_bad(request: Request, error: StgtError) -> JSONResponse:  # noqa: ARG001
    return JSONResponse({"error": str(error)}, 422)


def _say_what_is_wrong(request: Request, error: RequestValidationError) -> JSONResponse:  # noqa: ARG001
    """The first thing that is wrong with a request, as a sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return JSONResponse({"error": f"{where[:100]}: {first['msg'][:200]}"}, 422)
