"""The socket from end to end: a server in this process, clients as a browser's, rendered faces."""

import contextlib
import csv
import io
import json
import math
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import av
import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")

from stgt.realtime.session import LiveSession
from stgt.realtime.web.live import seat as seat_module
from stgt.realtime.web.live.source import MOST_BROKEN
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 20.0


def eventually(condition, what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"not in time: {what}"
        time.sleep(0.01)


def fetch(url: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def decode(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@pytest.fixture
def seen(monkeypatch) -> list:
    """Every frame that any session has answered."""
    frames, message = [], seat_module.result_message

    def noted(live, *arguments):
        frames.append(live)
        return message(live, *arguments)

    monkeypatch.setattr(seat_module, "result_message", noted)
    return frames


def test_every_frame_is_answered_with_what_was_found_in_it(live_server, jpegs, reader):
    with live_server.client(mesh=True) as client:
        assert client.hear() == {"type": "ready", "labels": list(reader.labels)}
        results = [client.ask(3 * number, 50.0 + time_s, jpeg) for number, (time_s, jpeg) in enumerate(jpegs)]
    assert [result["frame"] for result in results] == [3 * number for number in range(len(jpegs))]
    assert [result["time_s"] for result in results] == [50.0 + time_s for time_s, _ in jpegs], "to the last bit"
    for result in results:
        assert set(result["stages_ms"]) == {"capture", "landmarks", "window", "model"}
        assert result["latency_ms"] >= sum(result["stages_ms"].values()) - 0.1
        assert result["dropped"] == 0
        (face,) = result["faces"]
        x0, y0, x1, y1 = face["box"]
        assert 0 < x0 < x1 < 320
        nodes = np.array(face["nodes"]).reshape(-1, 2)
        assert nodes.shape == (len(reader.layout), 2)
        assert ((nodes >= (x0 - 1, y0 - 1)) & (nodes <= (x1 + 1, y1 + 1))).all()
        assert sum(face["attention"]) == pytest.approx(1.0, abs=0.01)
    first, last = results[0]["faces"][0], results[-1]["faces"][0]
    assert (first["state"], first["probabilities"], first["confidence"]) == ("warming up", None, None)
    assert last["state"] == "reading"
    assert last["label"] in reader.labels
    assert sum(last["probabilities"]) == pytest.approx(1.0, abs=0.001)
    assert last["confidence"] == last["probabilities"][reader.labels.index(last["label"])]
    assert [number for number, result in enumerate(results) if result["faces"][0]["is_new"]] == [
        *(0, 4, 7, 10, 13, 16, 20, 23)  # at 0.0, 0.2 … 1.4 s
    ]


def test_what_is_said_is_what_a_session_says_of_the_same_frames(
    live_server, jpegs, reader, made_source, landmarker, seen
):
    frames = [(time_s, decode(jpeg)) for time_s, jpeg in jpegs]
    with live_server.client() as client:
        client.hear("ready")
        for number, (time_s, jpeg) in enumerate(jpegs):
            client.ask(number, 7.0 + time_s, jpeg)
    with LiveSession(reader, made_source(frames), every_s=0.2, landmarker=landmarker) as session:
        directly = list(session)
    assert len(seen) == len(directly) == len(jpegs)
    for live, direct in zip(seen, directly, strict=True):
        np.testing.assert_array_equal(live.rgb, direct.rgb)
        assert live.faces[0].is_new == direct.faces[0].is_new
        for field in ("probabilities", "prediction.probabilities", "landmarks.points"):
            values = []
            for value in (live.faces[0], direct.faces[0]):
                for name in field.split("."):
                    value = getattr(value, name)
                values.append(value)
            np.testing.assert_allclose(*values, atol=1e-5, rtol=0)
    assert sum(live.faces[0].is_new for live in seen) == 8


def test_sessions_do_not_see_one_another(live_server, jpegs):
    """Three at once, one of them in front of a wall; and whoever comes after them is nobody they knew."""
    wall = cv2.imencode(".jpg", np.full((320, 320, 3), 90, np.uint8))[1].tobytes()
    shows = {"smiles": jpegs, "wall": [(time_s, wall) for time_s, _ in jpegs], "smiles again": jpegs}
    heard = {}

    def visit(name: str) -> None:
        with live_server.client() as client:
            client.hear("ready")
            heard[name] = [client.ask(number, *frame)["faces"] for number, frame in enumerate(shows[name])]

    threads = [threading.Thread(target=visit, args=[name]) for name in shows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard["wall"] == [[]] * len(jpegs)
    assert heard["smiles"] == heard["smiles again"]
    assert heard["smiles"][-1][0]["face"] == 0
    shows["later"] = jpegs
    visit("later")
    assert heard["later"] == heard["smiles"]


def test_several_people_are_followed_where_that_is_asked_for(live_server, face_frames):
    def jpeg(rgb: np.ndarray) -> bytes:
        both = cv2.cvtColor(np.hstack([rgb, rgb[:, ::-1]]), cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", both)[1].tobytes()

    with live_server.client(faces=2, size=(640, 320), mesh=True) as client:
        client.hear("ready")
        for number, (time_s, rgb) in enumerate(face_frames[:6]):
            faces = client.ask(number, time_s, jpeg(rgb))["faces"]
    assert [face["face"] for face in faces] == [0, 1]
    assert abs(faces[0]["box"][0] - faces[1]["box"][0]) > 200


def test_the_mesh_can_be_switched(live_server, jpegs):
    with live_server.client() as client:
        client.hear("ready")
        assert "nodes" not in client.ask(0, *jpegs[0])["faces"][0]
        client.say({"type": "mesh", "on": True})
        assert {"nodes", "attention"} <= set(client.ask(1, *jpegs[1])["faces"][0])
        client.say({"type": "mesh", "on": False})
        assert "nodes" not in client.ask(2, *jpegs[2])["faces"][0]


def test_a_neutral_face_is_collected(live_server, jpegs):
    with live_server.client() as client:
        client.hear("ready")
        client.ask(0, *jpegs[0])
        client.say({"type": "neutral", "seconds": 0.5, "face": None})
        client.say({"type": "neutral", "seconds": 0.5, "face": 7})
        assert client.hear() == {"type": "neutral", "status": "collecting"}
        assert client.hear() == {"type": "neutral", "status": "failed", "error": "face 7 is not in sight"}
        for number, (time_s, jpeg) in enumerate(jpegs[1:12], start=1):
            client.ask(number, time_s, jpeg)
        assert client.news == [{"type": "neutral", "status": "done"}]


def test_a_line_forms_and_moves_on(start_live, jpegs):
    with start_live(live_sessions=1, live_waiting=2) as server:
        with server.client() as first:
            first.hear("ready")
            second = server.client()
            assert second.hear() == {"type": "wait", "ahead": 0}
            third = server.client()
            assert third.hear() == {"type": "wait", "ahead": 1}
            with server.client() as fourth:
                said, code = fourth.end()
                assert (said["type"], code) == ("full", 1013)
                assert "try again" in said["error"]
            second.push(0, 0.0, jpegs[0][1])  # too early, and nothing
            second.kill()
            assert third.hear() == {"type": "wait", "ahead": 0}
            assert first.ask(0, *jpegs[0])["frame"] == 0, "nobody inside is disturbed"
            first.kill()
            assert third.hear()["type"] == "ready"
            assert third.ask(0, *jpegs[0])["frame"] == 0
            third.socket.close()
        eventually(lambda: (server.room.inside, server.room.waiting) == (0, 0), "the room is empty")
        assert server.room.landmarkers.idle == 1


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[" * 2000, "JSON"),
        ("9" * 2000, "JSON object"),
        (b"\x00\x01", "hello, of text"),
        ([], "JSON object"),
        ({"type": 3}, "JSON object"),
        ({"type": "hallo"}, "must be {"),
        ({"type": "hello"}, "width must be a whole number"),
        ({"type": "hello", "width": 640.5, "height": 480}, "width must be"),
        ({"type": "hello", "width": True, "height": 480}, "width must be"),
        ({"type": "hello", "width": "640", "height": 480}, "width must be"),
        ('{"type": "hello", "width": NaN, "height": 480}', "width must be"),
        ('{"type": "hello", "width": 1e999, "height": 480}', "width must be"),
        ({"type": "hello", "width": 640, "height": -480}, "height must be"),
        ({"type": "hello", "width": 8000, "height": 8000}, "from 16 to 1280"),
        ({"type": "hello", "width": 1, "height": 1}, "from 16 to 1280"),
        ({"type": "hello", "width": 640, "height": 480, "mesh": 1}, "mesh must be true or false"),
        ({"type": "hello", "width": 640, "height": 480, "filling": "x" * 4000}, "longer than any that makes sense"),
    ],
)
def test_a_wrong_hello_is_told_what_is_wrong(live_server, hello, why):
    with live_server.client(hello=hello) as client:
        said, code = client.end()
    assert (said["type"], code) == ("error", 1008)
    assert why in said["error"]
    assert live_server.room.inside == 0


@pytest.mark.parametrize("faces", ["0", "5", "-1", "many", "", "1e9", "²", "1" * 5000])
def test_a_wrong_number_of_faces_is_refused(live_server, faces):
    with live_server.client(faces=urllib.parse.quote(faces)) as client:
        assert client.end() == ({"type": "error", "error": "faces must be a number from 1 to 4"}, 1008)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\x01", "1 bytes are none"),
        (bytes(12), "12 bytes are none"),
        (seat_module.__name__, "JSON"),
        ({"type": "shout"}, "neutral, mesh or record"),
        ({"type": "mesh", "on": "yes"}, "on must be true or false"),
        ({"type": "record"}, "on must be true or false"),
        ({"type": "neutral", "seconds": -1}, "0 to 30 seconds"),
        ('{"type": "neutral", "seconds": NaN}', "0 to 30 seconds"),
        ({"type": "neutral", "seconds": 1, "face": 1.5}, "face must be a whole number"),
        ({"type": "hello", "width": 640, "height": 480}, "neutral, mesh or record"),
    ],
)
def test_what_must_not_be_said_ends_the_session_with_a_sentence(live_server, message, why):
    with live_server.client() as client:
        client.hear("ready")
        client.say(message)
        said, code = client.end()
    assert (said["type"], code) == ("error", 1008)
    assert why in said["error"]
    eventually(lambda: live_server.room.inside == 0, "the place is free")


@pytest.mark.parametrize("time_s", [math.nan, math.inf, 1e300])
def test_a_time_that_is_none_ends_the_session(live_server, jpegs, time_s):
    with live_server.client() as client:
        client.hear("ready")
        client.ask(0, *jpegs[0])
        client.push(1, time_s, jpegs[1][1])
        said, code = client.end()
    assert (said["type"], code) == ("error", 1008)
    assert "time" in said["error"]


def test_frames_that_cannot_be_used_are_passed_over(live_server, jpegs):
    good = jpegs[0][1]
    huge = cv2.imencode(".jpg", np.zeros((4000, 4000, 3), np.uint8))[1].tobytes()
    tiny = cv2.imencode(".jpg", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    with live_server.client() as client:
        client.hear("ready")
        client.ask(10, 1.0, good)
        for number, bad in enumerate((huge, tiny, b"junk", good[:500]), start=11):
            client.push(number, 1.0 + number / 100, bad)
        client.push(3, 1.5, good)  # a number and a time that run backwards
        client.push(20, 0.1, good)
        result = client.ask(21, 1.6, good)
    assert result["frame"] == 21
    assert result["dropped"] == 6
    assert len(result["faces"]) == 1


def test_frames_of_another_size_end_it_after_a_while(live_server, jpegs):
    with live_server.client(size=(640, 480)) as client:
        client.hear("ready")
        for number in range(MOST_BROKEN + 5):
            client.push(number, number / 30, jpegs[0][1])
            time.sleep(0.01)
        said, code = client.end()
    assert code == 1008
    assert f"{MOST_BROKEN} frames in a row could not be used" in said["error"]
    assert "320x320 pixels, not the 640x480" in said["error"]
    eventually(lambda: live_server.room.inside == 0, "the place is free")


def test_a_thousand_frames_a_second_cost_nobody_else(live_server, jpegs):
    """They are read more slowly than they come, the newest wins, and others are answered meanwhile."""
    stop = threading.Event()

    def flood() -> None:
        number = 0
        with live_server.client() as client, _ended():
            client.hear("ready")
            while not stop.is_set():
                client.push(number, number / 1000, jpegs[number % len(jpegs)][1])
                number += 1
            client.kill()

    thread = threading.Thread(target=flood)
    thread.start()
    with live_server.client() as client:
        client.hear("ready")
        begun = time.monotonic()
        for number, frame in enumerate(jpegs):
            client.ask(number, *frame)
        took_s = time.monotonic() - begun
    stop.set()
    thread.join()
    assert took_s < 5.0
    eventually(lambda: live_server.room.inside == 0, "both places are free")


def test_floods_of_text_end_the_session(live_server):
    with live_server.client() as client:
        client.hear("ready")
        with _ended():
            for number in range(200):
                client.say({"type": "mesh", "on": bool(number % 2)})
        said, code = client.end()
    assert (said["error"], code) == ("so many messages cannot be meant", 1008)
    eventually(lambda: live_server.room.inside == 0, "the place is free")


def test_who_does_not_wait_in_the_line_loses_the_place_in_it(start_live, jpegs):
    with start_live(live_sessions=1) as server, server.client() as first, server.client() as second:
        first.hear("ready")
        second.hear("wait")
        for number in range(120):
            second.push(number, number / 30, jpegs[0][1])
        said, code = second.end()
        assert (said["type"], code) == ("error", 1008)
        assert server.room.waiting == 0


def test_who_falls_silent_loses_the_place(start_live, jpegs):
    with start_live(live_idle_s=0.4) as server, server.client() as client:
        client.hear("ready")
        client.ask(0, *jpegs[0])
        said, code = client.end()
        assert (said["type"], code) == ("end", 1001)
        assert "no frame has come for 0.4 s" in said["reason"]
        eventually(lambda: server.room.inside == 0, "the place is free")


def test_who_is_gone_without_a_word_frees_the_place_at_once(live_server, jpegs):
    client = live_server.client()
    client.hear("ready")
    client.ask(0, *jpegs[0])
    assert live_server.room.inside == 1
    client.kill()
    begun = time.monotonic()
    eventually(lambda: live_server.room.inside == 0, "the place is free")
    assert time.monotonic() - begun < 2.0


def test_a_storm_leaves_nothing_behind(live_server, jpegs):
    """Sockets that come and go, most of them before they are let in."""
    with live_server.client() as client:
        client.hear("ready")
        client.ask(0, *jpegs[0])
    eventually(lambda: live_server.room.inside == 0, "the place is free")

    def visit(number: int) -> None:
        with _ended(), live_server.client() as client:
            if number % 3 == 0:
                client.hear()
                client.push(0, 0.0, jpegs[0][1])
            if number % 2:
                client.kill()

    for _ in range(2):
        storm = [threading.Thread(target=visit, args=[number]) for number in range(24)]
        for thread in storm:
            thread.start()
        for thread in storm:
            thread.join()
        eventually(lambda: (live_server.room.inside, live_server.room.waiting) == (0, 0), "the room is empty")
    assert live_server.room.landmarkers.idle <= live_server.service.limits.live_sessions
    sessions = [thread.name for thread in threading.enumerate() if thread.name.startswith("live")]
    assert len(sessions) <= live_server.service.limits.live_sessions
    with live_server.client() as client:
        client.hear("ready")
        assert client.ask(0, *jpegs[0])["faces"]


@pytest.fixture
def recorded(live_server, jpegs):
    """What was said of a recording of all frames but the first two, whose socket is gone; its address."""
    with live_server.client() as client:
        client.hear("ready")
        for number, frame in enumerate(jpegs):
            if number == 2:
                client.say({"type": "record", "on": True})
                client.say({"type": "record", "on": True})  # once is enough
                begun = client.hear("recording")
            client.ask(number, *frame)
            time.sleep(0.02)
        client.say({"type": "record", "on": False})
        finishing, ended = client.hear("recording"), client.hear("recording")
    assert begun == {"type": "recording", "status": "on", "id": begun["id"], "seconds": 0.0}
    assert (finishing["status"], ended["status"]) == ("finishing", "ready")
    assert finishing["id"] == ended["id"] == begun["id"]
    assert ended["seconds"] > 0.3
    yield ended
    live_server.room.recordings.forget(ended["id"])


def test_a_recording_can_be_taken_home(live_server, recorded, jpegs, tmp_path):
    assert set(recorded["files"]) == {"annotated.mp4", "predictions.csv", "summary.json", "summary.png"}
    files = {}
    for name, address in recorded["files"].items():
        assert address == f"/api/recordings/{recorded['id']}/{name}"
        status, files[name] = fetch(live_server.http + address)
        assert status == 200
    rows = list(csv.DictReader(io.StringIO(files["predictions.csv"].decode())))
    assert len(rows) == 7, "all but the prediction of the first frame"
    summary = json.loads(files["summary.json"])
    assert summary["frames"] == len(jpegs) - 2
    assert files["summary.png"].startswith(b"\x89PNG")
    with av.open(io.BytesIO(files["annotated.mp4"])) as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert 0 < len(pictures) <= len(jpegs) - 2
    shown = summary["frames"] / summary["duration_s"]
    assert shown == pytest.approx(16, rel=0.1)
    text = files["summary.json"].decode() + files["predictions.csv"].decode()
    assert str(live_server.service.scratch.path) not in text, "nobody is told where it lies"


def test_a_recording_is_forgotten_when_that_is_asked_for(live_server, recorded):
    address = live_server.http + recorded["files"]["summary.json"]
    folder = live_server.room.recordings._kept[recorded["id"]].folder
    assert not (folder / "tracks").exists(), "landmarks are not kept"
    assert fetch(address)[0] == 200
    own = f"{live_server.http}/api/recordings/{recorded['id']}"
    assert fetch(own, "DELETE")[0] == 204
    assert not folder.exists()
    assert fetch(address)[0] == fetch(own, "DELETE")[0] == 404


def test_nothing_else_is_given_away(live_server, recorded):
    own = recorded["id"]
    for path in (
        *(f"{own}/recording.json", f"{own}/predictions.jsonl", f"{own}/..%2f..%2fetc%2fpasswd", f"{own}/", own),
        *("nobody/summary.json", "%2e%2e/summary.json", f"%2e/{own}/summary.json", f"{own}%2f/summary.json"),
    ):
        assert fetch(f"{live_server.http}/api/recordings/{path}")[0] in (404, 405), path


def test_a_recording_outlives_its_socket_and_is_bounded_in_time(start_live, jpegs):
    with start_live(recording_s=0.3, kept_s=0.7) as server:
        with server.client() as client:
            client.hear("ready")
            client.ask(0, *jpegs[0])
            client.say({"type": "record", "on": True})
            id_ = client.hear("recording")["id"]
            for number, (time_s, jpeg) in enumerate(jpegs[1:], start=1):
                client.ask(number, time_s, jpeg)
                time.sleep(0.02)
            assert client.news[0]["status"] == "finishing", "it has ended by itself"
            client.kill()
        eventually(lambda: server.room.recordings.path(id_, "summary.json"), "it is finished")
        assert json.loads(server.room.recordings.path(id_, "summary.json").read_text())["frames"] < len(jpegs)
        eventually(lambda: server.room.recordings.path(id_, "summary.json") is None, "it is forgotten")
        eventually(lambda: not any(server.service.scratch.path.iterdir()), "nothing is left of it")


def test_a_socket_that_closes_finishes_its_recording(live_server, jpegs):
    with live_server.client() as client:
        client.hear("ready")
        client.say({"type": "record", "on": True})
        id_ = client.hear("recording")["id"]
        for number, frame in enumerate(jpegs[:8]):
            client.ask(number, *frame)
    recordings = live_server.room.recordings
    eventually(lambda: recordings.path(id_, "annotated.mp4"), "it is finished")
    recordings.forget(id_)


def test_a_recording_that_cannot_be_written_is_told_and_the_session_goes_on(live_server, jpegs, monkeypatch):
    monkeypatch.setattr(live_server.service.scratch, "free_bytes", lambda: 0)
    with live_server.client() as client:
        client.hear("ready")
        client.say({"type": "record", "on": True})
        said = client.hear("recording")
        assert said["status"] == "failed"
        assert "disk is almost full" in said["error"]
        assert client.ask(0, *jpegs[0])["frame"] == 0


def test_a_model_that_fails_ends_the_session_with_a_sentence(live_server, jpegs, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("a secret of the server")

    with live_server.client() as client:
        client.hear("ready")
        monkeypatch.setattr(seat_module, "result_message", fail)
        client.push(0, *jpegs[0])
        said, code = client.end()
    assert (said["type"], code) == ("error", 1011)
    assert said["error"] == "the server has made a mistake; its log says more"
    eventually(lambda: live_server.room.inside == 0, "the place is free")


def _ended():
    """A server may close while something is sent or read."""
    return contextlib.suppress(ConnectionClosed, OSError)
