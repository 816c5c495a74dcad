import json
import os
import signal
import threading
import time

import av
import cv2
import numpy as np
import psutil
import pytest
from stgt.realtime.web.jobs.progress import Progress
from stgt.realtime.web.jobs.queue import NotReady, QueueFull
from stgt.realtime.web.limits import Limits

from stgt.evaluation import readings as tables


def result_of(line, state) -> dict:
    assert state.status == "done", state.error
    return json.loads((line.folder(state.id) / "result.json").read_text())


def decoding_children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "decoding.child" in " ".join(child.cmdline())
    ]


def wait_until(condition, what: str) -> None:
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)


def test_one_person_is_read_as_predict_reads_them(line, clip, rendered_face_clip, reader, landmarker, tmp_path):
    state = line.read(clip, "Grandma's birthday.mp4")
    result = result_of(line, state)
    reading = reader.read(rendered_face_clip, landmarker=landmarker)
    (person,) = result["people"]
    assert result["name"] == "Grandma's birthday.mp4"
    assert result["labels"] == list(reader.labels)
    assert [window["probabilities"] for window in person["windows"]] == reading.probabilities.tolist()
    assert person["probabilities"] == reading.clip_probabilities.tolist()
    assert person["label"] == reading.label
    assert len(result["times"]) == len(person["boxes"]) == len(reading.track)
    assert sum(person["seconds"].values()) == pytest.approx(person["seen_s"], abs=1e-3)

    tables.write_csv(tmp_path / "predict.csv", reader.labels, reading)
    expected = (tmp_path / "predict.csv").read_text().replace(str(rendered_face_clip), "Grandma's birthday.mp4")
    assert (line.folder(state.id) / "predictions.csv").read_text() == expected

    mesh = np.frombuffer((line.folder(state.id) / "mesh-0.bin").read_bytes(), "<i2")
    mesh = mesh.reshape(len(reading.track), len(reader.layout), 2)
    assert np.abs(mesh / 2 - reading.track.points[:, reader.layout.landmarks, :2]).max() <= 0.25


def test_labels_count_only_while_the_person_is_in_sight(line, face_frames, encode_pictures):
    face = [rgb for _, rgb in face_frames[:16]]
    nobody = [np.full_like(face[0], 90)] * 24
    (person,) = result_of(line, line.read(encode_pictures(face + nobody + face)))["people"]
    assert person["last_s"] - person["first_s"] == pytest.approx(55 / 16, abs=0.01)
    assert person["seen_s"] == pytest.approx(31 / 16, abs=0.2)  # MediaPipe follows a face for a moment after it went
    assert sum(person["seconds"].values()) == pytest.approx(person["seen_s"], abs=1e-3)


