import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from stgt.realtime.live import main
from stgt.realtime.painting.overlay import Overlay
from stgt.realtime.program import Program
from stgt.realtime.recording.description import RecordingInfo
from stgt.realtime.recording.recorder import Recorder
from stgt.realtime.recording.recordings import Recordings
from stgt.realtime.recording.records import read_records
from stgt.realtime.recording.replay import replay
from stgt.realtime.recording.track_store import load_tracks
from stgt.realtime.session import LiveSession

from stgt.errors import SourceError, StgtError
from stgt.faces.extract import extract
from stgt.faces.tracks import LandmarkTrack
from stgt.faces.video import open_source


def info_of(session) -> RecordingInfo:
    return RecordingInfo.of(session.reader, session.source)


@pytest.fixture(scope="module")
def session_frames(action_reader, landmarker, rendered_face_clip):
    with LiveSession(action_reader, rendered_face_clip, every_s=0.125, landmarker=landmarker) as session:
        return info_of(session), list(session)


def recorded(path, info, frames, videos="both", **settings) -> Recorder:
    with Recorder(path, info, videos, **settings) as recorder:
        for live in frames:
            recorder.write(live, live.rgb[:, ::-1] if recorder.needs_picture else None)
    return recorder


def video_times(path) -> list[float]:
    with open_source(path) as frames:
        return [time_s for time_s, _ in frames]


def test_a_folder_holds_all_that_was_seen_and_said(session_frames, action_reader, rendered_face_clip, tmp_path):
    info, frames = session_frames
    recorded(tmp_path, info, frames)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("recording.json", "video.mp4", "annotated.mp4", "predictions.jsonl", "predictions.csv"),
        *("summary.json", "summary.png", "tracks"),
    }
    times = [live.timestamp_s for live in frames]
    for name in ("video.mp4", "annotated.mp4"):
        assert video_times(tmp_path / name) == pytest.approx(times, abs=1e-3)
    records = list(read_records(tmp_path / "predictions.jsonl"))
    new = [live for live in frames if live.faces and live.faces[0].is_new]
    assert [record["time_s"] for record in records] == [live.timestamp_s for live in new]
    for record, live in zip(records, new, strict=True):
        assert record["face"] == 0
        assert record["wall_s"] == pytest.approx(live.wall_s, abs=1e-3)
        raw = list(record["raw_probabilities"].values())
        np.testing.assert_allclose(raw, live.faces[0].prediction.probabilities, atol=1e-8)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(records)
    assert float(rows[-1]["p_happiness"]) == records[-1]["probabilities"]["happiness"]
    assert rows[0]["p_happiness"] == "", "not known while warming up"
    assert float(rows[0]["raw_happiness"]) == records[0]["raw_probabilities"]["happiness"]
    track = LandmarkTrack.load(tmp_path / "tracks" / "face-0.safetensors")
    original, _ = extract(rendered_face_clip)
    np.testing.assert_array_equal(track.points, original.points)
    np.testing.assert_array_equal(track.times, original.times)
    assert track.image_size == original.image_size


def test_the_summary_adds_up(session_frames, tmp_path):
    info, frames = session_frames
    recorded(tmp_path, info, frames, "none")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames"] == len(frames)
    assert summary["duration_s"] == pytest.approx(frames[-1].timestamp_s, abs=1e-3)
    [face] = summary["faces"].values()
    assert sum(face["seconds"].values()) == pytest.approx(summary["duration_s"], abs=0.01)
    expected = {}
    for live, later in pairwise(frames):
        said = live.faces[0].label if np.isfinite(live.faces[0].confidence) else live.faces[0].state.value
        expected[said] = expected.get(said, 0.0) + later.timestamp_s - live.timestamp_s
    for name, seconds in expected.items():
        assert face["seconds"][name] == pytest.approx(seconds, abs=0.01)
    assert (tmp_path / "summary.png").stat().st_size > 5000


