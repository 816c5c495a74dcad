"""Datasets on disk: documented layout, the same on any number of processes, resumable, never mixed."""

import csv
import dataclasses
import hashlib
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from stgt.errors import CheckpointError, DatasetError, MissingExtraError, StgtError
from stgt.faces.video import open_source
from stgt.synthesize import main
from stgt.synthetic.actions import LABELS
from stgt.synthetic.anny_data import ACTIONS
from stgt.synthetic.expressions import sample_expression
from stgt.synthetic.heads import generator, sample_identity
from stgt.synthetic.writing import SynthesisConfig, draw_curve, load_curve, synthesize

SMALL = {"subjects": 1, "takes": 1, "frames": 4, "size": 96}


def contents(folder):
    """What lies in a dataset's folder, by name: hashes of videos and tables, tensors of actions."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        if path.suffix in (".mp4", ".csv") and not path.name.startswith("."):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".safetensors" and not path.name.startswith("."):
            curve = load_curve(path)
            arrays = (curve.weights, curve.rotation, curve.translation, curve.times, curve.shown, curve.speaking)
            found[str(path.relative_to(folder))] = (curve.label, curve.apex, *(array.tobytes() for array in arrays))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory, head_data):
    """A small dataset, made by one process."""
    folder = tmp_path_factory.mktemp("made")
    calls = []
    result = synthesize(SynthesisConfig(out=str(folder), workers=1, **SMALL), lambda *count: calls.append(count))
    assert (result.clips, result.made) == (8, 8)
    assert calls[0] == (0, 8)
    assert calls[-1] == (8, 8)
    return folder


def test_the_layout_is_the_documented_one(made):
    rows = list(csv.DictReader((made / "labels.csv").open()))
    assert [row["label"] for row in rows] == list(LABELS)
    assert list(rows[0])[:5] == ["clip", "subject", "label", "frame_rate", "frames"]
    assert list(rows[0])[6:] == ["age", "gender", "ancestry", "intensity", "speaking"]
    assert {row["ancestry"] for row in rows} == {"african"}  # ancestries take turns, and this is the first subject
    for row in rows:
        assert row["clip"] == f"subject_000/{row['label']}_0.mp4"
        with open_source(made / "clips" / row["clip"]) as source:
            times, frames = zip(*source, strict=True)
        assert frames[0].shape == (96, 96, 3)
        assert np.allclose(times, np.arange(4) / 16, atol=1e-4)
        curve = load_curve(made / "actions" / row["clip"].replace(".mp4", ".safetensors"))
        assert (curve.label, curve.weights.shape, curve.rotation.shape) == (row["label"], (4, 52), (4, 3))
        assert float(row["intensity"]) == pytest.approx(curve.intensity, abs=1e-3)
        assert (curve.intensity == 0) == (row["label"] == "neutral")
        assert row["speaking"] == str(int(curve.speaking.any()))
    about = json.loads((made / "synthesis.json").read_text())
    assert about["settings"] == {
        **{"seed": 0, "frames": 4, "frame_rate": 16.0, "size": 96},
        **{"speech": 0.3, "least_intensity": 0.3},
    }
    assert about["versions"]["anny"]


def test_the_true_actions_are_those_of_the_seed(made, head_data):
    curve = load_curve(made / "actions" / "subject_000" / "happiness_0.safetensors")
    resting = sample_identity(0, 0, head_data.local_labels).resting
    expected = sample_expression("happiness", generator(0, "clip", 0, "happiness", 0), 4, 16.0, resting=resting)
    for name in ("weights", "translation", "shown", "speaking"):
        assert np.array_equal(getattr(curve, name), getattr(expected, name)), name
    assert curve.speaking.dtype == bool
    assert (curve.label, curve.apex, curve.intensity) == ("happiness", expected.apex, expected.intensity)
    assert len(ACTIONS) == curve.weights.shape[1]


def test_options_reach_the_clips(head_data):
    options = SynthesisConfig(speech=1.0, least_intensity=0.9, frames=16)
    identity = sample_identity(0, 0, head_data.local_labels)
    drawn = [draw_curve(options, identity, 0, "fear", take)[1] for take in range(8)]
    assert all(curve.speaking.any() for curve in drawn)
    assert min(curve.intensity for curve in drawn) >= 0.9


def test_two_processes_make_the_same_bytes_and_finished_clips_are_kept(made, tmp_path):
    config = SynthesisConfig(out=str(tmp_path / "two"), workers=2, **SMALL)
    synthesize(config)
    assert contents(tmp_path / "two") == contents(made)

    lost = tmp_path / "two" / "clips" / "subject_000" / "fear_0.mp4"
    lost.unlink()
    (tmp_path / "two" / "labels.csv").unlink()
    kept = tmp_path / "two" / "clips" / "subject_000" / "anger_0.mp4"
    before = kept.stat().st_mtime_ns
    assert synthesize(dataclasses.replace(config, workers=1)).made == 1
    assert contents(tmp_path / "two") == contents(made)
    assert kept.stat().st_mtime_ns == before


def test_a_killed_run_goes_on_to_the_same_result(made, tmp_path):
    command = [sys.executable, "-m", "stgt.synthesize", "--out", str(tmp_path / "killed"), "--workers", "1"]
    command += [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").rglob("*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    synthesize(SynthesisConfig(out=str(tmp_path / "killed"), workers=1, **SMALL))
    assert contents(tmp_path / "killed") == contents(made)
    assert not list((tmp_path / "killed").glob("*/*/.*"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 1}, "holds clips of other settings .seed 0, frames 4"),
        ({"size": 128}, "holds clips of other settings"),
        ({"speech": 0.5}, "holds clips of other settings .*speech 0.3"),
    ],
)
def test_other_settings_are_refused(made, change, sentence):
    with pytest.raises(DatasetError, match=sentence):
        synthesize(SynthesisConfig(out=str(made), **{**SMALL, **change}))


def test_a_dataset_may_grow_but_not_shrink(made, tmp_path):
    import shutil

    shutil.copytree(made, tmp_path / "grown")
    record = tmp_path / "grown" / "synthesis.json"
    begun = json.loads(record.read_text())
    record.write_text(json.dumps({**begun, "subjects": 3}))
    with pytest.raises(DatasetError, match="begun with 3 subjects and 1 takes, which may grow but not shrink"):
        synthesize(SynthesisConfig(out=str(tmp_path / "grown"), **SMALL))
    record.write_text("{")
    with pytest.raises(DatasetError, match=r"synthesis\.json is damaged"):
        synthesize(SynthesisConfig(out=str(tmp_path / "grown"), **SMALL))


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"not empty and has no synthesis\.json"):
        synthesize(SynthesisConfig(out=str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_without_the_extra_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vtk", None)
    with pytest.raises(MissingExtraError, match=r"stgt synthesize needs packages .* 'stgt\[synthetic\]'"):
        synthesize(SynthesisConfig(out=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


def test_damaged_actions_are_named(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged or not the true actions of a clip"):
        load_curve(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--subjcts", "3"], "did you mean --subjects"),
        (["--subjects", "0"], "--subjects is 0; it must be at least 1"),
        (["--subjects", "1000000"], "--subjects is 1000000; it must be at most 10000"),
        (["--speech", "1.5"], "--speech is 1.5; it is a share of the clips, between 0 and 1"),
        (["--least_intensity", "0"], "must lie between 0.05 and 1"),
        (["--size", "99"], "must be an even number of pixels"),
        (["--frame_rate", "0"], "must lie between 1 and 240 Hz"),
        (["--workers", "0"], "--workers is 0; it must be at least 1"),
    ],
)
def test_bad_options_are_one_sentence(arguments, sentence, tmp_path):
    with pytest.raises(StgtError, match=sentence):
        main(["--out", str(tmp_path / "none"), *arguments])
    assert not (tmp_path / "none").exists()


def test_the_command_says_what_it_made(made, capsys):
    options = [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]
    assert main(["--out", str(made), *options]) == 0
    assert "8 clips in" in capsys.readouterr().out
