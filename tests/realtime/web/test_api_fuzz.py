"""Requests that a machine makes up from the API's own description (OpenAPI): none of them makes the server fail, and
every answer is one that the description has."""

from contextlib import suppress

import pytest

pytest.importorskip("schemathesis")
import hypothesis
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture(scope="module")
def job_ids(web_server, photos, rendered_face_clip) -> list[str]:
    """Of jobs that are done: of all ids that can be made up, the server only says that there is none."""
    jobs = [web_server.job_after(web_server.upload(path.read_bytes())) for path in (photos["one"], rendered_face_clip)]
    assert {job["status"] for job in jobs} == {"done"}
    return [job["id"] for job in jobs]


def ask_all(operation, settings: hypothesis.settings, **strategy) -> set[int]:
    """Requests to one operation, made up and held to its description; the statuses of the answers."""
    statuses = set()

    @hypothesis.seed(7)
    @settings
    @hypothesis.given(case=operation.as_strategy(**strategy))
    def ask(case) -> None:
        response = case.call(timeout=20)
        statuses.add(response.status_code)
        if response.status_code == 503 and "Retry-After" in response.headers:
            return  # busy, and says so: no failure
        case.validate_response(response, checks=CONFORMANCE)

    ask()
    return statuses


def test_whatever_is_asked_is_answered_as_described(web_server, job_ids):
    description = schemathesis.openapi.from_url(f"{web_server.url}/openapi.json")
    operations = [result.ok() for result in description.get_all_operations()]
    operations.sort(key=lambda operation: operation.method == "delete")  # they end what the others ask about
    answered = {}
    settings = hypothesis.settings(
        max_examples=6, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    for operation in operations:
        name = f"{operation.method.upper()} {operation.path}"
        answered[name] = ask_all(operation, settings)
        if "{" in operation.path or operation.body:
            with suppress(hypothesis.errors.Unsatisfiable):  # where any text is allowed, nothing is forbidden
                answered[name] |= ask_all(operation, settings, generation_mode=GenerationMode.NEGATIVE)
        if "{job_id}" in operation.path:
            for job_id in job_ids:
                answered[name] |= ask_all(operation, settings, path_parameters={"job_id": job_id})
    assert len(answered) >= 12
    assert all(200 in answered[f"GET /api/jobs/{{job_id}}{path}"] for path in ("", "/result", "/predictions.csv"))
    assert "Traceback" not in web_server.log.read_text()
