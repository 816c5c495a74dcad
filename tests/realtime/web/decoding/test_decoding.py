import http.server
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from stgt.realtime.web.decoding import ChildSource, process
from stgt.realtime.web.limits import Limits

from stgt.errors import SourceError
from stgt.faces.decoding import Caution, NotAVideoError, open_video
from stgt.faces.video import VideoFile, open_source, read_image

LIMITS = Limits(decode_wall_s=20.0)


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "decoding.child" in " ".join(child.cmdline())
    ]


def test_frames_and_times_are_those_of_the_file(rendered_face_clip, uploaded):
    with (
        ChildSource(uploaded(rendered_face_clip.read_bytes()), LIMITS, "clip.mp4") as source,
        open_source(rendered_face_clip) as direct,
    ):
        assert (source.kind, source.name, source.notes) == ("video", "clip.mp4", [])
        assert (source.image_size, source.frame_rate) == (direct.image_size, direct.frame_rate)
        assert source.frame_count == direct.frame_count
        for (time_s, rgb), (direct_s, direct_rgb) in zip(source, direct, strict=True):
            assert time_s == direct_s
            assert np.array_equal(rgb, direct_rgb)


def test_a_source_can_be_read_again(rendered_face_clip, uploaded):
    with ChildSource(uploaded(rendered_face_clip.read_bytes()), LIMITS) as source:
        first = [rgb for _, rgb in source]
        again = [rgb for _, rgb in source]
    assert np.array_equal(first, again)


def test_the_child_imports_neither_torch_nor_mediapipe():
    listed = "import sys, stgt.realtime.web.decoding.child, stgt.faces.decoding; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-I", "-c", listed], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "mediapipe", "lightning", "matplotlib", "pickle5"} & set(modules.split())


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("matroska", "mpeg4"),
        ("avi", "mjpeg"),
        ("mpegts", "mpeg2video"),
        ("flv", "flv1"),
        ("gif", "gif"),
        ("asf", "wmv2"),
    ],
)
def test_containers_that_people_have(container, codec, encode_video, uploaded):
    with ChildSource(uploaded(encode_video(container, codec, rate=25)), LIMITS) as source:
        assert source.kind == "video"
        assert source.image_size == (64, 48)
        assert len(list(source)) == 20


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_photos_are_decoded_as_image_folders_are(suffix, face_frames, encode_picture, uploaded, tmp_path):
    content = encode_picture(face_frames[0][1], suffix)
    (tmp_path / f"photo{suffix}").write_bytes(content)
    with ChildSource(uploaded(content), LIMITS) as source:
        ((time_s, rgb),) = source
    assert source.kind == "photo"
    assert time_s == 0.0
    assert np.array_equal(rgb, read_image(tmp_path / f"photo{suffix}"))


@pytest.mark.parametrize("kind", ["GIF", "AVIF"])
def test_photos_of_rarer_kinds(kind, uploaded):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 40, 40)).save(content, kind)
    with ChildSource(uploaded(content.getvalue()), LIMITS) as source:
        ((_, rgb),) = source
    assert source.kind == "photo"
    assert np.abs(rgb.astype(int) - (200, 40, 40)).max() < 12


def test_photos_are_turned_upright(uploaded):
    picture = Image.fromarray(np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[:, None], 60, axis=1)).convert("RGB")
    tags = Image.Exif()
    tags[0x0112] = 6  # the camera was turned to the right
    content = io.BytesIO()
    picture.save(content, "JPEG", exif=tags)
    with ChildSource(uploaded(content.getvalue()), LIMITS) as source:
        ((_, rgb),) = source
    assert source.image_size == (40, 60)
    assert rgb[:, 0].mean() > rgb[:, -1].mean() + 100


def test_large_videos_are_made_smaller(encode_video, uploaded):
    limits = Limits(video_side=40)
    with ChildSource(uploaded(encode_video("mp4", "mpeg4", count=2)), limits) as source:
        assert source.image_size == (40, 30)
        assert len(list(source)) == 2
        assert "64x48" in source.notes[0]


def test_a_long_video_is_read_up_to_the_limit(encode_video, uploaded):
    film = encode_video("mp4", "mpeg4", count=200, rate=1, size=(16, 16))
    with ChildSource(uploaded(film), Limits(video_s=20)) as source:
        times = [time_s for time_s, _ in source]
    assert times == list(range(21))
    assert source.frame_count == 21
    assert source.notes == ["only its first 20 s were read, of 200"]