def test_several_people_are_told_apart(line, two_people_clip, reader):
    state = line.read(two_people_clip, faces=3)
    result = result_of(line, state)
    left, right = sorted(result["people"], key=lambda person: person["boxes"][3][0])
    assert {person["face"] for person in result["people"]} == {0, 1}
    assert left["boxes"][3][2] < 320 < right["boxes"][3][0]
    assert state.notes == result["notes"] == ["someone was seen for less than 0.5 s and left out"]
    assert all(len(person["windows"]) > 0 for person in result["people"])
    rows = json.loads((line.folder(state.id) / "predictions.json").read_text())
    assert {row["face"] for row in rows} == {0, 1}

    line.jobs.draw(state.id)
    drawn = line.until(state.id, "done")
    assert drawn.has_video, drawn.error
    with av.open(str(line.folder(state.id) / "annotated.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        picture = next(container.decode(stream)).to_ndarray(format="rgb24")
        assert picture.shape[1] > 960  # the cards stand beside the picture
        assert sum(1 for _ in container.decode(stream)) == len(result["times"]) - 1


def test_the_annotated_video_of_one_person_is_that_of_predict(line, clip, rendered_face_clip, reader, tmp_path):
    from stgt.evaluation.annotation import write_annotated_video

    state = line.read(clip)
    assert line.jobs.draw(state.id).stage == "drawing"
    drawn = line.until(state.id, "done")
    assert (drawn.has_video, drawn.error) == (True, None)
    write_annotated_video(tmp_path / "predict.mp4", rendered_face_clip, reader.read(rendered_face_clip))
    expected = (tmp_path / "predict.mp4").read_bytes()
    assert (line.folder(state.id) / "annotated.mp4").read_bytes() == expected
    assert line.jobs.draw(state.id).status == "done"  # a second time nothing is done


def test_faces_of_a_photo_small_ones_too(line, face_frames, encode_jpeg, reader):
    face = face_frames[-1][1]
    small = cv2.resize(face, (160, 160), interpolation=cv2.INTER_AREA)
    photo = np.full((1200, 1600, 3), 110, np.uint8)
    photo[300:620, 100:420] = face
    photo[800:960, 1300:1460] = small[:, ::-1]
    state = line.read(encode_jpeg(photo), "party.jpg")
    result = result_of(line, state)
    assert (result["kind"], result["image_size"]) == ("photo", [1600, 1200])
    first, second = result["people"]
    assert (first["face"], second["face"]) == (0, 1)
    assert 100 < first["box"][0] < first["box"][2] < 420
    assert 1300 < second["box"][0] < second["box"][2] < 1460
    for person in (first, second):
        assert sum(person["probabilities"]) == pytest.approx(1)
        nodes = np.array(person["nodes"])
        assert nodes.shape == (len(reader.layout), 2)
        assert (nodes >= np.array(person["box"][:2]) - 0.2).all()
        assert (nodes <= np.array(person["box"][2:]) + 0.2).all()
    with pytest.raises(NotReady, match="photo"):
        line.jobs.draw(state.id)
    assert line.jobs.get(state.id).upload.file.closed  # nothing will be read from it again


def test_nobody_in_sight_is_no_error(line, encode_pictures, encode_jpeg):
    nobody = np.full((240, 320, 3), 90, np.uint8)
    photo = line.read(encode_jpeg(nobody))
    assert (photo.status, photo.notes) == ("done", ["no face was found"])
    assert result_of(line, photo)["people"] == []
    film = encode_pictures([nobody] * 8)
    for faces in (1, 2):
        video = line.read(film, faces=faces)
        assert "no face was found" in video.notes[0]
        assert result_of(line, video)["people"] == []
        assert len(result_of(line, video)["times"]) == 8
        with pytest.raises(NotReady, match="nobody"):
            line.jobs.draw(video.id)


def test_a_neutral_part_is_used(line, clip, rendered_face_clip, reader, landmarker):
    result = result_of(line, line.read(clip, neutral_s=(0.0, 0.3)))
    reading = reader.read(rendered_face_clip, landmarker=landmarker, neutral_s=(0.0, 0.3))
    (person,) = result["people"]
    assert [window["probabilities"] for window in person["windows"]] == reading.probabilities.tolist()
    state = line.read(clip, neutral_s=(50.0, 60.0))
    assert state.status == "failed"
    assert "shows no face from 50 to 60 s" in state.error


def test_what_cannot_be_read_fails_with_a_sentence_and_the_next_is_read(line, clip):
    failed = line.read(b"no video at all", "../../etc/passwd.mp4")
    assert failed.status == "failed"
    assert failed.error.startswith("the file is neither a photo nor a video")
    assert line.read(clip).status == "done"
    with pytest.raises(NotReady, match="neither"):
        line.jobs.draw(failed.id)


def test_cancelling_ends_all_at_once(line, long_clip, clip):
    running = line.submit(long_clip)
    wait_until(lambda: line.jobs.state(line.jobs.get(running.id)).progress.done > 3, "frames are read")
    folder = line.folder(running.id)
    waiting = line.submit(clip)
    assert (waiting.status, waiting.ahead) == ("waiting", 1)
    last = line.submit(clip)
    assert last.ahead == 2
    began_s = time.monotonic()
    line.jobs.cancel(waiting.id)
    line.jobs.cancel(running.id)
    wait_until(lambda: not folder.exists(), "the folder is gone")
    assert time.monotonic() - began_s < 2  # on a busy machine; 0.1 s on an idle one
    with pytest.raises(KeyError):
        line.jobs.get(running.id)
    with pytest.raises(KeyError):
        line.jobs.cancel(waiting.id)
    assert line.until(last.id).status == "done"
    assert not decoding_children()


def test_cancelling_while_the_video_is_drawn(line, face_frames, encode_pictures):
    state = line.read(encode_pictures([rgb for _, rgb in face_frames] * 3))
    folder = line.folder(state.id)
    line.jobs.draw(state.id)
    wait_until(lambda: line.jobs.state(line.jobs.get(state.id)).progress.done > 3, "frames are drawn")
    line.jobs.cancel(state.id)
    wait_until(lambda: not folder.exists(), "the folder is gone")


def test_a_killed_decoder_leaves_what_was_read(line, long_clip):
    state = line.submit(long_clip)
    wait_until(lambda: line.jobs.state(line.jobs.get(state.id)).progress.done > 3, "frames are read")
    (child,) = decoding_children()
    os.kill(child.pid, signal.SIGKILL)
    ended = line.until(state.id)
    assert ended.status == "done"
    assert "broke off" in ended.notes[0]
    assert 3 < len(result_of(line, ended)["times"]) < 192


def test_the_line_is_bounded(start_line, long_clip, clip):
    line = start_line(Limits(waiting_jobs=2))
    line.until(line.submit(long_clip).id, "running")
    line.submit(clip)
    line.submit(clip)
    upload = line.upload(clip)
    with pytest.raises(QueueFull):
        line.jobs.submit(upload)
    assert not upload.file.closed
    upload.close()


def test_finished_jobs_are_forgotten(start_line):
    line = start_line(Limits(kept_jobs=2))
    states = [line.read(b"no video") for _ in range(3)]
    with pytest.raises(KeyError):
        line.jobs.get(states[0].id)
    assert line.jobs.get(states[2].id).status == "failed"
    assert len(list(line.scratch.path.iterdir())) == 2

    soon = start_line(Limits(kept_s=0.2))
    state = soon.read(b"no video")
    time.sleep(0.25)
    with pytest.raises(KeyError):
        soon.jobs.get(state.id)
    assert not list(soon.scratch.path.iterdir())


def test_much_is_not_kept_for_long(start_line, clip):
    line = start_line(Limits(kept_bytes=100_000))
    first, second = line.read(clip), line.read(clip)
    with pytest.raises(KeyError):
        line.jobs.get(first.id)
    assert line.jobs.get(second.id).kept_bytes > len(clip)


def test_closing_ends_what_runs(start_line, long_clip):
    before = threading.active_count()
    line = start_line()
    state = line.submit(long_clip)
    wait_until(lambda: line.jobs.state(line.jobs.get(state.id)).progress.done > 3, "frames are read")
    began_s = time.monotonic()
    line.jobs.close()
    assert time.monotonic() - began_s < 3
    assert not line.left()
    assert not decoding_children()
    assert threading.active_count() == before


def test_progress_is_honest():
    now = [0.0]
    progress = Progress(lambda: now[0])
    assert (progress.remaining_s, progress.share) == (None, None)
    now[0] = 2.0  # opened
    for done in range(1, 101):
        now[0] += 0.1
        progress.count(done, 200)
    assert progress.remaining_s == pytest.approx(10.0, rel=0.05)
    assert progress.share == pytest.approx(12 / 22, rel=0.05)
    for done in range(101, 151):  # it becomes slower
        now[0] += 0.4
        progress.count(done, 200)
    assert progress.remaining_s == pytest.approx(20.0, rel=0.1)
    share = progress.share
    assert share >= 12 / 22 - 0.05
    progress.count(300, 200)  # the container lied
    assert progress.expected == 300
    progress.all_frames_are_done()
    progress.after_s = 1.0
    assert progress.remaining_s == 1.0
    assert progress.share >= share
