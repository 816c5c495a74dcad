import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from stgt.realtime import live
from stgt.realtime.interruption import finished_on_signals
from stgt.realtime.painting import screen
from stgt.realtime.painting.overlay import Overlay
from stgt.realtime.program import Program
from stgt.realtime.recording.records import read_records
from stgt.realtime.session import LiveSession

from stgt import predict
from stgt.command import run
from stgt.config import ModelConfig, WindowConfig
from stgt.errors import SourceError, StgtError
from stgt.faces.video import open_source
from stgt.models.checkpoint import save_checkpoint
from stgt.models.registry import create_model


def command(*arguments) -> list[str]:
    return [str(argument) for argument in arguments]


@pytest.fixture
def headless(rendered_face_clip, checkpoint):
    return command(
        *("--source", rendered_face_clip, "--checkpoint", checkpoint, "--device", "cpu", "--engine", "torch"),
        *("--headless", "--as-fast-as-possible"),
    )


def test_one_line_of_json_per_prediction_and_a_recording(headless, rendered_face_clip, reader, tmp_path, capsys):
    video = tmp_path / "seen.mp4"
    live.main([*headless, *command("--every", 0.25, "--json", "--record", video)])
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.splitlines()]
    assert [record["time_s"] for record in records] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert records[0]["state"] == "warming up"
    assert records[0]["label"] is None
    assert set(records[0]["probabilities"].values()) == {None}
    last = records[-1]
    assert last["state"] == "reading"
    assert last["label"] in last["probabilities"]
    assert last["confidence"] == pytest.approx(last["probabilities"][last["label"]], abs=1e-6)
    assert sum(last["probabilities"].values()) == pytest.approx(1.0, abs=1e-4)
    assert sum(last["raw_probabilities"].values()) == pytest.approx(1.0, abs=1e-4)
    assert last["end_s"] - last["start_s"] == pytest.approx(reader.window.duration_s)
    assert last["wall_s"] > records[0]["wall_s"] > 1.7e9
    assert "24 frames, 1 face, 6 predictions" in output.err
    with open_source(video) as frames, open_source(rendered_face_clip) as originals:
        pairs = list(zip(frames, originals, strict=True))
        assert frames.image_size == Overlay(reader.labels, originals.image_size, reader.layout).image_size
    assert [now for (now, _), _ in pairs] == pytest.approx([now for _, (now, _) in pairs], abs=1e-3)


def test_without_smoothing_it_says_what_stgt_predict_says(rendered_face_clip, tmp_path):
    """Every window of ``stgt predict`` ends at a frame here, at which the live program predicts too."""
    torch.manual_seed(1)
    window = WindowConfig(frames=9, frame_rate=16.0, hop_s=0.125)
    config = ModelConfig(streams="geometry,actions", width=16, blocks=2)
    model = create_model(config, 3, window)
    with torch.no_grad():
        model.head.weight *= 20
    checkpoint, table, folder = tmp_path / "model.safetensors", tmp_path / "table.json", tmp_path / "recording"
    save_checkpoint(
        checkpoint, model, labels=("a", "b", "c"), model_config=config, window=window, dataset="none", temperature=1.3
    )
    predict.main(command(rendered_face_clip, "--checkpoint", checkpoint, "--out", table))
    offline = json.loads(table.read_text())
    live.main(
        command(
            *("--source", rendered_face_clip, "--checkpoint", checkpoint, "--headless", "--as-fast-as-possible"),
            *("--every", 0.125, "--smoothing", 0, "--hysteresis", 0, "--record", folder, "--video", "none"),
        )
    )
    said = {round(record["start_s"], 4): record for record in read_records(folder / "predictions.jsonl")}
    assert len(offline) == 9
    for row in offline[:-1]:  # the last one is the end of the clip, between two predictions of the live program
        record = said[row["start_s"]]
        assert record["state"] == "reading"
        assert record["label"] == row["label"]
        assert record["end_s"] == pytest.approx(row["end_s"], abs=1e-4)
        for label in "abc":
            assert record["probabilities"][label] == pytest.approx(row[f"p_{label}"], abs=1e-5)
            assert record["raw_probabilities"][label] == pytest.approx(row[f"p_{label}"], abs=1e-5)
    spread = np.ptp([[row[f"p_{label}"] for label in "abc"] for row in offline], axis=0)
    assert spread.max() > 0.01, "windows that all look alike would show nothing"


