"""What the guard lets through, on real connections."""

import asyncio
import http.client
import json
import time

import pytest
import websockets
from stgt.realtime.web.hosts import Hosts
from stgt.realtime.web.limits import Limits
from websockets.sync.client import connect

TOKEN = "correct-horse-battery"
UNFINISHED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def test_answers_carry_the_security_headers_and_no_version(serve):
    served = serve()
    status, headers, _ = served.ask("GET", "/")
    assert status == 200
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://127.0.0.1:{served.port} wss://127.0.0.1:{served.port}"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=(self)" in headers["permissions-policy"]
    assert "microphone=()" in headers["permissions-policy"]
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_errors_carry_the_security_headers_too(serve):
    served = serve()
    for path in ("/nothing", "/broken"):
        _, headers, content = served.ask("GET", path)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "error" in content or "detail" in content


def test_a_defect_is_told_to_the_log_alone(serve, caplog):
    status, _, content = serve().ask("GET", "/broken")
    assert status == 500
    assert "secret" not in json.dumps(content)
    assert "the secret of line 12" in caplog.text


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.7", ""]
)
def test_other_names_are_refused(serve, host):
    status, _, content = serve().ask("GET", "/", headers={"Host": host})
    assert status == 421
    assert "Host" in content["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8765", "[::1]:8765"])
def test_names_of_this_machine_are_known(serve, host):
    assert serve().ask("GET", "/", headers={"Host": host})[0] == 200


def test_a_server_for_others_knows_its_addresses_and_names():
    hosts = Hosts({"lab.example"}, addresses=True)
    assert all(hosts.knows(host) for host in ("lab.example:8765", "10.0.0.7", "[fe80::1]:80"))
    assert not any(hosts.knows(host) for host in ("evil.example", "10.0.0.7.evil.example", ""))


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_pages_of_other_sites_change_nothing(serve, method):
    served = serve()
    own = f"http://127.0.0.1:{served.port}"
    for origin in ("http://evil.example", "null", f"{own}.evil.example", "http://127.0.0.1:1"):
        status, _, content = served.ask(method, "/anything", headers={"Origin": origin})
        assert status == 403, origin
        assert "another site" in content["error"]
    assert served.ask(method, "/anything", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert served.ask(method, "/anything", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"})[0] == 200
    assert served.ask(method, "/anything")[0] == 200  # no browser


def test_sockets_of_pages_of_other_sites_are_refused(serve):
    served = serve()
    address = f"ws://127.0.0.1:{served.port}/api/live"
    for origin in ("http://evil.example", "null"):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            connect(address, origin=origin)
        assert refused.value.response.status_code == 403
        assert "another site" in json.loads(refused.value.response.body)["error"]
    with connect(address, origin=f"http://127.0.0.1:{served.port}") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"


def test_without_the_token_nothing_but_the_health_is_told(serve):
    served = serve(token=TOKEN)
    assert served.ask("GET", "/healthz")[0] == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "a=b"}):
        status, answered, content = served.ask("GET", "/anything", headers=headers)
        assert (status, answered["www-authenticate"]) == (401, "Bearer")
        assert "token" in content["error"]
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{served.port}/api/live")
    assert refused.value.response.status_code == 401


def test_the_token_opens_as_a_header_and_as_a_cookie(serve):
    served = serve(token=TOKEN)
    assert served.ask("GET", "/anything", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
    status, headers, _ = served.ask("GET", f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert served.ask("GET", "/", headers={"Cookie": cookie})[0] == 200
    with connect(f"ws://127.0.0.1:{served.port}/api/live", additional_headers={"Cookie": cookie}) as socket:
        socket.send("hello")
        assert socket.recv() == "hello"


def test_the_page_without_its_token_asks_for_it(serve):
    served = serve(token=TOKEN)
    for path in ("/", "/?token=wrong", "/?token="):
        status, headers, content = served.ask("GET", path)
        assert status == 401
        assert "set-cookie" not in headers
        assert b'name="token"' in content
        assert TOKEN.encode() not in content


def test_the_token_of_another_server_on_this_machine_is_left_alone(serve):
    one, other = serve(token=TOKEN), serve(token=TOKEN)
    names = {served.ask("GET", f"/?token={TOKEN}")[1]["set-cookie"].partition("=")[0] for served in (one, other)}
    assert len(names) == 2


def test_a_body_that_is_announced_too_large_is_refused_unread(serve):
    served = serve(Limits(upload_bytes=1000, body_bytes=500))
    for path, allowed in (("/api/predict", "--upload-mb"), ("/anything", "500 bytes")):
        connection = http.client.HTTPConnection(served.host, served.port, timeout=20)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(10 * 2**30))
        connection.endheaders()
        began_s = time.monotonic()
        response = connection.getresponse()
        assert response.status == 413
        assert allowed in json.loads(response.read())["error"]
        assert time.monotonic() - began_s < 5
        connection.close()


def test_a_body_without_a_length_is_refused_when_it_grows_too_large(serve):
    served = serve(Limits(body_bytes=500))
    status, _, content = served.ask("POST", "/anything", (b"x" * 400 for _ in range(3)))
    assert status == 413
    assert "500 bytes" in content["error"]
    assert served.ask("POST", "/anything", b"x" * 500)[2] == {"bytes": 500}


def test_a_sender_that_does_not_listen_while_it_sends_still_learns_why(serve):
    """32 MiB fit into no buffer on the way: whoever is cut off in the middle meets a broken pipe, not an answer."""
    served = serve(Limits(body_bytes=500))
    status, _, content = served.ask("POST", "/anything", b"x" * 2**25)
    assert status == 413
    assert "500 bytes" in content["error"]


def test_a_sender_that_falls_silent_is_told_so(serve):
    served = serve(Limits(stall_s=0.3))
    connection = http.client.HTTPConnection(served.host, served.port, timeout=20)
    connection.putrequest("POST", "/anything")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"only this")
    response = connection.getresponse()
    assert response.status == 408
    connection.close()


