"""What is said when something cannot be done: one sentence, always in the same form."""

from typing import Any

from pydantic import BaseModel

#: Status -> when it is the answer.
_WHEN = {
    400: "The request is malformed.",
    401: "The server was started with a token, and the request carries none or a wrong one.",
    403: "The request was sent by a page of another site.",
    404: "There is no such thing, or it was forgotten meanwhile.",
    408: "The sender fell silent, or sends too slowly.",
    409: "Not in this state.",
    413: "The body is larger than the server takes.",
    415: "The body is not of a kind that is taken here.",
    416: "The file has no such part.",
    421: "The server does not go by the name that the request was sent to.",
    422: "A value that makes no sense.",
    500: "A defect of the server; its log says more.",
    503: "The server is busy; Retry-After says when to try again.",
    507: "The server's disk is full.",
}

#: What every address can answer.
ANYWHERE = (400, 401, 403, 408, 413, 421, 422, 500, 503)


class Problem(BaseModel):
    """Why something was not done."""

    error: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that can end with these statuses, for OpenAPI."""
    return {status: {"model": Problem, "description": _WHEN[status]} for status in statuses}
