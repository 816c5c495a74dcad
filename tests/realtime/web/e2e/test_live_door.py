"""The live door, in Chromium, with a rendered face in front of the camera."""

import csv
import json
import re
from contextlib import ExitStack

import av
import pytest
from websockets.sync.client import connect

pytest.importorskip("playwright")
from playwright.sync_api import expect

#: How much of a canvas holds anything: all of it, where a picture was painted.
PAINTED = """canvas => {
  const context = canvas.getContext('2d'), data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let inked = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0) inked += 1;
  return {width: canvas.width, height: canvas.height, inked};
}"""


def results(page) -> int:
    return page.evaluate("window.stgtLive ? window.stgtLive.results : 0")


def wait_for_results(page, more: int = 5) -> None:
    page.wait_for_function("count => window.stgtLive && window.stgtLive.results >= count", arg=results(page) + more)


@pytest.fixture
def live(open_page, by_test):
    """The page with its camera on, and a person in it who is read; ``window.tracks`` are what the camera gave."""
    page = open_page("#live")
    page.evaluate(
        """() => { const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media); window.tracks = [];
             media.getUserMedia = async (wish) => {
               const stream = await ask(wish); window.tracks.push(...stream.getTracks()); return stream; }; }"""
    )
    by_test(page, "live-start").click()
    expect(by_test(page, "live-person").first).to_have_attribute("data-label", re.compile(r"\w+"))
    return page


def test_a_person_is_read_and_painted_and_stopping_ends_it(live, by_test, web_server, eventually):
    labels = web_server.get("/api/model")["labels"]
    person = by_test(live, "live-person")
    expect(person).to_have_count(1)
    expect(person).to_have_attribute("data-label", re.compile("|".join([*labels, "uncertain"])))
    assert person.inner_text().strip()
    wait_for_results(live)
    expect(by_test(live, "live-fps")).to_have_text(re.compile(r"\d"))
    expect(by_test(live, "live-latency")).to_have_text(re.compile(r"\d"))
    measured = live.evaluate("window.stgtLive.latenciesMs")
    assert len(measured) > 5
    assert all(0 < latency < 5000 for latency in measured)
    painted = by_test(live, "live-canvas").evaluate(PAINTED)
    assert painted["inked"] > 0.9 * painted["width"] * painted["height"]

    by_test(live, "live-stop").click()
    expect(by_test(live, "live-start")).to_be_visible()
    expect(by_test(live, "live-start")).to_be_enabled()
    assert live.evaluate("window.tracks.length > 0 && window.tracks.every(track => track.readyState === 'ended')")
    after = results(live)
    live.wait_for_timeout(400)
    assert results(live) == after
    eventually(lambda: free_places(web_server) == web_server.get("/api/model")["limits"]["live_sessions"], "it is left")


def free_places(server) -> int:
    """How many cameras find a place on the server at this moment."""
    hello = json.dumps({"type": "hello", "width": 320, "height": 320, "mesh": False})
    with ExitStack() as stack:
        said = []
        for _ in range(server.get("/api/model")["limits"]["live_sessions"]):
            connection = stack.enter_context(connect(f"ws://127.0.0.1:{server.port}/api/live", proxy=None))
            connection.send(hello)
            said.append(json.loads(connection.recv(20))["type"])
        return said.count("ready")


def test_the_mesh_is_painted_and_the_neutral_face_is_taken_when_asked_for(live, by_test):
    switch = by_test(live, "live-mesh")
    wait_for_results(live)
    edges = {switch.is_checked(): edges_in(live, by_test)}
    switch.click()
    wait_for_results(live, 8)
    edges[switch.is_checked()] = edges_in(live, by_test)
    assert edges[True] > 1.2 * edges[False]

    by_test(live, "live-neutral").click()
    status = by_test(live, "live-status")
    expect(status).to_have_text(re.compile("neutral", re.IGNORECASE))
    said = status.inner_text()
    expect(status).not_to_have_text(said)
    wait_for_results(live)


def edges_in(page, by_test) -> int:
    """How many neighbouring pixels in the middle of the picture differ much: a mesh over a rendered face adds many."""
    return by_test(page, "live-canvas").evaluate(
        """canvas => {
          const {width, height} = canvas, context = canvas.getContext('2d');
          const data = context.getImageData(width / 4, height / 6, width / 2, 0.7 * height).data;
          let edges = 0;
          for (let i = 4; i < data.length; i += 4) edges += Math.abs(data[i] - data[i - 4]) > 24 ? 1 : 0;
          return edges;
        }"""
    )


def test_a_recording_is_taken_home(live, by_test, download, tmp_path, web_server):
    record = by_test(live, "live-record")
    record.click()
    live.wait_for_timeout(1500)
    wait_for_results(live, 15)
    record.click()
    links = live.locator('[data-test^="live-download-"]')
    expect(links.first).to_be_visible()
    expect(links).to_have_count(4)
    files = {}
    for index in range(4):
        saved = download(live, links.nth(index), tmp_path)
        files[saved.suffix] = saved
    assert set(files) == {".mp4", ".csv", ".json", ".png"}
    with av.open(str(files[".mp4"])) as video:
        times = [frame.time for frame in video.decode(video=0)]
    assert len(times) > 2  # a busy machine paints what it has time for
    assert 1.0 < times[-1] - times[0] < 30
    rows = list(csv.DictReader(files[".csv"].read_text().splitlines()))
    labels = web_server.get("/api/model")["labels"]
    assert rows
    assert {f"p_{label}" for label in labels} <= rows[0].keys()
    assert any(row["label"] in labels for row in rows)
    assert json.loads(files[".json"].read_text())
    assert files[".png"].read_bytes().startswith(b"\x89PNG")


def test_no_camera_is_said_in_words(open_page, by_test):
    page = open_page("#live", permissions=[])
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia ="
        " () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError')); }"
    )
    by_test(page, "live-start").click()
    expect(by_test(page, "live-status")).to_have_text(re.compile("camera", re.IGNORECASE))
    expect(by_test(page, "live-start")).to_be_enabled()
