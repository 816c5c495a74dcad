"""A real server in a thread of the test, with a small application instead of a model."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from stgt.realtime.web.command import server_settings
from stgt.realtime.web.guard import Guard
from stgt.realtime.web.hosts import Hosts
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.options import parse
from stgt.realtime.web.scratch import Scratch
from stgt.realtime.web.uploads import UploadSlots, receive_upload


@dataclass
class Served:
    """A server that runs, and what its application was given."""

    host: str
    port: int
    scratch: Scratch
    uploads: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers (in lower case) and content of an answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            return read_answer(connection.getresponse())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=20)

    def open_bytes(self) -> int:
        """Bytes on the disk of files in the temporary folder, whether or not they have a name."""
        total = 0
        for handle in Path("/proc/self/fd").iterdir():
            try:
                if str(self.scratch.path) in str(handle.readlink()) and handle.is_file():
                    total += handle.stat().st_size
            except OSError:
                continue
        return total


def read_answer(response: http.client.HTTPResponse) -> tuple[int, dict[str, str], Any]:
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return (
        response.status,
        headers,
        json.loads(content) if headers.get("content-type") == "application/json" else content,
    )


def small_app(limits: Limits, token: str | None, hosts: Hosts | None, served: Served) -> FastAPI:
    app = FastAPI()
    app.state.service = SimpleNamespace(limits=limits, scratch=served.scratch, uploads=UploadSlots(limits.uploads))
    app.add_middleware(Guard, limits=limits, token=token, hosts=hosts)

    async def say(request: Request, error: HTTPException) -> Any:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    app.add_exception_handler(HTTPException, say)

    @app.get("/")
    def index() -> dict[str, str]:
        return {"page": "here"}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.api_route("/anything", methods=["GET", "POST", "DELETE"])
    async def anything(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the secret of line 12")

    @app.post("/api/predict")
    async def predict(request: Request) -> dict[str, Any]:
        upload, fields = await receive_upload(request)
        content = upload.file.read()
        upload.close()
        served.uploads.append((upload.name, content, fields))
        return {"name": upload.name, "size": upload.size}

    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_text():
            if message == "flood":
                for _ in range(100_000):
                    await socket.send_text("x" * 1000)
                    served.sent += 1
            await socket.send_text(message)

    return app


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Served]]:
    """``serve(limits, token=..., hosts=...)`` starts a server; all are ended after the test."""
    running: list[tuple[uvicorn.Server, threading.Thread, Served]] = []

    def start(limits: Limits | None = None, token: str | None = None, hosts: Hosts | None = None) -> Served:
        listener = socket.create_server(("127.0.0.1", 0))
        served = Served("127.0.0.1", listener.getsockname()[1], Scratch(tmp_path))
        served.sent = 0
        options = replace(parse([]), limits=limits or Limits())
        server = uvicorn.Server(server_settings(small_app(options.limits, token, hosts, served), options))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        running.append((server, thread, served))
        return served

    yield start
    for server, thread, served in running:
        server.should_exit = True
        thread.join(10)
        served.scratch.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool], str], None]:
    def wait(condition: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end_s, what
            time.sleep(0.02)

    return wait
