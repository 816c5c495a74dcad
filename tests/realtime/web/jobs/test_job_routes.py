import time

import numpy as np
import pytest
from starlette.testclient import TestClient
from stgt.realtime.web.app import create_app
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.service import Service


@pytest.fixture(scope="module")
def service(reader, tmp_path_factory):
    service = Service(reader, Limits(waiting_jobs=2), "pretrained", temporary=tmp_path_factory.mktemp("service"))
    yield service
    service.close()


@pytest.fixture(scope="module")
def client(service):
    return TestClient(create_app(service), base_url="http://127.0.0.1")


def send(client, content: bytes, name: str = "clip.mp4", **fields):
    return client.post("/api/predict", files={"file": (name, content)}, data=fields)


def finished(client, job: dict) -> dict:
    end_s = time.monotonic() + 60
    while job["status"] not in ("done", "failed"):
        assert time.monotonic() < end_s, job
        time.sleep(0.02)
        job = client.get(f"/api/jobs/{job['id']}").json()
    return job


@pytest.fixture(scope="module")
def read_clip(client, clip) -> dict:
    answer = send(client, clip, "C:\\films\\my smile.mp4", faces=1, neutral="0-0.3")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    job = finished(client, answer.json())
    assert (job["status"], job["kind"], job["name"], job["error"]) == ("done", "video", "my smile.mp4", None)
    assert job["progress"] == {"done": 24, "expected": 24, "share": 1.0, "remaining_s": 0.0}
    return job


def test_results_of_a_video(client, read_clip, reader):
    path = f"/api/jobs/{read_clip['id']}"
    result = client.get(f"{path}/result")
    assert result.headers["content-type"] == "application/json"
    (person,) = result.json()["people"]
    assert result.json()["kind"] == "video"
    assert len(person["boxes"]) == 24
    table = client.get(f"{path}/predictions.csv")
    assert table.text.startswith("source,start_s,end_s,face,label,confidence,valid_share,p_")
    assert "my%20smile.predictions.csv" in table.headers["content-disposition"]
    assert len(client.get(f"{path}/predictions.json").json()) == len(person["windows"])
    mesh = np.frombuffer(client.get(f"{path}/mesh/0").content, "<i2").reshape(24, len(reader.layout), 2)
    box = person["boxes"][5]
    assert (mesh[5] / 2 >= np.array(box[:2]) - 0.5).all()
    assert (mesh[5] / 2 <= np.array(box[2:]) + 0.5).all()
    assert client.get(f"{path}/mesh/1").status_code == 404
    assert client.get(f"{path}/mesh/-1").status_code == 422


def test_the_annotated_video_comes_in_parts(client, read_clip):
    path = f"/api/jobs/{read_clip['id']}"
    assert client.get(f"{path}/annotated.mp4").status_code == 404
    answer = client.post(f"{path}/video")
    assert (answer.status_code, answer.json()["stage"]) == (202, "drawing")
    assert client.get(f"{path}/result").status_code == 200  # meanwhile, too
    assert finished(client, answer.json())["has_video"]
    whole = client.get(f"{path}/annotated.mp4")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert whole.content[4:8] == b"ftyp"

    def part(asked: str):
        return client.get(f"{path}/annotated.mp4", headers={"Range": asked})

    size = len(whole.content)
    assert (part("bytes=10-19").status_code, part("bytes=10-19").content) == (206, whole.content[10:20])
    assert part("bytes=10-19").headers["content-range"] == f"bytes 10-19/{size}"
    assert part(f"bytes={size - 5}-").content == part("bytes=-5").content == whole.content[-5:]
    beyond = part(f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert set(beyond.json()) == {"error"}
    for odd in ("bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-", f"bytes={'9' * 400}-"):
        assert (part(odd).status_code, part(odd).content) == (200, whole.content)


def test_a_photo(client, face_frames, encode_jpeg):
    job = finished(client, send(client, encode_jpeg(face_frames[-1][1]), "me.jpg").json())
    assert (job["status"], job["kind"]) == ("done", "photo")
    path = f"/api/jobs/{job['id']}"
    (person,) = client.get(f"{path}/result").json()["people"]
    assert sum(person["probabilities"]) == pytest.approx(1)
    assert client.post(f"{path}/video").status_code == 409
    assert client.get(f"{path}/mesh/0").status_code == 404


def test_failures_are_told_in_one_sentence(client):
    job = finished(client, send(client, b"#EXTM3U\nhttp://127.0.0.1:1/x.ts\n", "../../etc/passwd").json())
    assert (job["status"], job["name"], job["kind"]) == ("failed", "passwd", None)
    assert job["error"].startswith("the file is neither a photo nor a video")
    for part in ("result", "predictions.csv", "predictions.json", "mesh/0"):
        answer = client.get(f"/api/jobs/{job['id']}/{part}")
        assert (answer.status_code, answer.json()) == (409, {"error": job["error"]})
    assert client.post(f"/api/jobs/{job['id']}/video").status_code == 409


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"faces": "0"}, "faces"),
        ({"faces": "5"}, "faces"),
        ({"faces": "two"}, "faces"),
        ({"faces": "1" * 900}, "faces"),
        ({"neutral": "2-1"}, "neutral"),
        ({"neutral": "now"}, "neutral"),
        ({"neutral": ""}, "neutral"),
        ({"neutral": "1.-2"}, "neutral"),
        ({"faces": ""}, "faces"),
    ],
)
def test_options_that_make_no_sense(client, service, clip, fields, word):
    before = list(service.scratch.path.iterdir())
    answer = send(client, clip, **fields)
    assert answer.status_code == 422
    assert word in answer.json()["error"]
    assert list(service.scratch.path.iterdir()) == before


def test_unknown_jobs(client):
    results = ("/result", "/predictions.csv", "/predictions.json", "/mesh/0", "/annotated.mp4")
    for method, part in [
        *(("GET", part) for part in ("", *results)),
        ("DELETE", ""),
        ("POST", "/video"),
    ]:
        answer = client.request(method, f"/api/jobs/%2e%2e%00{part}")
        assert answer.status_code == 404
        assert set(answer.json()) == {"error"}


def test_cancelling_and_a_full_line(client, clip, long_clip):
    running = send(client, long_clip).json()
    end_s = time.monotonic() + 30
    while client.get(f"/api/jobs/{running['id']}").json()["status"] == "waiting":
        assert time.monotonic() < end_s
    waiting = [send(client, clip).json() for _ in range(2)]
    assert [job["ahead"] for job in waiting] == [1, 2]
    assert client.get(f"/api/jobs/{waiting[0]['id']}/result").status_code == 409
    full = send(client, clip)
    assert (full.status_code, full.headers["retry-after"]) == (503, "5")
    assert "waiting" in full.json()["error"]
    for job in (running, *waiting):
        assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
        assert client.get(f"/api/jobs/{job['id']}").status_code == 404
    assert finished(client, send(client, clip).json())["status"] == "done"


def test_the_schema_says_what_the_routes_do(client):
    schema = client.get("/openapi.json").json()
    paths = schema["paths"]
    assert set(paths["/api/predict"]["post"]["responses"]) >= {"202", "400", "408", "413", "415", "422", "503", "507"}
    form = paths["/api/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    result = paths["/api/jobs/{job_id}/result"]["get"]["responses"]
    assert {"200", "404", "409"} <= set(result)
    assert len(result["200"]["content"]["application/json"]["schema"]["anyOf"]) == 2
    video = paths["/api/jobs/{job_id}/annotated.mp4"]["get"]["responses"]
    assert set(video["200"]["content"]) == {"video/mp4"}
    assert {"206", "416"} <= set(video)