def test_who_leaves_is_written_and_does_not_count(session_frames, tmp_path):
    info, frames = session_frames
    step_s = frames[1].timestamp_s
    alone = [replace(live, faces=()) for live in frames[:8]]
    later = [replace(live, timestamp_s=live.timestamp_s + 1.5 + step_s) for live in alone]
    recorded(tmp_path, info, [*frames, *later], "none")
    last = list(read_records(tmp_path / "predictions.jsonl"))[-1]
    assert (last["state"], last["face"], last["start_s"]) == ("no face", 0, None)
    [face] = json.loads((tmp_path / "summary.json").read_text())["faces"].values()
    assert sum(face["seconds"].values()) == pytest.approx(1.5 + step_s, abs=0.07)


@pytest.mark.parametrize("model", ["action_reader", "pixel_reader"])
def test_replay_makes_the_same_predictions(
    model, request, landmarker, made_source, face_frames, empty_frames, tmp_path
):
    """With someone who comes, leaves and comes back, and a live source that gives more than there is time for."""
    reader = request.getfixturevalue(model)
    step_s = face_frames[1][0]
    shown = [*empty_frames[:6], *face_frames, *empty_frames, *empty_frames[:10], *face_frames]
    shown = [(index * step_s, rgb) for index, (_, rgb) in enumerate(shown)]
    source = made_source(shown, wait_s=0.03)
    with LiveSession(reader, source, every_s=0.0, newest_only=True, landmarker=landmarker) as session:
        with Recorder(tmp_path / "r", info_of(session), "none") as recorder:
            for live in session:
                recorder.write(live)
                time.sleep(0.09)
        assert live.dropped > 10
    result = replay(tmp_path / "r", reader)
    assert result.predictions == result.agreeing > 8
    assert result.most <= 1e-6
    assert "agree to 1e-06" in str(result)


def test_a_recording_that_begins_later_knows_what_was_neutral(action_reader, session_frames, tmp_path):
    info, frames = session_frames
    recorded(tmp_path, info, frames[8:], "none")
    result = replay(tmp_path, action_reader)
    assert result.begun_before >= 4
    assert result.predictions == result.agreeing >= 2
    for path in (tmp_path / "tracks").glob("*.neutral"):
        path.unlink()
    assert replay(tmp_path, action_reader).agreeing < result.predictions, "it was read against something else before"


def test_replay_of_a_calibrated_session(action_reader, landmarker, made_source, face_frames, tmp_path):
    source = made_source(face_frames)
    with (
        LiveSession(action_reader, source, every_s=0.0, landmarker=landmarker) as session,
        Recorder(tmp_path, info_of(session), "none") as recorder,
    ):
        for live in session:
            recorder.write(live)
            if live.index == 2:
                session.calibrate_neutral(seconds=0.5)
                recorder.note("neutral", time_s=live.timestamp_s, seconds=0.5)
    result = replay(tmp_path, action_reader)
    assert result.predictions == result.agreeing == len(face_frames)


def test_replay_sees_what_was_changed(session_frames, action_reader, reader, tmp_path):
    info, frames = session_frames
    recorded(tmp_path, info, frames, "none")
    path = tmp_path / "predictions.jsonl"
    records = list(read_records(path))
    records[-1]["raw_probabilities"]["happiness"] += 1e-4
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    result = replay(tmp_path, action_reader)
    assert result.agreeing == result.predictions - 1
    assert result.most == pytest.approx(1e-4, rel=0.05)
    other = replay(tmp_path, reader, checkpoint_sha256="0")
    assert other.agreeing < result.agreeing, "another model"
    description = json.loads((tmp_path / "recording.json").read_text())
    (tmp_path / "recording.json").write_text(json.dumps(description | {"labels": ["x"]}))
    with pytest.raises(SourceError, match="--checkpoint"):
        replay(tmp_path, action_reader)
    (tmp_path / "recording.json").write_text(json.dumps(description | {"format_version": 99}))
    with pytest.raises(SourceError, match="format version 99"):
        replay(tmp_path, action_reader)


