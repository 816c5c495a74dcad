"""The whole application as it is served, with the model that comes with the package."""

import re

import pytest
from fastapi.testclient import TestClient
from stgt.realtime.web.app import create_app
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.service import Service

import stgt
from stgt.inference import ExpressionReader


@pytest.fixture(scope="module")
def reader() -> ExpressionReader:
    return ExpressionReader(engine="torch")


@pytest.fixture(scope="module")
def service(reader, tmp_path_factory):
    service = Service(reader, Limits(faces=3), "some/where/pretrained", temporary=tmp_path_factory.mktemp("temporary"))
    yield service
    service.close()


@pytest.fixture(scope="module")
def client(service) -> TestClient:
    return TestClient(create_app(service), base_url="http://localhost:8765")


def test_what_a_server_says_of_its_model(client, reader):
    card = client.get("/api/model").json()
    assert card["version"] == stgt.__version__
    assert card["checkpoint"] == "pretrained"  # the name, not the place
    assert card["labels"] == list(reader.labels)
    assert set(card["colours"]) == set(reader.labels)
    assert len(set(card["colours"].values())) == len(reader.labels)
    assert all(re.fullmatch("#[0-9A-Fa-f]{6}", colour) for colour in card["colours"].values())
    assert card["layout"]["nodes"] == len(reader.layout)
    assert max(max(edge) for edge in card["layout"]["edges"]) < card["layout"]["nodes"]
    assert (card["window_s"], card["hop_s"], card["frame_rate"]) == (1.5, 0.5, 10.0)
    assert card["limits"]["faces"] == 3
    assert not any(name.startswith("decode_") for name in card["limits"])


def test_the_page_and_its_files_are_given_by_name_alone(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="/?(page/[\w./-]+)"', page.text)
    assert {"page/app.js", "page/favicon.svg", "page/style/tokens.css"} <= set(files)
    files += [f"page/{door}/door.js" for door in ("live", "video", "photo")]
    for file in files:
        given = client.get(f"/{file}")
        assert given.status_code == 200, file
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[file.rpartition(".")[2]]
        assert given.headers["content-type"].startswith(kind)
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in (
        "",
        "nothing.js",
        "..%2Fapp.py",
        "%2e%2e/app.py",
        "..\\app.py",
        ".",
        "%00",
        "app.js%00.css",
        "app.js/",
        "live",
        "live/",
        "live/../app.js/",
        "live//door.js",
        "live/door.js/",
        "live/..%2F..%2Fapp.py",
        "//etc/passwd",
    ):
        refused = client.get(f"/page/{name}")
        assert refused.status_code in (404, 405), name
        assert list(refused.json()) == ["error"]


def test_every_answer_is_described_as_a_problem_or_more(client):
    description = client.get("/openapi.json").json()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
            assert {"401", "403", "421", "500"} <= set(operation["responses"]), path
    form = description["paths"]["/api/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["faces"]["maximum"] == 3
    assert "security" not in description


def test_a_token_is_described(reader, tmp_path):
    service = Service(reader, Limits(), "pretrained", token="correct-horse-battery", temporary=tmp_path)
    client = TestClient(
        create_app(service), base_url="http://localhost", headers={"Authorization": "Bearer correct-horse-battery"}
    )
    assert client.get("/openapi.json").json()["security"] == [{"token": []}]
    service.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/nothing", 404, "nothing at this address"),
        ("GET", "/docs", 404, "nothing at this address"),  # those pages load code from elsewhere
        ("GET", "/redoc", 404, "nothing at this address"),
        ("GET", "/page", 404, "nothing at this address"),
        ("PUT", "/healthz", 405, "does not take PUT"),
        ("GET", "/api/jobs/unknown", 404, "no such job"),
        ("GET", "/api/jobs/x/mesh/nobody", 422, "face"),
        ("POST", "/api/predict", 415, "multipart"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(client, method, path, status, says):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"]


def test_all_methods_of_an_address_are_named(client):
    assert client.put("/api/jobs/unknown").headers["allow"] == "DELETE, GET"


def test_a_defect_is_one_sentence(client, service, monkeypatch):
    monkeypatch.setattr(service.jobs, "get", lambda job_id: 1 / 0)
    answer = client.get("/api/jobs/unknown")
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server met an error of its own; its log says more"}
    assert answer.headers["x-content-type-options"] == "nosniff"