def test_a_sender_that_drips_is_told_so(serve):
    served = serve(Limits(stall_s=0.3, upload_rate=1000))

    def drips() -> object:
        for _ in range(12):
            time.sleep(0.05)
            yield b"x"

    status, _, content = served.ask("POST", "/anything", drips())
    assert (status, content["error"]) == (408, "the body comes too slowly")


@pytest.mark.parametrize(("sent", "answered_before"), [(b"", False), (UNFINISHED, False), (UNFINISHED, True)])
def test_whoever_never_says_what_they_want_is_cut_off(serve, answered_before, sent):
    served = serve(Limits(head_s=0.5))
    with served.connect() as peer:
        if answered_before:
            peer.sendall(UNFINISHED + b"\r\n")
            content = b""
            while not content.endswith(b"}"):
                content += peer.recv(4096)
        peer.sendall(sent)
        began_s = time.monotonic()
        assert peer.recv(4096) == b""
        assert time.monotonic() - began_s < 5


async def read_all(socket) -> None:
    while True:
        await socket.recv()


def code_of_closing(socket, message) -> int | None:
    """With which code a server closes a socket because of a message; None: it was cut off while it went on sending."""
    try:
        socket.send(message)
        socket.recv()
    except websockets.exceptions.ConnectionClosedError as closed:
        return None if closed.rcvd is None else closed.rcvd.code
    pytest.fail("the server took it")


def test_a_client_that_never_reads_holds_its_handler_back_and_is_cut_off(serve):
    served = serve(Limits(stall_s=1.0))

    async def never_read() -> None:
        socket = await websockets.connect(f"ws://127.0.0.1:{served.port}/api/live", max_queue=1)
        await socket.send("flood")
        held_back = 0
        while held_back == 0 or served.sent != held_back:
            held_back = served.sent
            await asyncio.sleep(0.1)
        assert held_back < 20_000  # what the buffers of two sockets take, of 100,000 kB
        await asyncio.sleep(1.1)
        with pytest.raises(websockets.exceptions.ConnectionClosedError):
            await asyncio.wait_for(read_all(socket), 10)

    asyncio.run(never_read())


def test_pings_that_nobody_reads_the_answers_to_are_not_answered_for_ever(serve):
    """Reading 40 MB of pings without room for the answers, a server that answers them all would hold 40 MB."""
    import os

    import psutil

    served = serve()
    with served.connect() as peer:
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        peer.sendall(
            b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + key
            + b"\r\n"
        )
        assert b"101" in peer.recv(4096)
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        before = psutil.Process(os.getpid()).memory_info().rss
        for _ in range(40):
            peer.sendall(ping * (2**20 // len(ping)))
        assert psutil.Process(os.getpid()).memory_info().rss - before < 15 * 2**20


def test_a_message_of_endless_fragments_is_refused(serve):
    served = serve()
    with connect(f"ws://127.0.0.1:{served.port}/api/live") as socket:
        assert code_of_closing(socket, ("" for _ in range(1000))) in (1009, None)


def test_a_message_that_is_too_large_is_refused(serve):
    served = serve()
    with connect(f"ws://127.0.0.1:{served.port}/api/live") as socket:
        assert code_of_closing(socket, bytes(Limits().live_frame_bytes + 1)) == 1009
