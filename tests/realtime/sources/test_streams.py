import functools
import http.server
import itertools
import logging
import socket
import threading
import time

import cv2
import numpy as np
import pytest
from stgt.realtime.sources import streams
from stgt.realtime.sources.capture import Capture, is_live, open_live_source
from stgt.realtime.sources.streams import public_name

from stgt.errors import SourceError
from stgt.faces.video import VideoFile

LONG_S = 20.0


class StreamServer(http.server.ThreadingHTTPServer):
    """Serves JPEG pictures as a network camera does, until it stops in the middle of the stream; and other answers."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, pictures, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.pictures = pictures
        self.stopped = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self):
        self.stopped.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that has left is nothing to tell."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        if self.path.startswith("/video"):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            for jpeg in self.server.pictures():
                if self.server.stopped.wait(0.02):
                    return
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        elif self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")
        else:
            self.send_error({"/locked": 401, "/broken": 500}.get(self.path, 404))


def jpeg(picture) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.fixture
def serve(face_frames):
    """Starts servers that give a face over and over, or other pictures."""
    face = [jpeg(rgb[..., ::-1]) for _, rgb in face_frames]
    servers = []

    def start(pictures=lambda: itertools.cycle(face), port=0):
        servers.append(StreamServer(pictures, port))
        return servers[-1]

    yield start
    for server in servers:
        if not server.stopped.is_set():
            server.stop()


def test_a_network_camera_that_stops_in_mid_stream_and_returns(serve, face_frames, caplog):
    server = serve()
    address = f"{server.address}/video".replace("http://", "http://admin:secret@")
    with caplog.at_level(logging.WARNING, "stgt"), open_live_source(address) as source:
        assert is_live(source)
        assert source.name == f"{server.address}/video"
        assert source.image_size == (320, 320)
        capture = Capture(source, newest_only=True)
        times = []
        for frame in capture:
            times.append(frame.timestamp_s)
            if len(times) == 10:
                np.testing.assert_allclose(
                    frame.rgb.mean((0, 1)), face_frames[0][1].mean((0, 1)), atol=5, err_msg="red stays red"
                )
                server.stop()
                server = serve(port=server.server_port)
            if len(times) > 10 and times[-1] - times[-2] > 0.4:
                break
        assert capture.close()
    assert times[0] == 0.0
    assert (np.diff(times) > 0).all()
    assert "no more pictures come" in caplog.messages[0]
    assert len(caplog.records) == 2
    assert "is back" in caplog.text
    assert "secret" not in caplog.text


def test_pictures_of_changing_size_and_damaged_ones(serve):
    wide = np.full((120, 160, 3), 200, np.uint8)
    damaged = bytearray(jpeg(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)))
    damaged[300:] = bytes(len(damaged) - 300)
    pictures = [
        jpeg(wide),
        jpeg(np.full((200, 50, 3), 100, np.uint8)),
        jpeg(wide[..., 0] // 4),
        bytes(damaged),
        b"no jpeg",
    ]
    # A busy machine passes over some: it must be one of the first kind that is seen first, and gives the size.
    server = serve(lambda: itertools.chain(itertools.repeat(pictures[0], 20), itertools.cycle(pictures)))
    with open_live_source(f"{server.address}/video") as source:
        frames = [rgb for _, (_, rgb) in zip(range(45), source, strict=False)]
    assert {rgb.shape for rgb in frames} == {(120, 160, 3)}
    centres = [int(rgb[60, 80, 0]) for rgb in frames]
    for expected in (200, 100, 50):
        assert sum(abs(centre - expected) < 3 for centre in centres) >= 3


def test_a_recording_on_a_server_has_an_end_and_times_of_its_own(rendered_face_clip):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(rendered_face_clip.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with open_live_source(f"http://127.0.0.1:{server.server_port}/{rendered_face_clip.name}") as recording:
            assert not is_live(recording)
            for _ in range(2):
                for (time_s, rgb), (file_s, file_rgb) in zip(recording, VideoFile(rendered_face_clip), strict=True):
                    assert time_s == pytest.approx(file_s)
                    np.testing.assert_array_equal(rgb, file_rgb)
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nothing.mp4", "has nothing there"),
        ("page", "gives no pictures"),
        ("locked", "refuses access"),
        ("broken", "answers with an error"),
    ],
)
def test_an_answer_without_pictures_is_one_sentence(serve, path, sentence, capfd):
    address = f"{serve().address}/{path}".replace("http://", "http://user:secret@")
    with pytest.raises(SourceError, match=sentence) as caught:
        open_live_source(address)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_where_nobody_listens_is_one_sentence(scheme, capfd):
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    with pytest.raises(SourceError, match=f"{scheme}://127.0.0.1:{port}/door does not answer") as caught:
        open_live_source(f"{scheme}://user:secret@127.0.0.1:{port}/door")
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_who_listens_and_says_nothing_does_not_answer(monkeypatch):
    monkeypatch.setattr(streams, "_OPEN_S", 0.3)
    began_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        for scheme in ("http", "rtsp"):
            with pytest.raises(SourceError, match="does not answer"):
                open_live_source(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/door")
    assert time.monotonic() - began_s < LONG_S / 2


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("teleport://host/door", "addresses that begin so cannot be read"),
        ("http://no.such.host.invalid/door", "is there such a host"),
        ("file:///no/such.mp4", "file:///no/such.mp4: there is no such file"),
    ],
)
def test_an_address_that_cannot_be_is_one_sentence(address, sentence):
    with pytest.raises(SourceError, match=sentence):
        open_live_source(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://host/door", "rtsp://host/door"),
        ("rtsp://admin:secret@host:554/door", "rtsp://host:554/door"),
        ("rtsp://secret@host/door", "rtsp://host/door"),
        ("rtsp://admin:se@cret@host/door", "rtsp://host/door"),
        ("rtsp://admin:sec/r@et@host/door", "rtsp://host/door"),
        ("http://host/@people/live", "http://host/@people/live"),
        ("http://host/cgi?user=me&pwd=secret&size=2", "http://host/cgi?user=me&pwd=***&size=2"),
        ("http://a:b@host/cgi?size=2&Password=secret", "http://host/cgi?size=2&Password=***"),
        ("https://host/live?access_token=secret#start", "https://host/live?access_token=***#start"),
        ("talk:a@b.mp4", "talk:a@b.mp4"),
    ],
)
def test_passwords_stay_out_of_names(address, shown):
    assert public_name(address) == shown
