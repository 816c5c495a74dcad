"""``stgt web`` as a program: how it starts, what it refuses, how it ends."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from stgt.realtime.web import command
from stgt.realtime.web.options import TOKEN_VARIABLE, parse
from websockets.sync.client import connect

from stgt.__main__ import dispatch
from stgt.errors import MissingExtraError, StgtError
from stgt.telemetry import refuse_telemetry

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "--token auto"),
        (["--host", "::"], "--token auto"),
        (["--host", "192.0.2.7"], "--token auto"),
        (["--host", "no.such.name.invalid", "--token", "auto"], "no address or name"),
        (["--token", "short"], "at least 12"),
        (["--token", "with spaces and ünicode"], "at least 12"),
        (["--token", "@/no/such/file"], "no such file"),
        (["--port", "70000"], "65535"),
        (["--min-confidence", "2"], "probability"),
        (["--faces", "0"], "from 1 to 64"),
        (["--upload-mb", "-1"], "positive"),
        (["--video-minutes", "0"], "positive"),
        (["--certificate", "/no/such/file"], "belong together"),
        (["--certificate", "/no/such/file", "--key", "/no/such/file"], "no such file"),
        (["--certificate", __file__, "--key", __file__], "no PEM files"),
        (["--temporary", "/no/such/folder"], "no such folder"),
        (["--checkpoint", "/no/such/model.safetensors", "--port", "0"], "/no/such/model.safetensors"),
        (["--prot", "1"], "--port"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(arguments, says):
    with pytest.raises(StgtError, match=re.escape(says)) as refused:
        dispatch(["web", *arguments])
    assert "\n" not in str(refused.value)


def test_a_port_that_is_taken_is_said_in_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StgtError, match=f"port {port} is taken"):
            dispatch(["web", "--port", str(port)])


def test_without_its_packages_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(command, "_NEEDED", ("fastapi", "no_such_package"))
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'stgt[web]'")):
        dispatch(["web"])


def test_the_browser_that_is_opened_keeps_its_own_proxy(monkeypatch, tmp_path):
    script, seen = tmp_path / "browser", tmp_path / "seen"
    script.write_text(f'#!/bin/sh\n{{ echo "$1"; env; }} > {seen}.part && mv {seen}.part {seen}\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    monkeypatch.delenv("https_proxy", raising=False)
    refuse_telemetry()
    command.open_browser("http://127.0.0.1:1/?token=a")
    end_s = time.monotonic() + 30
    while not seen.exists() and time.monotonic() < end_s:
        time.sleep(0.02)
    address, *environment = seen.read_text().splitlines()
    assert address == "http://127.0.0.1:1/?token=a"
    assert not [line for line in environment if line.startswith("https_proxy=")]


def test_where_the_token_comes_from(monkeypatch, tmp_path):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert parse([]).token is None
    assert len(parse(["--token", "auto"]).token) > 20
    assert parse(["--token", "auto"]).token != parse(["--token", "auto"]).token
    (tmp_path / "secret").write_text(f"{TOKEN}\n")
    assert parse(["--token", f"@{tmp_path / 'secret'}"]).token == TOKEN
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert parse(["--host", "0.0.0.0"]).token == TOKEN


def test_options_become_limits():
    limits = parse(["--upload-mb", "2.5", "--video-minutes", "3", "--faces", "2", "--live-sessions", "1"]).limits
    assert (limits.upload_bytes, limits.video_s, limits.faces, limits.live_sessions) == (2_621_440, 180, 2, 1)


def test_names_that_a_server_goes_by():
    own = command.hosts_of(parse([]))
    assert own.knows("localhost:8765")
    assert not own.knows(socket.gethostname() + ".example")
    others = command.hosts_of(parse(["--host", "0.0.0.0", "--token", "auto", "--names", "Lab.example, x.example"]))
    assert all(others.knows(name) for name in ("lab.example:8765", "x.example", "192.0.2.7:8765", socket.gethostname()))


def test_addresses_of_servers():
    assert command.address_of(parse(["--host", "localhost"]), 80) == "http://localhost:80/"
    assert command.address_of(parse(["--host", "::1"]), 81) == "http://[::1]:81/"
    assert "0.0.0.0" not in command.address_of(parse(["--host", "0.0.0.0", "--token", TOKEN]), 81)


def test_what_is_printed_when_it_is_ready(capsys):
    command.announce(parse([]), 80)
    assert capsys.readouterr() == ("stgt web: http://127.0.0.1:80/  (Ctrl-C ends it)\n", "")
    options = parse(["--host", "0.0.0.0", "--token", "auto"])
    command.announce(options, 80)
    out, hint = capsys.readouterr()
    assert f":80/?token={options.token} " in out
    assert out.count("\n") == 1
    assert "camera" in hint
    command.announce(parse(["--token", TOKEN]), 80)
    assert TOKEN not in capsys.readouterr().out  # whoever chose it knows it


def form_with_video(folder: Path, size: tuple[int, int], frames: int) -> bytes:
    """A form with a video in which nobody is."""
    path = folder / "secret.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, size)
    frame = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)
    frame = cv2.GaussianBlur(frame, (0, 0), 9)
    for _ in range(frames):
        video.write(frame)
    video.release()
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="secret.avi"\r\n\r\n'
    return head + path.read_bytes() + b"\r\n--edge--\r\n"


@pytest.fixture(scope="module")
def nobody(tmp_path_factory) -> bytes:
    return form_with_video(tmp_path_factory.mktemp("media"), (64, 48), 5)


@pytest.fixture(scope="module")
def long_upload(tmp_path_factory) -> bytes:
    """It takes long to be read."""
    return form_with_video(tmp_path_factory.mktemp("media"), (320, 240), 400)


def wait_for(client, job: dict, condition) -> dict:
    """A job as it is when the condition holds."""
    end_s = time.monotonic() + 30
    while not condition(job):
        assert time.monotonic() < end_s, job
        client.request("GET", f"/api/jobs/{job['id']}")
        job = json.loads(client.getresponse().read())
    return job


def test_it_ends_in_time_with_open_sockets_and_a_running_job(tmp_path, nobody, long_upload):
    program = [sys.executable, "-m", "stgt", "web", "--port", "0", "--temporary", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline()
        port = int(re.fullmatch(r"stgt web: http://127\.0\.0\.1:(\d+)/  \(Ctrl-C ends it\)\n", line)[1])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        jobs = []
        for upload in (nobody, long_upload):
            client.request("POST", "/api/predict", upload, {"Content-Type": "multipart/form-data; boundary=edge"})
            jobs.append(json.loads(client.getresponse().read()))
        read = wait_for(client, jobs[0], lambda job: job["status"] not in ("waiting", "running"))
        assert read["notes"] == ["no face was found in any of its frames"]
        wait_for(client, jobs[1], lambda job: job["progress"]["done"] > 0)
        silent = socket.create_connection(("127.0.0.1", port))
        silent.sendall(b"GET / HTTP/1.1\r\n")
        children = psutil.Process(server.pid).children(recursive=True)
        assert children  # something decodes
        assert list(tmp_path.iterdir())
        with connect(f"ws://127.0.0.1:{port}/api/live") as live:
            live.send('{"type": "hello", "width": 640, "height": 480, "mesh": false}')
            assert json.loads(live.recv(timeout=30))["type"] == "ready"
            began_s = time.monotonic()
            server.send_signal(signal.SIGTERM)
            out, error = server.communicate(timeout=30)
            assert time.monotonic() - began_s < 5  # three, and what busy cores take to get to it
        assert (server.returncode, out, error) == (0, "", "")  # not a word about a visitor's file
        silent.close()
        assert list(tmp_path.iterdir()) == []
        _, alive = psutil.wait_procs(children, timeout=3)
        assert not alive


def test_it_can_be_interrupted_before_it_is_ready(tmp_path):
    program = [sys.executable, "-m", "stgt", "web", "--port", "0", "--temporary", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        time.sleep(1.2)
        server.send_signal(signal.SIGINT)
        try:
            out, _ = server.communicate(timeout=30)
        finally:
            server.kill()
        assert out == ""
        assert server.returncode in (130, -signal.SIGINT)
        assert list(tmp_path.iterdir()) == []