def test_of_very_many_frames_in_a_second_some_are_passed_over(encode_video, uploaded):
    film = encode_video("mp4", "mpeg4", count=200, rate=100)
    with ChildSource(uploaded(film), Limits(video_frame_rate=20.0)) as source:
        times = np.array([time_s for time_s, _ in source])
        assert source.frame_rate == 20.0
        assert source.frame_count == 40
    assert 40 <= len(times) <= 51
    assert np.diff(times[12:]) == pytest.approx(0.05, abs=0.011)
    assert source.notes == [f"at most 20 frames a second were read; {200 - len(times)} were passed over"]
    with ChildSource(uploaded(film), Limits(video_frame_rate=100.0)) as source:
        assert len(list(source)) == 200
    assert not source.notes


def test_a_video_that_was_cut_gives_what_it_has(rendered_face_clip, uploaded):
    content = rendered_face_clip.read_bytes()
    with ChildSource(uploaded(content[: len(content) // 2]), LIMITS) as source, VideoFile(rendered_face_clip) as whole:
        frames = list(source)
        assert 0 < len(frames) < whole.frame_count
        assert all(np.array_equal(rgb, other) for (_, rgb), (_, other) in zip(frames[:-1], whole, strict=False))
    assert any("cut short" in note for note in source.notes)


def harmful(claimed_png, encode_sound, clip: bytes, address: str) -> dict[str, tuple[bytes, str]]:
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
    neither = "neither a photo nor a video"
    return {
        "nothing": (b"", "empty"),
        "text": (b"To be, or not to be. " * 50, neither),
        "playlist of a file": (playlist.format("file://" + clip).encode(), neither),
        "playlist of an address": (playlist.format(address + "/a.ts").encode(), neither),
        "script of an address": (f"ffconcat version 1.0\nfile {address}/b.mp4\n".encode(), neither),
        "huge picture": (claimed_png(60000, 60000), "60000x60000"),
        "broken picture": (claimed_png(500, 500), "cut short or damaged"),
        "sound": (encode_sound(), "no video"),
        "heic": (bytes(4) + b"ftypheic" + bytes(200), "HEIC"),
    }


def test_what_is_no_picture_is_refused_in_one_sentence(claimed_png, encode_sound, rendered_face_clip, uploaded):
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        files = harmful(claimed_png, encode_sound, str(rendered_face_clip), address)
        for name, (content, expected) in files.items():
            with pytest.raises(SourceError) as caught:
                ChildSource(uploaded(content), LIMITS)
            sentence = str(caught.value)
            assert expected in sentence, name
            assert "\n" not in sentence, name
            assert len(sentence) < 200, name
        server.shutdown()
    assert not asked
    assert not children()


@pytest.mark.parametrize("script", ["ffconcat version 1.0\nfile '{}'\n", "#EXTM3U\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"])
def test_ffmpeg_itself_opens_nothing_else(script, rendered_face_clip):
    """Without the confinement of the process around it, which would refuse it anyway."""
    content = io.BytesIO(script.format(rendered_face_clip).encode())
    with pytest.raises(NotAVideoError):
        open_video(content, Caution(most_pixels=10**6, longest_side=1000))
    everything = Caution(most_pixels=10**6, longest_side=1000, containers=("concat", "hls"))
    with pytest.raises(SourceError):  # nor where the kind of file is not refused
        open_video(content, everything)


def test_pictures_that_claim_too_much_are_refused_in_any_container(encode_video, uploaded):
    film = bytearray(encode_video("gif", "gif", count=2))
    film[6:10] = (30000).to_bytes(2, "little") * 2
    with pytest.raises(SourceError, match="30000x30000"):
        ChildSource(uploaded(bytes(film)), LIMITS)
    with pytest.raises(SourceError, match="64x48"):
        ChildSource(uploaded(encode_video("matroska", "mpeg4")), Limits(picture_pixels=64 * 47))


def test_memory_of_the_child_is_limited(encode_picture, uploaded):
    large = uploaded(encode_picture(np.zeros((4000, 6000, 3), np.uint8), ".bmp"))
    with pytest.raises(SourceError):
        ChildSource(large, Limits(decode_memory_bytes=600 * 2**20))
    with ChildSource(large, LIMITS) as source:
        assert source.image_size == (6000, 4000)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems offer less")
def test_the_child_cannot_open_write_connect_or_start_anything():
    tries = """
import os, socket, subprocess, sys
from stgt.realtime.web.decoding.confinement import confine
confine(2**31, 10)
def refused(call):
    try:
        call()
    except OSError:
        return True
print(*(refused(call) for call in (
    lambda: open('/etc/passwd'), lambda: os.open('/tmp/x', os.O_CREAT | os.O_WRONLY), socket.socket, os.fork,
    lambda: os.execv('/bin/true', ['true']), lambda: os.unlink('/nowhere'), lambda: os.dup(0),
)))
"""
    run = subprocess.run([sys.executable, "-I", "-c", tries], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"] * 7


def test_a_child_that_dies_leaves_what_it_gave(rendered_face_clip, uploaded):
    with ChildSource(uploaded(rendered_face_clip.read_bytes()), LIMITS) as source:
        frames = iter(source)
        next(frames)
        (child,) = children()
        if sys.platform == "linux":
            assert "NoNewPrivs:\t1\n" in Path(f"/proc/{child.pid}/status").read_text()
            assert re.search(r"Max open files +3 +3 ", Path(f"/proc/{child.pid}/limits").read_text())
        os.kill(child.pid, signal.SIGKILL)
        rest = list(frames)
    assert len(rest) < source.frame_count - 1
    assert source.notes[0].startswith(f"decoding broke off after {len(rest) + 1} frames")


def test_stopping_ends_the_child_at_once(rendered_face_clip, uploaded):
    with ChildSource(uploaded(rendered_face_clip.read_bytes()), LIMITS) as source:
        frames = iter(source)
        next(frames)
        threading.Timer(0.05, source.stop).start()
        began_s = time.monotonic()
        with pytest.raises(SourceError, match="stopped"):
            [time.sleep(0.02) for _ in frames]
        assert time.monotonic() - began_s < 1
    assert not children()


def test_a_child_that_hangs_can_be_stopped_before_it_says_anything(uploaded, monkeypatch):
    monkeypatch.setattr(process, "command", lambda limits: [sys.executable, "-I", "-c", "import time; time.sleep(60)"])
    began_s = time.monotonic()
    with pytest.raises(SourceError):
        ChildSource(uploaded(b"x"), LIMITS, on_start=lambda source: threading.Timer(0.1, source.stop).start())
    assert time.monotonic() - began_s < 2


HEADER = '{"kind": "video", "width": 4, "height": 2, "frame_rate": 25.0, "frame_count": null}'

LIES = {
    "floods without a line": "while True: out(b'x' * 65536)",
    "says nothing": "time.sleep(60)",
    "ends at once": "pass",
    "is no JSON": "out(b'hello\\n')",
    "nests without end": "out(b'[' * 9000 + b'\\n')",
    "claims a huge picture": f"out({HEADER!r}.replace('4', '400000').encode() + b'\\n'); time.sleep(0.3)",
    "claims a negative picture": f"out({HEADER!r}.replace('4', '-4').encode() + b'\\n'); time.sleep(0.3)",
    "has no rate": f"out({HEADER!r}.replace('25.0', 'NaN').encode() + b'\\n'); time.sleep(0.3)",
    "gives no frame": f"out({HEADER!r}.encode() + b'\\n'); time.sleep(60)",
    "gives a part of a frame": f"out({HEADER!r}.encode() + b'\\n' + bytes(20))",
    "runs backwards": f"out({HEADER!r}.encode() + b'\\n' + struct.pack('<d', -1.0) + bytes(24))",
    "runs without end": f"out({HEADER!r}.encode() + b'\\n' + struct.pack('<d', 1e9) + bytes(24))",
}


@pytest.mark.parametrize("lie", LIES)
def test_the_server_believes_nothing(lie, uploaded, monkeypatch):
    program = f"import os, struct, time\ndef out(content): os.write(1, content)\n{LIES[lie]}"
    monkeypatch.setattr(process, "command", lambda limits: [sys.executable, "-I", "-c", program])
    began_s = time.monotonic()
    with pytest.raises(SourceError), ChildSource(uploaded(b"x"), Limits(decode_wall_s=0.5)) as source:
        list(source)
    assert time.monotonic() - began_s < 3


def test_a_child_gives_no_more_frames_than_are_allowed(uploaded, monkeypatch):
    program = f"""
import os, struct
os.write(1, {HEADER!r}.encode() + b'\\n')
while True:
    os.write(1, struct.pack('<d', 0.0) + bytes(24))
"""
    monkeypatch.setattr(process, "command", lambda limits: [sys.executable, "-I", "-c", program])
    with ChildSource(uploaded(b"x"), Limits(video_frame_rate=200.0)) as source:
        assert len(list(source)) == 100
    assert "broke off after 100 frames" in source.notes[0]
