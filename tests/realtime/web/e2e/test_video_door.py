"""The video door, in Chromium: from a file to what was read in it."""

import base64
import csv
import json
import re

import av
import pytest

from stgt.inference import ExpressionReader

pytest.importorskip("playwright")
from playwright.sync_api import expect


@pytest.fixture
def video_door(open_page):
    return open_page("#video")


@pytest.fixture(scope="module")
def reading(short_video):
    """What the library says of the file that is uploaded."""
    return ExpressionReader().read(short_video)


def job_of(page) -> str:
    """Id of the job whose address the page asked for last."""
    addresses = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    found = [match[1] for address in addresses if (match := re.search(r"/api/jobs/([\w-]+)", address))]
    return found[-1] if found else ""


def test_a_cancelled_upload_is_forgotten(video_door, by_test, long_video, web_server, eventually):
    kept = web_server.open_but_removed()  # of videos that other tests sent
    by_test(video_door, "video-input").set_input_files(long_video)
    progress = by_test(video_door, "video-progress")
    expect(progress).to_be_visible()
    video_door.wait_for_function(
        """() => { const bar = document.querySelector('[data-test="video-progress"]');
                   const value = bar.value ?? Number(bar.getAttribute('aria-valuenow')); return value > 0; }"""
    )
    expect(by_test(video_door, "video-remaining")).to_have_text(re.compile(r"\d|moment|second|minute"))
    job = eventually(lambda: job_of(video_door), "the page asks for its job")
    assert web_server.get(f"/api/jobs/{job}")["status"] == "running"
    assert web_server.open_but_removed() >= kept + long_video.stat().st_size
    by_test(video_door, "video-cancel").click()
    expect(progress).to_be_hidden()
    eventually(lambda: web_server.ask("GET", f"/api/jobs/{job}").status == 404, "the server forgets the job")
    eventually(lambda: web_server.open_but_removed() <= kept, "the uploaded file is gone")
    eventually(lambda: not web_server.children(), "nothing is decoded any more")
    expect(by_test(video_door, "video-input")).to_be_enabled()


def test_what_is_shown_is_what_the_library_says(
    video_door, by_test, short_video, reading, download, tmp_path, web_server
):
    by_test(video_door, "video-input").set_input_files(short_video)
    person = by_test(video_door, "video-person")
    expect(person).to_have_count(1)
    labels = list(reading.labels)
    probabilities = reading.clip_probabilities
    expect(person).to_have_attribute("data-label", labels[probabilities.argmax()])
    assert f"{probabilities.max():.0%}"[:-1] in person.inner_text()

    # The player stands where the timeline was clicked.
    where = "() => document.querySelector('[data-test=\"video-player\"]').currentTime"
    timeline = by_test(video_door, "video-timeline")
    box = timeline.bounding_box()
    for share in (0.75, 0.25):
        timeline.click(position={"x": box["width"] * share, "y": box["height"] / 2})
        video_door.wait_for_function(
            "share => { const p = document.querySelector('[data-test=\"video-player\"]');"
            " return Math.abs(p.currentTime - share * p.duration) < 0.5 && !p.seeking; }",
            arg=share,
        )
    assert 0.5 < video_door.evaluate(where) < 1.5
    drawn = by_test(video_door, "video-canvas").evaluate(
        """canvas => { const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                       let inked = 0; for (let i = 3; i < data.length; i += 4) inked += data[i] > 0; return inked; }"""
    )
    assert drawn > 100

    # Where nobody was seen, nothing is said, although windows reach over the gap.
    end_s = float(timeline.get_attribute("aria-valuemax"))
    for time_s, seen in ((1.3, True), (1.7, False), (2.3, False), (2.7, True)):
        timeline.click(position={"x": box["width"] * time_s / end_s, "y": box["height"] / 2})
        expect(timeline).to_have_attribute(
            "aria-valuetext", re.compile(rf"^{time_s} s, " + (r"\w+ \d\.\d\d" if seen else "nothing read"))
        )
        expect(video_door.locator(".person-now .shown")).to_have_text(re.compile(r"\d %" if seen else "out of sight"))

    table = download(video_door, by_test(video_door, "video-csv"), tmp_path)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == len(reading)
    for row, prediction in zip(rows, reading, strict=True):
        assert row["label"] == prediction.label
        assert float(row["start_s"]) == pytest.approx(prediction.start_s, abs=1e-3)
        if row["label"] in labels:
            said = [float(row[f"p_{label}"]) for label in labels]
            assert said == pytest.approx(list(prediction.probabilities), abs=1e-4)
    listed = json.loads(download(video_door, by_test(video_door, "video-json"), tmp_path).read_text())
    assert [row["label"] for row in listed] == [prediction.label for prediction in reading]

    link = by_test(video_door, "video-annotated")
    with video_door.expect_download(timeout=60_000) as saved:
        link.click()
    path = tmp_path / "annotated.mp4"
    saved.value.save_as(path)
    with av.open(str(path)) as annotated, av.open(str(short_video)) as original:
        assert sum(1 for _ in annotated.decode(video=0)) == sum(1 for _ in original.decode(video=0))


def test_a_file_that_is_no_video_is_told_in_words(video_door, by_test, tmp_path):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear Sir or Madam")
    by_test(video_door, "video-input").set_input_files(path)
    error = by_test(video_door, "video-error")
    expect(error).to_be_visible()
    expect(error).to_have_text(re.compile(r"letter|video|file"))
    expect(by_test(video_door, "video-input")).to_be_enabled()


def test_several_people_have_a_timeline_each(video_door, by_test, two_people_video):
    people = by_test(video_door, "video-people")
    if people.evaluate("element => element.tagName") == "SELECT":
        people.select_option("2")
    else:
        people.fill("2")
    by_test(video_door, "video-input").set_input_files(two_people_video)
    expect(by_test(video_door, "video-person")).to_have_count(2)
    expect(by_test(video_door, "video-timeline")).to_have_count(2)


def test_a_dropped_file_is_read_too(video_door, by_test, rendered_face_clip):
    transfer = video_door.evaluate_handle(
        """bytes => { const transfer = new DataTransfer();
             transfer.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], 'dropped.mp4',
                                {type: 'video/mp4'})); return transfer; }""",
        base64.b64encode(rendered_face_clip.read_bytes()).decode(),
    )
    drop = by_test(video_door, "video-drop")
    for event in ("dragenter", "dragover", "drop"):
        drop.dispatch_event(event, {"dataTransfer": transfer})
    expect(by_test(video_door, "video-person")).to_have_count(1)
