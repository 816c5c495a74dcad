"""stgt export, and the files it leaves."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest

from stgt.command import run
from stgt.engines.exported import load_exported
from stgt.errors import CheckpointError, StgtError
from stgt.export import main
from stgt.faces.extract import extract
from stgt.inference import ExpressionReader
from stgt.predict import main as predict


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The model of the package, exported, and what the command printed."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setenv("STGT_CACHE", str(folder / "cache"))
        main(["--checkpoint", "pretrained", "--format", "onnx", "--output", str(folder / "out"), "--int8"])
    return folder / "out", printed.getvalue()


@pytest.fixture
def exported(whole, tmp_path):
    """The exported file, in a folder of the test's own."""
    return shutil.copytree(whole[0], tmp_path / "out") / "model.onnx"


def test_export_writes_checks_and_tells(exported, whole, pretrained):
    path, printed = exported, whole[1]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "model.int8.onnx",
        "model.int8.onnx.json",
        "model.onnx",
        "model.onnx.json",
    ]
    assert "actions     float32  (batch, 16, 104)" in printed
    assert "a logit is off by at most" in printed
    assert "int8" in printed.split("one window on one thread")[1]
    loaded = load_exported(path)
    assert (loaded.labels, loaded.window, loaded.model_config) == (
        pretrained.labels,
        pretrained.window,
        pretrained.model_config,
    )
    assert loaded.meta["onnx"]["precision"] == "float32"
    assert load_exported(path.with_name("model.int8.onnx.json")).meta["onnx"]["precision"] == "int8"


def test_an_exported_model_is_a_checkpoint(exported, rendered_face_clip, tmp_path):
    path = exported
    track, _ = extract(rendered_face_clip)
    expected = [window.probabilities for window in ExpressionReader(engine="torch").predict_windows(track)]
    reader = ExpressionReader(path)
    assert reader.model is None
    read = [window.probabilities for window in reader.predict_windows(track)]
    assert np.abs(np.array(read) - np.array(expected)).max() < 1e-5
    smaller = ExpressionReader(path.with_name("model.int8.onnx")).predict_windows(track)
    assert np.allclose([window.probabilities.sum() for window in smaller], 1)
    assert not np.array_equal([window.probabilities for window in smaller], read)
    with pytest.raises(StgtError, match="exported model, which torch cannot run"):
        ExpressionReader(path, engine="torch")


def test_predict_takes_an_engine_and_an_exported_model(exported, rendered_face_clip, tmp_path):
    path = exported
    for arguments in (["--checkpoint", str(path)], ["--engine", "onnxruntime"], ["--engine", "torch"]):
        table = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        predict([str(rendered_face_clip), "--out", str(table), *arguments])
    tables = [json.loads(table.read_text()) for table in sorted(tmp_path.glob("*.json"))]
    assert len(tables) == 3
    labels = [[window["label"] for window in table] for table in tables]
    assert labels[0]
    assert labels[0] == labels[1] == labels[2]


def test_damaged_files_are_refused(exported, capsys):
    path = exported
    whole, description = path.read_bytes(), path.with_name("model.onnx.json")
    for damaged in (whole[:-1000], whole[:5000] + b"x" + whole[5001:], b""):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is cut, altered, or not the file"):
            ExpressionReader(path)
    with pytest.raises(SystemExit) as ended:
        run(predict, ["video.mp4", "--checkpoint", str(path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    text = description.read_text()
    description.write_text(text.replace('"sha256"', '"sha"'))
    with pytest.raises(CheckpointError, match="does not describe an exported model"):
        load_exported(path)
    description.unlink()
    with pytest.raises(CheckpointError, match=r"lacks model\.onnx\.json beside it"):
        load_exported(path)
    with pytest.raises(CheckpointError, match="there is no exported model"):
        load_exported(path.with_name("other.onnx"))


def test_bad_requests(tmp_path, engine_cache):
    with pytest.raises(StgtError, match="--format"):
        main(["--format", "tflite", "--output", str(tmp_path)])
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        main(["--checkpoint", str(tmp_path / "none.safetensors"), "--output", str(tmp_path)])
    (tmp_path / "file").write_text("")
    with pytest.raises(StgtError, match="is a file; give a folder"):
        main(["--output", str(tmp_path / "file")])
    with pytest.raises(StgtError):
        main(["--output", str(tmp_path / "out"), "--compare", str(tmp_path / "nowhere")])
    assert not (tmp_path / "out").exists(), "a comparison that cannot be made is said before anything is written"


def test_compare_reads_labelled_clips(rendered_face_clip, tmp_path, engine_cache, capsys):
    rows = ["clip,subject,label"]
    for subject, label in (("subject_000", "happiness"), ("subject_001", "neutral")):
        clip = tmp_path / "synthetic" / "clips" / subject / f"{label}_0.mp4"
        clip.parent.mkdir(parents=True)
        shutil.copy(rendered_face_clip, clip)
        rows.append(f"{subject}/{label}_0.mp4,{subject},{label}")
    (tmp_path / "synthetic" / "labels.csv").write_text("\n".join(rows) + "\n")
    main(["--output", str(tmp_path / "out"), "--compare", str(tmp_path / "synthetic"), "--workers", "1"])
    scores = capsys.readouterr().out.split("one window on one thread")[1]
    assert "2 clips, 2 subjects, 2 classes" in scores
    torch_row, onnx_row = (line.split()[1:] for line in scores.splitlines() if "UAR" in line)
    assert torch_row[:8] == onnx_row[:8]
    assert scores.count("100.0 %") == 2
