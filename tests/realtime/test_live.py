import json
import signal

import pytest
from stgt.realtime import live, screen
from stgt.realtime.overlay import Overlay
from stgt.realtime.session import LiveSession

from stgt.command import run
from stgt.errors import SourceError, StgtError
from stgt.faces.drawing import VideoWriter
from stgt.faces.video import open_source


def command(*arguments) -> list[str]:
    return [str(argument) for argument in arguments]


def test_one_line_of_json_per_prediction_and_a_recording(rendered_face_clip, checkpoint, reader, tmp_path, capsys):
    video = tmp_path / "seen.mp4"
    live.main(
        command(
            *("--source", rendered_face_clip, "--checkpoint", checkpoint, "--device", "cpu", "--every", 0.25),
            *("--headless", "--json", "--as_fast_as_possible", "--record", video),
        )
    )
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.splitlines()]
    assert [record["time_s"] for record in records] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert records[0]["state"] == "warming up"
    assert records[0]["label"] is None
    assert set(records[0]["probabilities"].values()) == {None}
    last = records[-1]
    assert last["state"] == "reading"
    assert last["label"] == max(last["probabilities"], key=last["probabilities"].get)
    assert last["confidence"] == last["probabilities"][last["label"]]
    assert sum(last["probabilities"].values()) == pytest.approx(1.0, abs=1e-4)
    assert last["end_s"] - last["start_s"] == pytest.approx(reader.window.duration_s)
    assert "24 frames, 6 predictions" in output.err
    with open_source(video) as frames, open_source(rendered_face_clip) as originals:
        pairs = list(zip(frames, originals, strict=True))
        assert frames.image_size == Overlay(reader.labels, originals.image_size).image_size
    assert [now for (now, _), _ in pairs] == pytest.approx([now for _, (now, _) in pairs], abs=1e-3)


def test_what_is_not_probable_enough_is_uncertain(rendered_face_clip, checkpoint, capsys):
    arguments = ("--source", rendered_face_clip, "--checkpoint", checkpoint, "--headless", "--as_fast_as_possible")
    live.main(command(*arguments, "--json", "--min_confidence", "1"))
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["state"], last["label"]) == ("reading", "uncertain")
    assert last["confidence"] == max(last["probabilities"].values())
    with pytest.raises(StgtError, match="least confidence is 2.0"):
        live.main(command(*arguments, "--min_confidence", "2"))


def test_changes_of_the_label_are_printed_when_nothing_else_is(rendered_face_clip, checkpoint, capsys):
    arguments = ("--source", rendered_face_clip, "--checkpoint", checkpoint, "--headless", "--as_fast_as_possible")
    live.main(command(*arguments))
    lines = capsys.readouterr().out.splitlines()
    assert "warming up" in lines[0]
    assert 2 <= len(lines) <= 6


def test_a_machine_without_display_is_told_in_one_sentence(rendered_face_clip, checkpoint, monkeypatch, capsys):
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SystemExit) as ended:
        run(live.main, command("--source", rendered_face_clip, "--checkpoint", checkpoint))
    assert ended.value.code == 2
    assert "--headless" in capsys.readouterr().err


def test_a_display_that_does_not_answer_is_told_in_one_sentence(monkeypatch):
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":9876")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(StgtError, match="cannot open a window"):  # the toolkit itself would end this process
        screen.require_display()


def test_a_camera_that_is_not_there_is_one_sentence(checkpoint, capfd):
    with pytest.raises(SystemExit) as ended:
        run(live.main, command("--source", "63", "--checkpoint", checkpoint, "--headless"))
    assert ended.value.code == 2
    error = capfd.readouterr().err
    assert error.startswith("stgt: error: camera 63")
    assert error.count("\n") == 1


def test_a_recording_must_be_an_mp4(checkpoint):
    with pytest.raises(StgtError, match=r"ends so"):
        live.main(command("--checkpoint", checkpoint, "--headless", "--record", "out.avi"))


class FakeScreen:
    """Presses keys, one per look."""

    def __init__(self, keys):
        self.keys = list(keys)
        self.shown = []

    def show(self, rgb):
        self.shown.append(rgb)

    def key(self, wait_ms=1):
        return self.keys.pop(0) if self.keys else ""


@pytest.fixture
def program(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames)
    with LiveSession(reader, source, landmarker=landmarker) as session:
        yield live.Program(session, overlay=Overlay(reader.labels, source.image_size))


def test_keys_quit_pause_and_hide_the_mesh(program):
    times, meshes = [], []
    paint = program.overlay.paint

    def remembering(frame):
        times.append(frame.timestamp_s)
        meshes.append(program.overlay.show_mesh)
        return paint(frame)

    program.overlay.paint = remembering
    # Frame 0: "", 1: m (painted again), 2: "", 3: p, and while it stands still "" and m (painted again) until p; 4, 5.
    program.screen = FakeScreen(["", "m", "", "", "p", "", "m", "", "p", "", "q"])
    program.run()
    assert program.screen.keys == []
    assert [round(16 * time_s) for time_s in times] == [0, 1, 1, 2, 3, 3, 4, 5]
    assert meshes == [True, True, False, False, False, True, True, True]
    assert len(program.screen.shown) == 8


def test_ctrl_c_keeps_the_recording(program, tmp_path):
    path = tmp_path / "kept.mp4"
    session = program.session

    def interrupted():
        for index, frame in enumerate(session):
            if index == 10:
                raise KeyboardInterrupt
            yield frame

    program.session = interrupted()
    with VideoWriter(path, 16.0, program.overlay.image_size) as program.writer:
        program.run()
    with open_source(path) as video:
        assert len(list(video)) == 10


def test_termination_is_an_interruption():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), live.interrupted_by_termination():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_source_without_frames_is_said(capsys):
    live.Program(session=[]).run()
    assert "not one frame" in capsys.readouterr().err


def test_a_source_that_breaks_keeps_its_sentence(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames[:2], error=SourceError("the cable was pulled"))
    with LiveSession(reader, source, landmarker=landmarker) as session, pytest.raises(SourceError, match="cable"):
        live.Program(session).run()