def test_a_killed_recording_can_be_used(session_frames, action_reader, tmp_path):
    """Nothing is closed here: what is on disk is what a power cut leaves."""
    info, frames = session_frames
    recorder = Recorder(tmp_path / "running", info, "none")
    for live in frames:
        recorder.write(live)
    shutil.copytree(tmp_path / "running", tmp_path / "killed")
    recorder.close()
    with (tmp_path / "killed" / "predictions.jsonl").open("ab") as file:
        file.write(b'{"wall_s": 17')
    with (tmp_path / "killed" / "tracks" / "face-0.frames").open("ab") as file:
        file.write(b"half a frame")
    result = replay(tmp_path / "killed", action_reader)
    assert result.predictions == result.agreeing >= 5
    whole = load_tracks(tmp_path / "running" / "tracks", info.image_size, info.source)
    cut = load_tracks(tmp_path / "killed" / "tracks", info.image_size, info.source)
    np.testing.assert_array_equal(whole[0][0].points, cut[0][0].points)


FULL_DISK = """
import resource, sys
import numpy as np
from stgt.config import WindowConfig
from stgt.realtime.frames import LiveFrame
from stgt.realtime.recording.recorder import Recorder
from stgt.realtime.recording.description import RecordingInfo
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
info = RecordingInfo("made", ("a", "b"), WindowConfig(), 20.0, (160, 120))
noise = np.random.default_rng(0)
recorder = Recorder(sys.argv[1], info, "both", say=lambda sentence: print(sentence))
for index in range(150):
    rgb = noise.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    recorder.write(LiveFrame(index / 20, 0.0, index, rgb, (), ("a", "b"), 20.0, 0.01, 0), rgb)
recorder.close()
print("went on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on the size of files stands for the full disk")
def test_a_full_disk_ends_the_recording_with_one_sentence_and_what_was_written_plays(tmp_path):
    folder = tmp_path / "full"
    ran = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert len(said) == 2
    assert "has stopped" in said[0]
    assert "can be played" in said[0]
    for name in ("video.mp4", "annotated.mp4"):
        times = video_times(folder / name)
        assert 20 < len(times) < 150
        assert times == pytest.approx(np.arange(len(times)) / 20, abs=1e-3)
    assert json.loads((folder / "summary.json").read_text())["frames"] > 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_line_that_does_not_fit_is_not_half_written(session_frames, tmp_path):
    info, frames = session_frames
    sentences = []
    recorder = Recorder(tmp_path, info, "none", say=sentences.append)
    os.close(recorder._records._handle)
    recorder._records._handle = os.open("/dev/full", os.O_WRONLY)
    for live in frames:
        recorder.write(live)
    recorder.close()
    assert len(sentences) == 1
    assert "No space left" in sentences[0]
    assert not recorder.is_open


def test_a_folder_with_something_in_it_is_left_alone(session_frames, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StgtError, match="something already"):
        Recorder(tmp_path, session_frames[0])
    with pytest.raises(StgtError, match="mp4"):
        Recorder(tmp_path / "film.avi", session_frames[0])


def test_an_annotated_video_alone_and_changing_layouts(session_frames, tmp_path):
    info, frames = session_frames
    path = tmp_path / "seen.mp4"
    with Recorder(path, info) as recorder:
        for index, live in enumerate(frames):
            recorder.write(live, np.zeros((320, 320 if index < 10 else 500, 3), np.uint8))
    with open_source(path) as video:
        assert video.image_size == (320, 320)
        assert len(list(video)) == len(frames)
    assert [entry.name for entry in tmp_path.iterdir()] == ["seen.mp4"]


def test_recordings_begin_and_end_as_one_likes(session_frames, tmp_path):
    info, frames = session_frames
    with Recordings(info, tmp_path / "session", "none") as recordings:
        names = []
        for live in frames:
            if live.index in (2, 12):
                names.append(recordings.start().name)
            if live.index in (8, 20):
                recordings.stop()
                assert recordings.current is None
            recordings.write(live, None)
    assert names == ["session", "session-2"]
    counts = [json.loads((tmp_path / name / "summary.json").read_text())["frames"] for name in names]
    assert counts == [6, 8]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_finish_the_recording(name, rendered_face_clip, checkpoint, tmp_path, monkeypatch, capsys):
    take = Program.take

    def interrupted(program, frame):
        going_on = take(program, frame)
        if frame.index == 15:
            signal.raise_signal(getattr(signal, name))
        return going_on

    monkeypatch.setattr(Program, "take", interrupted)
    folder = tmp_path / "recording"
    arguments = ["--source", rendered_face_clip, "--checkpoint", checkpoint, "--headless", "--engine", "torch"]
    arguments += ["--every", 0, "--as-fast-as-possible", "--record", folder, "--video", "both"]
    main([str(argument) for argument in arguments])
    assert "16 frames, 1 face, 16 predictions" in capsys.readouterr().err
    for video in ("video.mp4", "annotated.mp4"):
        assert len(video_times(folder / video)) == 16
    assert json.loads((folder / "recording.json").read_text())["finished"]
    assert (folder / "summary.png").exists()
    assert main(["--replay", str(folder), "--engine", "torch"]) == 0
    assert "16 of 16 predictions" in capsys.readouterr().out


KILLED = """
import os, sys, time
import numpy as np
from stgt.realtime.recording.lasting_video import VideoRecorder
noise = np.random.default_rng(0)
video = VideoRecorder(sys.argv[1], 20, (160, 120))
for index in range(140):
    video.write(noise.integers(0, 255, (120, 160, 3), dtype=np.uint8), index / 20)
