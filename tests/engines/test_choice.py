"""Which engine a reader takes."""

import json

import numpy as np
import pytest
import torch

from stgt.engines import choice
from stgt.engines.choice import engine_for
from stgt.errors import StgtError
from stgt.faces.extract import extract
from stgt.inference import ExpressionReader

CPU = torch.device("cpu")


def say(monkeypatch, **seconds):
    """Make the measurement give these seconds."""
    monkeypatch.setattr(choice, "best_times", lambda engines, batch, rounds, longest_s: seconds)


def never(*_, **__):
    raise AssertionError("this must not be called")


def test_engines_read_a_clip_alike(rendered_face_clip, engine_cache):
    track, _ = extract(rendered_face_clip)
    readings = {name: ExpressionReader(engine=name).predict_windows(track) for name in ("torch", "onnxruntime", "auto")}
    expected = np.array([window.probabilities for window in readings["torch"]])
    for windows in readings.values():
        assert np.abs(np.array([window.probabilities for window in windows]) - expected).max() < 1e-5


def test_auto_takes_the_faster_and_remembers(pretrained, engine_cache, monkeypatch):
    say(monkeypatch, torch=0.004, onnxruntime=0.002)
    assert engine_for(pretrained, CPU).name == "onnxruntime"
    monkeypatch.setattr(choice, "best_times", never)
    monkeypatch.setattr("stgt.engines.conversion.pour", never)
    assert engine_for(pretrained, CPU).name == "onnxruntime", "neither measured nor exported again"
    record = next(engine_cache.glob("*.choice.json"))
    assert json.loads(record.read_text())["milliseconds"] == {"torch": 4.0, "onnxruntime": 2.0}


def test_another_machine_or_damage_is_measured_again(pretrained, engine_cache, monkeypatch):
    say(monkeypatch, torch=0.001, onnxruntime=0.002)
    assert engine_for(pretrained, CPU).name == "torch"
    say(monkeypatch, torch=0.004, onnxruntime=0.002)
    assert engine_for(pretrained, CPU).name == "torch"
    record = next(engine_cache.glob("*.choice.json"))
    record.write_text("{")
    assert engine_for(pretrained, CPU).name == "onnxruntime"
    say(monkeypatch, torch=0.001, onnxruntime=0.002)
    monkeypatch.setattr(choice, "environment", lambda: {"machine": "another"})
    assert engine_for(pretrained, CPU).name == "torch"


def test_a_damaged_kept_file_is_made_anew(pretrained, engine_cache):
    expected = engine_for(pretrained, CPU, "onnxruntime")
    kept = next(engine_cache.glob("*.onnx"))
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-100])
    assert engine_for(pretrained, CPU, "onnxruntime").inputs == expected.inputs
    assert kept.read_bytes() == whole


def test_another_onnxruntime_is_held_against_pytorch_again(pretrained, engine_cache, monkeypatch):
    engine_for(pretrained, CPU, "onnxruntime")
    monkeypatch.setattr("stgt.engines.runtime.runtime_version", lambda: "another")
    checked = []
    monkeypatch.setattr("stgt.engines.conversion.largest_difference", lambda *_: checked.append(1) or 0.0)
    engine_for(pretrained, CPU, "onnxruntime")
    assert checked


def test_other_weights_are_another_model(pretrained, engine_cache):
    before = engine_for(pretrained, CPU, "onnxruntime")
    with torch.no_grad():
        pretrained.model.head.weight.mul_(2)
    after = engine_for(pretrained, CPU, "onnxruntime")
    from stgt.engines.parity import random_windows

    batch = random_windows(pretrained.model_config, pretrained.window, 1)
    bias = pretrained.model.head.bias.detach()
    assert torch.allclose(2 * (before.logits(batch) - bias), after.logits(batch) - bias, atol=1e-4)


def test_auto_never_translates(make_checkpoint, config_factory, engine_cache, monkeypatch):
    monkeypatch.setattr("stgt.engines.conversion.translate", never)
    assert engine_for(make_checkpoint(config_factory()), CPU).name == "torch"


@pytest.mark.parametrize("module", ["onnx", "onnxruntime"])
def test_auto_does_without_the_extra(module, pretrained, engine_cache, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    assert engine_for(pretrained, CPU).name == "torch"


def test_a_cache_that_cannot_be_written(pretrained, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STGT_CACHE", str(tmp_path / "file"))
    say(monkeypatch, torch=0.004, onnxruntime=0.002)
    assert engine_for(pretrained, CPU).name == "onnxruntime"


def test_what_cannot_be(pretrained, engine_cache):
    with pytest.raises(StgtError, match="unknown engine 'tensorrt'; the engines are auto, torch, onnxruntime"):
        engine_for(pretrained, CPU, "tensorrt")
    with pytest.raises(StgtError, match="runs on the CPU, not on cuda"):
        engine_for(pretrained, torch.device("cuda"), "onnxruntime")
