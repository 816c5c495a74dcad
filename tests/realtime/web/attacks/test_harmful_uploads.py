"""Bodies that are too large, and files that are not what they say."""

import json
import os
import socket
import time
import zipfile
from contextlib import suppress

import av
import numpy as np
import pytest

MIB = 2**20
FORM = "Content-Type: multipart/form-data; boundary=x"


def test_ten_gigabytes_are_refused_before_they_are_sent(server, raw, head):
    began_s = time.monotonic()
    answer = raw(server, head(server, "POST", "/api/predict", FORM, f"Content-Length: {10 * 2**30}"))
    assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert time.monotonic() - began_s < 3


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5000, "-1", "0x10", "1e9", "5, 6"])
def test_lengths_that_are_none(server, raw, head, length):
    answer = raw(server, head(server, "POST", "/api/predict", FORM, f"Content-Length: {length}"))
    assert answer.split(b" ")[1] in (b"400", b"413"), answer[:200]


def test_a_body_without_end_is_cut_off(server, head, eventually):
    before, kept = server.memory_bytes(), server.open_but_removed()
    opening = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    piece = os.urandom(MIB)
    sent, answer = 0, b""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(head(server, "POST", "/api/predict", FORM, "Transfer-Encoding: chunked"))
        connection.sendall(b"%x\r\n%s\r\n" % (len(opening), opening))
        with suppress(OSError):  # the server closes
            while sent < 300:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent += 1
        with suppress(OSError):  # the answer may be lost with what was still to be sent
            answer = connection.recv(65536)
    assert sent < 300
    assert not answer or answer.startswith(b"HTTP/1.1 413"), answer[:200]
    eventually(lambda: server.open_but_removed() <= kept, "the part that came is gone")
    assert server.memory_bytes() - before < 64 * MIB


@pytest.mark.parametrize("kind", ["application/json", "video/mp4", "application/x-www-form-urlencoded", "text/plain"])
def test_what_is_no_form_is_not_taken(server, one_sentence, kind):
    answer = server.ask("POST", "/api/predict", b"x" * 100, {"Content-Type": kind})
    assert answer.status == 415
    assert one_sentence(answer.json()["error"])


def test_a_form_of_noise_is_not_taken(server, one_sentence):
    for boundary in ("q", "", '"', "x" * 300):
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = server.ask("POST", "/api/predict", os.urandom(4096), kind)
        assert answer.status in (400, 415, 422), boundary
        assert one_sentence(answer.json()["error"])


def zip_bomb(path) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(4):
            archive.writestr(f"{index}.mp4", bytes(16 * MIB))
    return path.read_bytes()


def large_frames(path) -> bytes:
    """A video whose frames are larger than what is taken, in a few hundred kilobytes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 8000, 6000, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(8000, 6000, "yuvj420p")))
        container.mux(stream.encode())
    return path.read_bytes()


#: Ones that the tests of decoding do not have, and those whose harm would be done to the server.
DISGUISES = {
    "noise.mp4": lambda _: os.urandom(100_000),
    "picture.svg": lambda _: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "bomb.png": lambda given: given["png_bomb"](30_000),
    "archive.mp4": lambda given: zip_bomb(given["folder"] / "bomb.zip"),
    "large.avi": lambda given: large_frames(given["folder"] / "large.avi"),
    "truncated.mp4": lambda given: given["video"].read_bytes()[:-2000],
    "list.mp4": lambda given: f"#EXTM3U\n#EXTINF:10,\n{given['video']}\n#EXT-X-ENDLIST\n".encode(),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_file_that_is_not_what_it_says(server, tmp_path, short_video, png_bomb, one_sentence, eventually, name):
    content = DISGUISES[name]({"folder": tmp_path, "video": short_video, "png_bomb": png_bomb})
    before, kept = server.memory_bytes(), server.open_but_removed()
    answer = server.upload(content, name)
    if answer.status == 202:
        job = server.job_after(answer)
        assert job["status"] == "failed", job
        assert one_sentence(job["error"])
        assert str(short_video) not in json.dumps(job)
        assert server.ask("GET", f"/api/jobs/{job['id']}/result").status == 409
    else:
        assert answer.status in (400, 413, 415, 422)
        assert one_sentence(answer.json()["error"])
    eventually(lambda: not server.children(), "the process that decodes has ended")
    eventually(lambda: server.open_but_removed() <= kept, "the file is gone")
    assert server.memory_bytes() - before < 128 * MIB


def test_a_video_that_stops_in_the_middle_is_read_up_to_there(server, rendered_face_clip, tmp_path):
    """Matroska can be read as far as it goes, unlike MP4, whose index may be at the end."""
    whole = tmp_path / "whole.mkv"
    with av.open(str(rendered_face_clip)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    content = whole.read_bytes()
    job = server.job_after(server.upload(content[: len(content) * 2 // 3], "cut.mkv"))
    assert job["status"] == "done", job
    assert 4 < len(server.get(f"/api/jobs/{job['id']}/result")["times"]) < 24


def test_very_many_frames_in_a_short_time_do_not_hold_up_the_line(server, tmp_path):
    """A thousand frames a second: short enough for the limit on length, but long work if all are read."""
    path = tmp_path / "many.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"preset": "ultrafast", "crf": "40"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), "rgb24").reformat(format="yuv420p")
        for index in range(5_000):
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    began_s = time.monotonic()
    answer = server.upload(path.read_bytes(), path.name)
    if answer.status == 202:
        server.job_after(answer)
    assert time.monotonic() - began_s < 20


def test_a_full_line_says_when_to_come_again(server, photos, long_video):
    """Who fills the line is turned away; cancelling it all makes room at once."""
    ids, busy = [], None
    for _ in range(40):
        answer = server.upload(long_video.read_bytes(), "long.mp4")
        if answer.status != 202:
            busy = answer
            break
        ids.append(answer.json()["id"])
    for job in reversed(ids):
        assert server.ask("DELETE", f"/api/jobs/{job}").status == 204
    assert busy is not None
    assert busy.status == 503
    assert int(busy.headers["retry-after"]) > 0
    assert server.job_after(server.upload(photos["one"].read_bytes(), "one.jpg"))["status"] == "done"
