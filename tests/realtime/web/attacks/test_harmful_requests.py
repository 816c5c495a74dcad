"""Names that want to be paths, paths that lead out, and those who must not ask."""

from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

NAMES = {
    "upwards": "../../../../../../tmp/pwned.jpg",
    "backslashes": "..\\..\\pwned.jpg",
    "from the root": "/etc/cron.d/pwned.jpg",
    "long": "x" * 1900,
    "markup": "<img src=x onerror=alert(1)>.jpg",
    "turned around": "\u202egpj.exe",
    "dot": ".",
    "dots": "..",
    "nothing": "",
}


def test_names_are_never_paths(server, photos):
    content = photos["one"].read_bytes()
    jobs = [server.upload(content, name) for name in NAMES.values()]
    ids = [answer.json()["id"] for answer in jobs]
    for kind, answer in zip(NAMES, jobs, strict=True):
        job = answer.json()
        assert 0 < len(job["name"]) <= 120, kind
        assert not set(job["name"]) & {"/", "\\"}, kind
        assert job["name"].isprintable(), kind
    assert server.job_after(jobs[0])["status"] == "done"
    for folder in (server.temporary, Path("/tmp"), Path("/etc/cron.d")):
        assert not (folder / "pwned.jpg").exists()
    for job in reversed(ids):
        assert server.ask("DELETE", f"/api/jobs/{job}").status == 204


PATHS = [
    *(
        "/page/",
        "/page",
        "/page/../guard.py",
        "/page/..%2fguard.py",
        "/page/%2e%2e/%2e%2e/web/guard.py",
        "//etc/passwd",
    ),
    *("/page/..\\guard.py", "/page/index.html%00.js", "/static/", "/api/", "/api/jobs/", "/api/jobs/../../etc/passwd"),
    *("/api/recordings/x/../../etc/passwd", "/api/recordings/..%2f..%2f/summary.json", "/page/" + "a" * 4000, "/.git/"),
    *(
        "/page/nothing",
        "/api/jobs/%00",
        "/api/jobs/%ff%fe/result",
        "/api/recordings/",
        "/docs",
        "/page/__init__.py",
    ),
]


def test_no_path_leads_out(server, raw, head):
    for path in PATHS:
        answer = raw(server, head(server, "GET", path, "Connection: close"))
        assert answer.split(b" ")[1] in (b"400", b"404", b"405"), (path[:60], answer[:200])
        assert b"root:" not in answer
        assert b"import " not in answer


def test_other_methods_are_not_answered(server):
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"):
        for path in ("/", "/api/predict", "/page/app.js"):
            assert server.ask(method, path).status in (400, 404, 405), (method, path)


def test_pages_of_other_sites_get_nothing(server, photos, live_socket, greet):
    own = f"http://{server.host}:{server.port}"
    with live_socket(server, origin=own) as connection:
        assert greet(connection)["type"] in ("ready", "wait")
    for origin in ("http://evil.example", f"http://{server.host}:1", "null", f"{own}.evil", f"{own}@evil.example"):
        with pytest.raises(InvalidStatus) as refused, live_socket(server, origin=origin):
            pass
        assert refused.value.response.status_code == 403, origin
        answer = server.upload(photos["one"].read_bytes(), "a.jpg", headers={"Origin": origin})
        assert answer.status == 403, origin
    answer = server.ask("GET", "/api/model", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert server.ask("OPTIONS", "/api/predict", headers={"Origin": "http://evil.example"}).status >= 400


def test_names_that_are_not_the_servers_are_refused(server, raw):
    """A page whose name was pointed at this machine after it was loaded (DNS rebinding)."""
    question = "GET /api/model HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "", "localhost.evil"):
        answer = raw(server, question.format(host).encode())
        assert answer.split(b" ")[1] in (b"400", b"421"), (host, answer[:200])
        assert b"labels" not in answer
    for host in ("localhost", f"localhost:{server.port}", f"127.0.0.1:{server.port}"):
        answer = raw(server, question.format(host).encode())
        assert answer.startswith(b"HTTP/1.1 200"), (host, answer[:200])


def test_two_hosts_in_one_request_are_refused(server, raw):
    question = b"GET /api/model HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert raw(server, question).split(b" ")[1] in (b"400", b"421")


def test_no_answer_may_be_framed_or_guessed_at(server):
    for path in ("/", "/page/app.js", "/api/model", "/nothing"):
        headers = server.ask("GET", path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "uvicorn" not in headers.get("server", "")


def test_who_lacks_the_token_gets_nothing(start_thread_server, token, live_socket, greet):
    server = start_thread_server(token=token)
    assert server.get("/healthz") == {"status": "ok"}
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {token}"},
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": "Bearer t\xf6ken"},
        {"Cookie": f"token={token}; stgt_token_{server.port}={token[:-1]}"},
    ):
        for path in ("/", "/api/model", "/page/app.js", "/openapi.json", "/api/jobs/x"):
            answer = server.ask("GET", path, headers=headers)
            assert answer.status == 401, (path, headers)
            assert token.encode() not in answer.body
        assert server.upload(b"x", headers=headers).status == 401
        if all(value.isascii() for value in headers.values()):
            with pytest.raises(InvalidStatus) as refused, live_socket(server, additional_headers=headers):
                pass
            assert refused.value.response.status_code == 401
    right = {"Authorization": f"Bearer {token}"}
    assert server.ask("GET", "/api/model", headers=right).status == 200
    with live_socket(server, additional_headers=right) as connection:
        assert greet(connection)["type"] == "ready"
    visit = server.ask("GET", f"/?token={token}")
    assert visit.status == 303
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in visit.headers["set-cookie"].split(";")}
    cookie = {"Cookie": visit.headers["set-cookie"].partition(";")[0]}
    assert server.ask("GET", "/api/model", headers=cookie).status == 200
    assert server.ask("GET", "/?token=wrong").status == 401
