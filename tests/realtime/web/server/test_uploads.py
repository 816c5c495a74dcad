"""Files that are sent: taken apart while they come, kept without a name, and gone whenever something is wrong."""

import errno
import json
import socket
import time
import tracemalloc

import pytest
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.scratch import Scratch
from stgt.realtime.web.uploads import display_name

EDGE = "----edge"
KIND = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()


def send(served, body, headers=KIND):
    return served.ask("POST", "/api/predict", body, headers)


def head_of(served, length: int) -> bytes:
    lines = ("POST /api/predict HTTP/1.1", "Host: localhost", f"Content-Type: {KIND['Content-Type']}")
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def test_a_file_and_its_fields_arrive(serve):
    served = serve()
    content = bytes(range(256)) * 20_000 + b"\r\n--" + EDGE[:-1].encode()  # five blocks, and nearly an edge at the end
    body = form(part("faces", b"2"), part("file", content, "smile.mp4"), part("neutral", b" 0-1.5 "))
    status, _, answer = send(served, body)
    assert (status, answer) == (200, {"name": "smile.mp4", "size": len(content)})
    assert served.uploads == [("smile.mp4", content, {"faces": "2", "neutral": "0-1.5"})]
    assert list(served.scratch.path.iterdir()) == []


def test_a_file_without_a_known_length_arrives(serve):
    served = serve()
    body = form(part("file", b"x" * 100_000, "a"))
    status, _, answer = send(served, (body[index : index + 777] for index in range(0, len(body), 777)))
    assert (status, answer["size"]) == (200, 100_000)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\clip.mp4", "clip.mp4"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        ("a\x00b\nc\u202ed.mp4", "abcd.mp4"),
        ("é" * 300 + ".mp4", "é" * 120),
        ("<b>.mp4", "<b>.mp4"),  # whoever shows it writes it as text
    ],
)
def test_names_are_for_show(sent, shown):
    assert display_name(sent) == shown


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (form(part("file", b"1", "a")), {"Content-Type": "video/mp4"}, 415, "multipart/form-data"),
        (form(part("file", b"1", "a")), {}, 415, "multipart/form-data"),
        (form(part("file", b"1", "a")), {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (form(part("file", b"1", "a")), {"Content-Type": "multipart/form-data; boundary=other"}, 400, "malformed"),
        (form(part("faces", b"1")), KIND, 400, "no part named file"),
        (form(part("file", b"1", "a"), part("file", b"2", "b")), KIND, 400, "one file"),
        (part("file", b"1", "a"), KIND, 400, "ends before"),
        (b"", KIND, 400, "ends before"),
        (f"--{EDGE}\r\nX: y\r\n\r\n1\r\n--{EDGE}--".encode(), KIND, 400, "no name"),
        (f"--{EDGE}\r\n{'X: y' * 2000}\r\n\r\n1\r\n--{EDGE}--".encode(), KIND, 400, "malformed"),
        (form(part("neutral", b"1" * 2000), part("file", b"1", "a")), KIND, 422, "longer than 1024"),
        (
            form(*(part(str(index), b"1") for index in range(9)), part("file", b"1", "a")),
            KIND,
            413,
            "more than 8 parts",
        ),
    ],
)
def test_what_is_no_form_with_a_file_is_refused(serve, body, headers, status, says):
    served = serve()
    answered, _, content = send(served, body, headers)
    assert (answered, list(content)) == (status, ["error"])
    assert says in content["error"]
    assert served.open_bytes() == 0


def test_a_file_that_grows_too_large_is_refused(serve):
    served = serve(Limits(upload_bytes=2**20))
    status, _, content = send(served, form(part("file", bytes(2**20 + 1), "a")))
    assert status == 413
    assert "1 MiB" in content["error"]
    assert served.open_bytes() == 0
    assert send(served, form(part("file", bytes(2**20), "a")))[0] == 200


def test_a_sender_that_goes_away_leaves_nothing(serve, wait_until):
    served = serve()
    with served.connect() as peer:
        peer.sendall(head_of(served, 10**8) + part("file", bytes(3 * 2**20), "a"))
        wait_until(lambda: served.open_bytes() >= 2 * 2**20, "the first blocks were written")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # as when it crashes
    wait_until(lambda: served.open_bytes() == 0, "the file is gone")
    assert served.uploads == []
    assert send(served, form(part("file", b"1", "a")))[0] == 200


def test_only_a_few_send_at_once(serve, wait_until):
    served = serve(Limits(uploads=1))
    with served.connect() as peer:
        peer.sendall(head_of(served, 10**8) + part("file", bytes(2 * 2**20), "a"))
        wait_until(lambda: served.open_bytes() > 0, "it began")
        status, headers, content = send(served, form(part("file", b"1", "a")))
        assert (status, int(headers["retry-after"]) > 0) == (503, True)
        assert "try again" in content["error"]
    wait_until(lambda: send(served, form(part("file", b"1", "a")))[0] == 200, "the place is free again")


def test_a_full_disk_is_told_beforehand_and_on_the_way(serve, monkeypatch):
    served = serve()
    body = form(part("file", bytes(3 * 2**20), "a"))
    with monkeypatch.context() as patch:
        patch.setattr(Scratch, "free_bytes", lambda scratch: 1000)
        status, _, content = send(served, body)
        assert status == 507
        assert "full" in content["error"]

    class FullDisk:
        """A file as on a disk that is full after the first block."""

        closed = False

        def write(self, block: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            FullDisk.closed = True
            raise OSError(errno.ENOSPC, "No space left on device")  # as buffered files do

    monkeypatch.setattr(Scratch, "new_file", lambda scratch: FullDisk())
    status, _, content = send(served, body)
    assert status == 507
    assert "--temporary" in content["error"]
    assert FullDisk.closed


def test_memory_does_not_grow_with_the_file(serve):
    served = serve(Limits(upload_bytes=2**20 * 16, body_bytes=1))
    opening, piece = part("file", b"", "a")[:-2], bytes(2**16)

    def pieces() -> object:
        yield opening
        for _ in range(2**20 * 64 // len(piece)):
            yield piece

    tracemalloc.start()
    status, _, content = send(served, pieces())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert status == 413, content
    assert peak < 8 * 2**20


def test_curl_is_answered_before_it_sends(serve):
    """A client that asks first (Expect: 100-continue) never sends what will not be taken."""
    served = serve(Limits(upload_bytes=1000))
    with served.connect() as peer:
        peer.sendall(head_of(served, 10**9).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        began_s = time.monotonic()
        answer = peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 413")
        assert time.monotonic() - began_s < 5
        assert b"--upload-mb" in answer or b"--upload-mb" in peer.recv(4096)


def test_sentences_are_json(serve):
    with serve().connect() as peer:
        peer.sendall(head_of(None, 0))
        answer = peer.recv(4096)
        assert json.loads(answer.partition(b"\r\n\r\n")[2] or peer.recv(4096))["error"]
