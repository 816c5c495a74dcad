"""An exported model says what PyTorch says, for every setting of the streams."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from stgt.engines import conversion
from stgt.engines.conversion import convert
from stgt.engines.engine import TorchEngine
from stgt.engines.graph import kept_graph, pour
from stgt.engines.parity import TOLERANCE, random_windows
from stgt.engines.quantised import quantise
from stgt.engines.runtime import OnnxEngine
from stgt.errors import MissingExtraError, StgtError
from stgt.graphs.batch import WindowBatch
from stgt.models.registry import create_model


def with_masks(batch: WindowBatch, rng: np.random.Generator) -> WindowBatch:
    """The batch with other frames valid, some windows wholly invalid."""
    mask = rng.random(batch.mask.shape) < rng.choice([0.0, 0.3, 0.9], size=(len(batch), 1))
    actions = None if batch.actions is None else batch.actions.nan_to_num(0.5)
    return replace(batch, mask=torch.from_numpy(mask), geometry=torch.randn_like(batch.geometry), actions=actions)


def assert_same(one, other, config, window, tolerance=TOLERANCE):
    rng = np.random.default_rng(1)
    for size in (1, 3, 10):
        plain = random_windows(config, window, size, seed=size)
        for batch in (plain, with_masks(plain, rng)):
            logits, nodes = one.logits_with_attention(batch)
            expected, looked = other.logits_with_attention(batch)
            assert logits.shape == expected.shape
            assert (logits - expected).abs().max() <= tolerance
            assert (nodes - looked).abs().max() <= tolerance
            assert torch.equal(one.logits(batch), logits)


@pytest.mark.parametrize(
    ("name", "streams"),
    [("stgt", "geometry,actions,patches,frames"), ("stgcn", "geometry")],
)
def test_translated_models_read_as_pytorch_does(name, streams, make_checkpoint, config_factory, tmp_path):
    loaded = make_checkpoint(config_factory(name, streams))
    made = convert(loaded, tmp_path / "graphs")
    assert_same(made.engine, TorchEngine(loaded.model), loaded.model_config, loaded.window)
    assert made.facts["largest_difference"] <= TOLERANCE
    # The next model of the same architecture needs no translation, whatever its weights and classes.
    other = create_model(loaded.model_config, 3, loaded.window).eval()
    graph = kept_graph(loaded.model_config, loaded.window, tmp_path / "graphs")
    assert_same(OnnxEngine(pour(graph, other)), TorchEngine(other), loaded.model_config, loaded.window)


def test_the_package_brings_the_graph_of_its_weights(pretrained, tmp_path):
    """If this fails after a change of the models: python -m stgt.engines.build_graphs."""
    assert kept_graph(pretrained.model_config, pretrained.window, tmp_path) is not None
    made = convert(pretrained, tmp_path, may_translate=False)
    assert_same(made.engine, TorchEngine(pretrained.model), pretrained.model_config, pretrained.window)
    finetuned = create_model(pretrained.model_config, 7, pretrained.window).eval()
    other = replace(pretrained, model=finetuned)
    assert_same(
        convert(other, tmp_path, may_translate=False).engine, TorchEngine(finetuned), other.model_config, other.window
    )


def test_int8_is_smaller_and_says_about_the_same(pretrained, tmp_path):
    made = convert(pretrained, tmp_path)
    content = quantise(made.content)
    assert len(content) < 0.6 * len(made.content)
    assert [opset.domain for opset in onnx.load_from_string(content).opset_import] == [""], "standard operators only"
    engine = OnnxEngine(content)
    batch = random_windows(pretrained.model_config, pretrained.window, 20)
    logits, expected = engine.logits(batch), made.engine.logits(batch)
    assert logits.isfinite().all()
    # On average: noise is unlike any face, and single windows of it may differ by more.
    assert (logits - expected).abs().mean() < 0.3 * expected.std()
    assert not torch.equal(logits, expected)


def test_what_differs_is_not_kept(pretrained, tmp_path, monkeypatch):
    def poured_wrongly(graph, model):
        wrong = create_model(pretrained.model_config, model.num_classes, pretrained.window)
        return pour(graph, wrong.eval())

    graph = kept_graph(pretrained.model_config, pretrained.window, tmp_path)
    monkeypatch.setattr(conversion, "pour", poured_wrongly)
    monkeypatch.setattr(conversion, "translate", lambda config, window: graph)
    with pytest.raises(StgtError, match=r"differs from PyTorch's by .* so it was not kept"):
        convert(pretrained, tmp_path)


def test_a_graph_of_older_code_is_translated_anew(pretrained, tmp_path, monkeypatch):
    """Whatever lies in the cache: what it gives is held against PyTorch."""
    graph = kept_graph(pretrained.model_config, pretrained.window, tmp_path)
    for stale in (b"", graph[: len(graph) // 2], graph.replace(b"model.head.weight", b"model.tail.weight")):
        monkeypatch.setattr(conversion, "kept_graph", lambda *_, stale=stale: stale)
        monkeypatch.setattr(conversion, "translate", lambda config, window: graph)
        made = convert(pretrained, tmp_path)
        assert made.facts["largest_difference"] <= TOLERANCE
        with pytest.raises((StgtError, ValueError)):
            convert(pretrained, tmp_path, may_translate=False)


@pytest.mark.parametrize("module", ["onnx", "onnxruntime"])
def test_a_missing_package_names_its_extra(module, pretrained, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stgt\[onnx\]'"):
        convert(pretrained, tmp_path)


def test_windows_without_a_stream_that_the_file_reads(pretrained, tmp_path):
    engine = convert(pretrained, tmp_path).engine
    batch = replace(random_windows(pretrained.model_config, pretrained.window, 2), actions=None)
    with pytest.raises(StgtError, match="reads actions"):
        engine.logits(batch)
