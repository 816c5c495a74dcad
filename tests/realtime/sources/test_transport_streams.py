"""MPEG transport streams over TCP and over RTSP, from servers that a few lines make."""

import base64
import functools
import http.server
import io
import itertools
import logging
import re
import socketserver
import struct
import threading
import time

import av
import numpy as np
import pytest
from stgt.realtime.sources.base import Reconnecting
from stgt.realtime.sources.capture import is_live, open_live_source
from stgt.realtime.sources.streams import StreamConnection

from stgt.errors import SourceError

LONG_S = 10.0
PACKETS = 7 * 188  # as many transport packets as one network packet holds


@pytest.fixture(scope="module")
def transport_stream(face_frames) -> list[bytes]:
    """Three seconds of a face at 25 frames a second, in pieces of about a frame."""
    target = io.BytesIO()
    pieces = []
    with av.open(target, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.height, stream.width = face_frames[0][1].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5
        frames = [av.VideoFrame.from_ndarray(rgb, "rgb24") for _, rgb in face_frames]
        for index in range(75):
            frame = frames[index % len(frames)]
            frame.pts = index
            container.mux(stream.encode(frame))
            pieces.append(target.getvalue())
            target.seek(0)
            target.truncate()
    return [piece for piece in pieces if piece]


class Server(socketserver.ThreadingTCPServer):
    """Speaks to everyone who connects; the first hears half of the stream, and then nothing."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, handler, stream, pause_s):
        super().__init__(("127.0.0.1", 0), handler)
        self.stream = stream
        self.pause_s = pause_s
        self.heard = 0
        self.ended = threading.Event()

    @property
    def port(self):
        return self.server_address[1]

    def pieces(self):
        """What the next listener hears, at the pace at which it is meant to be heard."""
        self.heard += 1
        for piece in self.stream[: len(self.stream) // 2] if self.heard == 1 else itertools.cycle(self.stream):
            if self.ended.wait(self.pause_s):
                return
            yield piece
        self.ended.wait()

    def handle_error(self, request, client_address):
        """A listener that has left is nothing to tell."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *raised):
        self.ended.set()
        self.shutdown()
        self.server_close()


class Plain(socketserver.BaseRequestHandler):
    def handle(self):
        for piece in self.server.pieces():
            self.request.sendall(piece)


class Rtsp(socketserver.StreamRequestHandler):
    """As much of RFC 2326 as a camera needs; the pictures come through the same connection, as RTP (RFC 2250)."""

    def handle(self):
        while request := self._request():
            method, number, credentials = request
            if method == "DESCRIBE" and credentials != "admin:secret":
                self._answer(number, "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"')
            elif method == "DESCRIBE":
                description = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\n"
                self._answer(number, "200 OK", "Content-Type: application/sdp", body=description)
            elif method == "SETUP":
                self._answer(number, "200 OK", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1")
            else:
                self._answer(number, "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN", "Session: 1")
            if method == "PLAY":
                self._play()
                return

    def _request(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return None
            head += line
        text = head.decode()
        credentials = re.search(r"Authorization: Basic (\S+)", text)
        known = base64.b64decode(credentials[1]).decode() if credentials else ""
        return text.split()[0], re.search(r"CSeq: (\d+)", text)[1], known

    def _answer(self, number, status, *headers, body=""):
        lines = [f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", body]
        self.wfile.write("\r\n".join(lines).encode())

    def _play(self):
        sequence = 0
        for index, piece in enumerate(self.server.pieces()):
            for start in range(0, len(piece), PACKETS):
                packet = (
                    struct.pack("!BBHII", 0x80, 33, sequence & 0xFFFF, 3600 * index, 1) + piece[start : start + PACKETS]
                )
                self.wfile.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                sequence += 1


def until_it_is_back(source) -> list[float]:
    """Times of the frames until the second after an outage."""
    times = []
    for time_s, _ in source:
        times.append(time_s)
        if len(times) > 2 and times[-2] - times[-3] > 0.45:
            return times
    return times


def test_a_connection_that_falls_silent_is_opened_again(transport_stream, caplog):
    with caplog.at_level(logging.WARNING, "stgt"), Server(Plain, transport_stream, pause_s=0.04) as server:
        address = f"tcp://127.0.0.1:{server.port}"
        connect = functools.partial(StreamConnection, address, silence_s=1.0)
        with Reconnecting(address, connect, stall_s=0.5, backoff_s=(0.05,)) as source:
            times = until_it_is_back(source)
    assert (np.diff(times) >= 0).all()
    assert server.heard == 2
    assert ["no picture for 0.5 s" in caplog.messages[0], "is back" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2


def test_an_rtsp_camera_with_a_password(transport_stream, caplog, face_frames):
    with Server(Rtsp, transport_stream, pause_s=0.04) as server, caplog.at_level(logging.WARNING, "stgt"):
        server.heard = 1  # this camera does not fall silent
        with open_live_source(f"rtsp://admin:secret@127.0.0.1:{server.port}/door") as source:
            assert is_live(source)
            assert source.name == f"rtsp://127.0.0.1:{server.port}/door"
            assert source.frame_rate == 25.0
            times, pictures = zip(*(frame for frame, _ in zip(source, range(25), strict=False)), strict=True)
        np.testing.assert_allclose(pictures[0].mean((0, 1)), face_frames[0][1].mean((0, 1)), atol=5)
        steps = np.diff(times)
        assert (steps > 0).all()
        with pytest.raises(SourceError, match="refuses access") as caught:
            open_live_source(f"rtsp://admin:wrong@127.0.0.1:{server.port}/door")
    assert "wrong" not in str(caught.value)
    assert caplog.messages == []
    assert np.median(steps) == pytest.approx(0.04, abs=0.002), "times are the camera's, not those of arrival"


def test_a_stream_that_comes_in_pieces_is_shown_at_its_own_speed(transport_stream, tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    playlist = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n"
    for index in range(3):
        (tmp_path / f"{index}.ts").write_bytes(b"".join(transport_stream[25 * index : 25 * index + 25]))
        playlist += f"#EXTINF:1.0,\n{index}.ts\n"
    (tmp_path / "live.m3u8").write_text(playlist)  # without an end, as more is to come
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with open_live_source(f"http://127.0.0.1:{server.server_port}/live.m3u8") as source:
            assert is_live(source)
            began_s = time.monotonic()
            in_time = itertools.takewhile(lambda _: time.monotonic() - began_s < LONG_S, source)
            frames = [(time_s, time.monotonic()) for (time_s, _), _ in zip(in_time, range(25), strict=False)]
        server.shutdown()
    times, arrivals = np.transpose(frames)
    assert np.diff(times) == pytest.approx(0.04, abs=5e-3)
    assert arrivals[-1] - arrivals[0] == pytest.approx(0.96, rel=0.3)
    assert source.dropped <= 2