def test_what_is_not_probable_enough_is_uncertain(headless, capsys):
    live.main([*headless, *command("--json", "--min-confidence", 1)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["state"], last["label"]) == ("uncertain", "uncertain")
    assert last["confidence"] == pytest.approx(max(last["probabilities"].values()), abs=1e-6)


def test_changes_of_the_label_are_printed_when_nothing_else_is(headless, capsys):
    live.main(headless)
    lines = capsys.readouterr().out.splitlines()
    assert "face 0  warming up" in lines[0]
    assert 2 <= len(lines) <= 6


@pytest.mark.parametrize("display", [None, ":9876"])
def test_without_a_display_it_goes_on_without_a_window(headless, display, monkeypatch, capsys):
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    headless.remove("--headless")
    live.main([*headless, "--json"])
    output = capsys.readouterr()
    assert "so there is no window" in output.err.splitlines()[0]
    assert len(output.out.splitlines()) > 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--source", "63"], "camera 63"),
        (["--source", "nothing.mp4"], "nothing.mp4"),
        (["--source", "-"], "--size"),
        (["--stride", "0"], "--stride"),
        (["--every", "-1"], "--every"),
        (["--faces", "0"], "--faces"),
        (["--min-confidence", "2"], "--min-confidence"),
        (["--frame-rate", "0"], "--frame-rate"),
        (["--smothing", "1"], "--smoothing"),
        (["--mesh", "wire"], "wire"),
        (["--record", "out.avi"], "out.avi"),
        (["--replay", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, checkpoint, capfd):
    with pytest.raises(SystemExit) as ended:
        run(live.main, [*command("--checkpoint", checkpoint, "--headless"), *arguments])
    assert ended.value.code == 2
    error = capfd.readouterr().err
    assert error.startswith("stgt: error: ")
    assert error.count("\n") == 1
    assert sentence in error


def test_a_recording_is_not_written_over(headless, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StgtError, match="something already"):
        live.main([*headless, *command("--record", tmp_path)])


def test_a_place_where_nothing_can_be_written_is_one_sentence(headless, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StgtError, match="choose another place"):
        live.main([*headless, *command("--record", tmp_path / "file" / "below")])


@dataclass
class Pressed:
    """A screen on which keys are pressed, one per look."""

    keys: list[str]

    def __post_init__(self):
        self.shown = []

    def show(self, rgb):
        self.shown.append(rgb)

    def key(self, wait_ms=1):
        return self.keys.pop(0) if self.keys else ""


@pytest.fixture
def program(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames)
    with LiveSession(reader, source, landmarker=landmarker) as session:
        yield Program(session, overlay=Overlay(reader.labels, source.image_size, reader.layout))


def test_keys_quit_pause_and_change_what_is_seen(program):
    painted = []
    paint = program.overlay.paint

    def remembering(frame):
        painted.append((frame.index, program.overlay.mesh.value, program.overlay.timelines.value))
        return paint(frame)

    program.overlay.paint = remembering
    # Frame 0: none; 1: m; 2: f; 3: p, and while it stands still m, f and h until p; 4: Esc, which a screen gives as q.
    program.screen = Pressed(["", "m", "", "f", "", "p", "m", "", "f", "h", "p", "", "q"])
    program.run()
    assert program.screen.keys == []
    assert list(dict.fromkeys(painted)) == [
        *((0, "mesh", "beside"), (1, "mesh", "beside"), (1, "graph", "beside"), (2, "graph", "beside")),
        *((2, "graph", "below"), (3, "graph", "below"), (3, "off", "below"), (3, "off", "off"), (4, "off", "off")),
    ]
    sizes = list(dict.fromkeys(picture.shape for picture in program.screen.shown))
    assert len(sizes) == 3


def test_the_session_stands_still_while_paused(program):
    calls = []
    program.session.pause = lambda: calls.append("pause")
    program.session.resume = lambda: calls.append("resume")
    program.session.calibrate_neutral = lambda seconds: calls.append(f"neutral {seconds}")
    program.screen = Pressed(["", "n", "p", "", "", "p", "", "q"])
    program.run()
    assert calls == ["neutral 1.5", "pause", "resume"]


class Impatient(Pressed):
    """Presses q a while after the first picture."""

    def show(self, rgb):
        if not self.shown:
            self.since_s = time.monotonic()
        super().show(rgb)

    def key(self, wait_ms=1):
        return "q" if self.shown and time.monotonic() - self.since_s > 0.2 else ""


def test_keys_are_obeyed_while_no_picture_comes(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames[:3], wait_s=1.0)
    with LiveSession(reader, source, landmarker=landmarker) as session:
        program = Program(session, overlay=Overlay(reader.labels, source.image_size, reader.layout))
        program.screen = Impatient([])
        frames = []
        take = program.take
        program.take = lambda live: frames.append(live.index) or take(live)
        program.run()
    assert frames == [0], "the next picture would have come a second after the first"


def test_termination_and_ctrl_c_interrupt_once(capsys):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        finished = False
        with finished_on_signals("stgt nothing"):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            signal.raise_signal(number)  # something is being finished now
            finished = True
        assert finished
    assert {number: signal.getsignal(number) for number in before} == before
    assert capsys.readouterr().err.startswith("stgt nothing: finishing")


def test_a_source_without_frames_is_said(capsys):
    Program(session=[]).run()
    assert "not one frame" in capsys.readouterr().err


def test_a_source_that_breaks_keeps_its_sentence(reader, landmarker, made_source, face_frames):
    source = made_source(face_frames[:2], error=SourceError("the cable was pulled"))
    with LiveSession(reader, source, landmarker=landmarker) as session, pytest.raises(SourceError, match="cable"):
        Program(session).run()


def test_a_reader_that_goes_away_ends_it_quietly_and_the_recording_is_kept(headless, tmp_path):
    video = tmp_path / "kept.mp4"
    arguments = [*headless, *command("--json", "--every", 0, "--record", video)]
    process = subprocess.Popen(
        [sys.executable, "-m", "stgt.realtime.live", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in error
    with open_source(video) as frames:
        assert 1 <= len(list(frames)) < 24
