"""Requests that a machine makes up from the API's own description (OpenAPI): none of them makes the server fail, and
every answer is one that the description has."""

import pytest

pytest.importorskip("schemathesis")
import hypothesis
import schemathesis
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture
def description(web_server):
    return schemathesis.openapi.from_url(f"{web_server.url}/openapi.json")


@pytest.fixture(scope="module")
def finished(web_server, photos, short_video) -> dict[str, str]:
    """Ids of jobs that are done, by what they read: of made up ids, there is never one."""
    ids = {}
    for kind, path in (("photo", photos["one"]), ("video", short_video)):
        job = web_server.job_after(web_server.upload(path.read_bytes(), path.name))
        assert job["status"] == "done"
        ids[kind] = job["id"]
    return ids


fuzzed = schemathesis.pytest.from_fixture("description")


@fuzzed.parametrize()
@hypothesis.seed(7)
@hypothesis.settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_whatever_is_asked(case):
    response = case.call(timeout=20)
    case.validate_response(response, checks=CHECKS)