while not video._waiting.empty():
    time.sleep(0.05)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_video_outlives_the_process_that_was_killed(tmp_path):
    path = tmp_path / "video.mp4"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    times = video_times(path)
    assert len(times) >= 60
    assert times == pytest.approx(np.arange(len(times)) / 20, abs=1e-3)


def test_the_program_records_what_is_painted_without_its_hints(reader, landmarker, made_source, face_frames, tmp_path):
    class Screen:
        def __init__(self):
            self.shown = []

        def show(self, rgb):
            self.shown.append(rgb.copy())

        def key(self, wait_ms=1):
            return ""

    screen = Screen()
    source = made_source(face_frames)
    with LiveSession(reader, source, landmarker=landmarker) as session:
        overlay = Overlay(reader.labels, source.image_size, reader.layout)
        with Recordings(info_of(session), tmp_path / "seen.mp4") as recordings:
            recordings.start()
            Program(session, overlay, screen, recordings).run()
    with open_source(tmp_path / "seen.mp4") as video:
        recorded = [rgb for _, rgb in video]
    foot = slice(440, 470)  # where the keys are shown
    difference = np.abs(recorded[5][foot, :480].astype(int) - screen.shown[5][foot, :480].astype(int)).mean()
    assert difference > 10, "the window shows its keys, the recording does not"
    rest = slice(150, 400)
    assert np.abs(recorded[5][rest, 100:380].astype(int) - screen.shown[5][rest, 100:380].astype(int)).mean() < 6


def test_the_key_r_begins_and_ends_a_recording(session_frames, action_reader, tmp_path):
    class Screen:
        keys = iter(["", "", "r", "", "", "", "", "", "r", ""])

        def show(self, rgb):
            pass

        def key(self, wait_ms=1):
            return next(self.keys, "")

    info, frames = session_frames
    overlay = Overlay(action_reader.labels, info.image_size, action_reader.layout)
    with Recordings(info, tmp_path / "recording") as recordings:
        Program(frames, overlay, Screen(), recordings).run()
    summary = json.loads((tmp_path / "recording" / "summary.json").read_text())
    assert summary["frames"] == 5  # a look at the keys after each frame, and one more after a key
    assert summary["start_s"] == pytest.approx(frames[3].timestamp_s, abs=1e-3)
    assert len(video_times(tmp_path / "recording" / "annotated.mp4")) == 5
