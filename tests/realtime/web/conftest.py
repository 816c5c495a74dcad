"""A real server, media made of rendered faces, and a real browser."""

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
import pytest
import uvicorn

from stgt.bench import sample_video
from stgt.faces.video import open_source

#: Tests with one of these are in one group: the server is started once in a worker, and there is one browser.
SERVED = {"web_server", "server", "start_server"}
BROWSED = {"chromium", "browser", "open_page"}

#: So long may anything take on a busy machine before it counts as broken.
PATIENCE_S = 30.0


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks, also when only this folder is tested
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``--dist loadgroup``, which tests stay together in one worker: those that need a browser, the others that
    need a server, and those of a module whose fixtures are made once for the module. All others go wherever there is
    time.
    """
    alone = [item for item in items if not (SERVED | BROWSED) & set(item.fixturenames)]
    shared = {item.path for item in alone if _has_module_fixture(item)}
    for item in items:
        if BROWSED & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group("web browser"))
        elif SERVED & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group("web server"))
        elif item.path in shared:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def _has_module_fixture(item: pytest.Item) -> bool:
    known = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - pytest has no public name for it
    return any(definitions[-1].scope == "module" for definitions in known.values())


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """The first true value of ``condition``, asked again and again; fails with ``what`` when there is none in time."""
    end_s = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end_s:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.03)


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


# ---------------------------------------------------------------------------------------------------------- the server


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """What listens at ``host`` and ``port``; ``url`` is its address."""

    def __init__(self, port: int) -> None:
        self.host, self.port = "127.0.0.1", port
        self.url = f"http://{self.host}:{port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = PATIENCE_S,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON that a path gives."""
        answer = self.ask("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body[:300])
        return answer.json()

    def upload(self, content: bytes, name: str = "clip.mp4", headers: dict[str, str] | None = None, **fields) -> Answer:
        """``POST /api/predict`` with a file of that content and name."""
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in fields.items()
        ]
        opening = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = b"".join([*parts, opening.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self.ask("POST", "/api/predict", body, kind | (headers or {}))

    def job_after(self, answer: Answer) -> dict[str, Any]:
        """The job of an upload once it is over, however it ended."""
        assert answer.status == 202, (answer.status, answer.body[:300])
        path = f"/api/jobs/{answer.json()['id']}"

        def over() -> dict[str, Any] | None:
            job = self.get(path)
            return job if job["status"] in ("done", "failed", "cancelled") else None

        return eventually(over, f"{path} is over", 2 * PATIENCE_S)


class WebServer(Served):
    """``stgt web`` in a process of its own.

    Attributes:
        process: the process, with its standard output and error in ``log``.
        temporary: what the process takes for the temporary folder of the machine.
    """

    def __init__(self, command: list[str], temporary: Path, log: Path, environment: dict[str, str]) -> None:
        self.temporary = temporary
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        found = eventually(self._ready, "the server says where it listens", 2 * PATIENCE_S)
        super().__init__(int(found[1]))

    def _ready(self) -> re.Match[str] | None:
        if self.process.poll() is not None:
            pytest.fail(f"the server ended with {self.process.returncode}:\n{self.log.read_text()}")
        return re.search(r"http://[\w.\-]+:(\d+)", self.log.read_text())

    def left(self) -> list[str]:
        """All files in the temporary folder, the lock files of running servers aside."""
        return [str(path) for path in self.temporary.rglob("*") if path.is_file() and path.stat().st_size]

    def open_but_removed(self) -> int:
        """Bytes of files that have no name any more and are open in the server or a child of it."""
        total = 0
        for process in self.family():
            with contextlib.suppress(psutil.Error, OSError):
                for handle in Path(f"/proc/{process.pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        name = str(handle.readlink())
                        if name.startswith(str(self.temporary)) and name.endswith("(deleted)"):
                            total += handle.stat().st_size
        return total

    def family(self) -> list[psutil.Process]:
        """The server and all processes below it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def children(self) -> list[psutil.Process]:
        return self.family()[1:]

    def memory_bytes(self) -> int:
        """Resident memory of the server itself."""
        return psutil.Process(self.process.pid).memory_info().rss

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the server does not end when it is interrupted:\n{self.log.read_text()}")

    def kill(self) -> None:
        """End it as nothing can be prepared for."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def start_server(tmp_path_factory) -> Callable[..., AbstractContextManager[WebServer]]:
    """``with start_server("--option", value, temporary=folder, environment={}) as server:`` runs ``stgt web``."""

    @contextlib.contextmanager
    def start(
        *options: object, temporary: Path | None = None, environment: dict[str, str] | None = None
    ) -> Iterator[WebServer]:
        folder = temporary or tmp_path_factory.mktemp("server")
        log = folder.with_name(f"{folder.name}-{secrets.token_hex(4)}.log")
        own = {"TMPDIR": str(folder), "STGT_CACHE": str(tmp_path_factory.getbasetemp() / "cache")}
        inherited = {name: value for name, value in os.environ.items() if name != "STGT_WEB_TOKEN"}
        command = [sys.executable, "-m", "stgt", "web", "--port", "0", *map(str, options)]
        server = WebServer(command, folder, log, {**inherited, **own, **(environment or {})})
        try:
            yield server
        finally:
            server.stop()

    return start


class ThreadServer(Served):
    """The whole application in a thread of the test, with the model that tests have: there in a moment."""

    def __init__(self, reader: Any, folder: Path, port: int, token: str | None, limits: dict[str, Any]) -> None:
        from stgt.realtime.web.app import create_app
        from stgt.realtime.web.command import server_settings
        from stgt.realtime.web.limits import Limits
        from stgt.realtime.web.options import parse
        from stgt.realtime.web.service import Service

        listener = socket.create_server(("127.0.0.1", port))
        super().__init__(listener.getsockname()[1])
        options = replace(parse([]), limits=Limits(**limits))
        self.service = Service(reader, options.limits, "pretrained", token=token, temporary=folder)
        self._server = uvicorn.Server(server_settings(create_app(self.service), options))
        self._thread = threading.Thread(target=self._server.run, args=[[listener]], daemon=True)
        self._thread.start()
        eventually(lambda: self._server.started, "the server has started")

    def cut_off(self) -> None:
        """End it without a word to anybody who is connected, as when it is killed."""
        for connection in list(self._server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)
        self.stop()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.service.close()


@pytest.fixture
def start_thread_server(reader, tmp_path) -> Iterator[Callable[..., ThreadServer]]:
    """``start_thread_server(port=0, token=None, live_sessions=1)``: all end after the test."""
    servers = []

    def start(port: int = 0, token: str | None = None, **limits: Any) -> ThreadServer:
        servers.append(ThreadServer(reader, tmp_path, port, token, limits))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


class Listener:
    """A proxy that nobody should need: what it hears first of everyone who connects."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.settimeout(2)
                    self.heard.append(connection.recv(200))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    """Where the shared server would report to others if it did."""
    with contextlib.closing(Listener()) as listener:
        yield listener


@pytest.fixture(scope="session")
def server_home(tmp_path_factory) -> Path:
    """What the shared server takes for its user's home."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def web_server(start_server, listener, server_home) -> Iterator[WebServer]:
    """The server that tests share; it may have jobs of other tests. It takes files of 8 MiB, 20 seconds of video and
    two cameras.
    """
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), str(server_home))
    environment = {**dict.fromkeys(names, listener.address), **homes, "no_proxy": ""}
    limits = ("--upload-mb", 8, "--video-minutes", 1 / 3, "--live-sessions", 2)
    with start_server(*limits, environment=environment) as server:
        yield server


# ----------------------------------------------------------------------------------------------------------- the media


@pytest.fixture(scope="session")
def face_pictures() -> list[np.ndarray]:
    """RGB pictures of a rendered face that begins to smile, 16 in a second."""
    with open_source(sample_video()) as source:
        return [picture for _, picture in source]


@pytest.fixture(scope="session")
def media(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("media")


def write_video(path: Path, pictures: list[np.ndarray], frame_rate: int = 16) -> Path:
    """An H.264 file of RGB pictures."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=frame_rate, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode())
    return path


def save_picture(path: Path, picture: np.ndarray) -> Path:
    """A JPEG or PNG file of an RGB picture."""
    assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="session")
def camera_file(media, face_pictures) -> Path:
    """What the browser takes for a camera: a face that smiles and stops again, 640x480, 20 frames a second, as y4m."""
    path = media / "camera.y4m"
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F20:1 Ip A1:1 C420jpeg\n")
        for picture in [*face_pictures, *face_pictures[-2:0:-1]]:
            canvas = np.full((480, 640, 3), 96, np.uint8)
            canvas[:, 80:560] = cv2.resize(picture, (480, 480), interpolation=cv2.INTER_LINEAR)
            file.write(b"FRAME\n" + cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="session")
def short_video(media, face_pictures) -> Path:
    """Four seconds: a face that smiles, one second without anybody, and the face again."""
    nobody = [np.full_like(face_pictures[0], 90)] * 16
    return write_video(media / "smile.mp4", [*face_pictures, *nobody, *face_pictures[::-1]])


@pytest.fixture(scope="session")
def two_people_video(media, face_pictures) -> Path:
    """A second and a half of two people side by side: one smiles, one stops smiling."""
    pairs = zip(face_pictures, face_pictures[::-1], strict=True)
    return write_video(media / "two people.mp4", [np.hstack([left, right[:, ::-1]]) for left, right in pairs])


@pytest.fixture(scope="session")
def long_video(media) -> Path:
    """Two minutes of the same second and a half, copied packet by packet: long enough to be stopped in the middle."""
    path = media / "long.mp4"
    with av.open(str(sample_video())) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        stream = target.add_stream_from_template(given)
        packets = [packet for packet in source.demux(given) if packet.size]
        first = [(packet.pts, packet.dts) for packet in packets]
        lasts = int(Fraction(3, 2) / given.time_base)
        for repetition in range(80):
            for packet, (pts, dts) in zip(packets, first, strict=True):
                packet.stream = stream
                packet.time_base = given.time_base
                packet.pts, packet.dts = pts + repetition * lasts, dts + repetition * lasts
                target.mux(packet)
    return path


@pytest.fixture(scope="session")
def photos(media, face_pictures) -> dict[str, Path]:
    """One face, two faces, and nobody."""
    nobody = np.full((240, 320, 3), 120, np.uint8)
    return {
        "one": save_picture(media / "one.jpg", face_pictures[-1]),
        "two": save_picture(media / "two.png", np.hstack([face_pictures[0], face_pictures[-1][:, ::-1]])),
        "nobody": save_picture(media / "nobody.jpg", nobody),
    }


# --------------------------------------------------------------------------------------------------------- the browser


def chromium_path() -> str | None:
    """The browser that the tests drive; the environment's STGT_CHROMIUM comes first."""
    named = os.environ.get("STGT_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; tests are skipped where there is none."""
    pytest.importorskip("playwright", reason="Playwright is not installed: pip install -e '.[dev]'")
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, or say in STGT_CHROMIUM where it is")
    return path


@pytest.fixture(scope="session")
def browser_arguments(camera_file) -> list[str]:
    """A camera that shows rendered faces, and no network but this machine."""
    return [
        *("--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera_file}"),
        # No name is found, and whatever is not this machine is sent to where nobody listens.
        *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--proxy-server=127.0.0.1:9"),
    ]


class Browser:
    """Chromium, started when it is first asked for and open while the tests that come next need it.

    Not a fixture of the session: Playwright's event loop would be in the way of tests that have their own.
    """

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        self._browser: Any = None

    def get(self, path: str, arguments: list[str]) -> Any:
        if self._browser is None:
            from playwright.sync_api import sync_playwright

            playwright = self._opened.enter_context(sync_playwright())
            self._browser = playwright.chromium.launch(executable_path=path, args=arguments)
            self._opened.callback(self._browser.close)
        return self._browser

    def close(self) -> None:
        self._browser = None
        self._opened.close()


BROWSER = Browser()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or "browser" not in nextitem.fixturenames:
        BROWSER.close()


@pytest.fixture
def browser(chromium, browser_arguments) -> Any:
    """Chromium."""
    return BROWSER.get(chromium, browser_arguments)


class Watch:
    """What a page must never do, noted while it does it.

    Attributes:
        complaints: errors in the console, violations of the content security policy among them, errors that nobody
            caught, and requests that failed with a code from 500 on.
        strangers: addresses outside the server that were asked for.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        own = (url, url.replace("http:", "ws:", 1), "blob:" + url, "data:")
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda response: response.status >= 500 and self.complaints.append(response.url))
        page.on("request", lambda request: request.url.startswith(own) or self.strangers.append(request.url))
        page.on("websocket", lambda socket: socket.url.startswith(own) or self.strangers.append(socket.url))


@pytest.fixture
def open_page(browser, web_server) -> Iterator[Callable[..., Any]]:
    """``open_page("#live", color_scheme="dark")``: the page in a window of its own, held to good manners at the end."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_S * 1000)
    opened = []

    def open_one(door: str = "", server: WebServer = web_server, path: str = "/", **settings: Any) -> Any:
        settings = {"permissions": ["camera"], "viewport": {"width": 1280, "height": 900}} | settings
        context = browser.new_context(accept_downloads=True, **settings)
        context.set_default_timeout(PATIENCE_S * 1000)
        page = context.new_page()
        opened.append((context, Watch(page, server.url)))
        page.goto(f"{server.url}{path}{door}")
        return page

    yield open_one
    for context, _ in opened:
        context.close()
    for _, watch in opened:
        assert not watch.complaints
        assert not watch.strangers


@pytest.fixture(scope="session")
def by_test() -> Callable[[Any, str], Any]:
    """``by_test(page, "live-start")``: what the page marks with this name."""
    return lambda page, name: page.locator(f'[data-test="{name}"]')


@pytest.fixture(scope="session")
def download() -> Callable[[Any, Any, Path], Path]:
    """``download(page, link, folder)``: clicks a link that downloads, and gives the path of what was saved."""

    def save(page: Any, link: Any, folder: Path) -> Path:
        with page.expect_download() as saved:
            link.click()
        path = folder / saved.value.suggested_filename
        saved.value.save_as(path)
        return path

    return save
