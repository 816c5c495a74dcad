"""STGT without some of its parts: each is a lighter model that keeps the promises of the whole one."""

import pytest
import torch
from torch.nn import functional as F

from stgt.config import ModelConfig
from stgt.engines.graph import graph_key
from stgt.engines.parity import random_windows
from stgt.errors import StgtError
from stgt.models import create_model
from stgt.models.blocks import MeanPool
from stgt.models.checkpoint import load_checkpoint, pretrained_path, save_checkpoint

#: What is left out, and of which streams.
ABLATIONS = (
    ("graph", "geometry"),
    ("spatial_transformer", "geometry"),
    ("temporal_transformer", "geometry"),
    ("attention_pooling", "geometry,frames"),
    ("graph,spatial_transformer,temporal_transformer,attention_pooling", "geometry,actions"),
    ("geometry", "geometry,actions"),
    ("geometry", "geometry,patches"),
    ("geometry", "geometry,frames"),
    ("geometry", "geometry,actions,patches,frames"),
)

LABELS = ("anger", "fear", "happiness", "neutral", "sadness")


@pytest.fixture(params=ABLATIONS, ids="-of-".join)
def config(request, config_factory):
    without, streams = request.param
    return config_factory(streams=streams, without=without)


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_each_is_lighter_and_another_function(config, config_factory, inputs, window):
    torch.manual_seed(0)
    whole = create_model(config_factory(streams=config.streams), 5, window).eval()
    torch.manual_seed(0)
    model = create_model(config, 5, window).eval()
    assert size(model) < size(whole)
    assert set(dict(whole.named_parameters())) != set(dict(model.named_parameters()))
    assert not torch.allclose(model(**inputs), whole(**inputs), atol=1e-3)


def test_gradients_reach_every_parameter(config, inputs, window):
    torch.manual_seed(0)
    model = create_model(config, 5, window).train()
    torch.manual_seed(4)
    F.cross_entropy(model(**inputs), torch.tensor([0, 1, 2])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A softmax does not mind what is added to all scores.
        assert parameter.grad.abs().sum() > 0 or name.endswith("pool.score.bias"), name


def test_invalid_frames_have_no_influence(config, inputs, window):
    torch.manual_seed(0)
    model = create_model(config, 5, window).eval()
    garbage = {key: value.clone() for key, value in inputs.items()}
    garbage["geometry"][~inputs["mask"]] = torch.nan
    garbage["actions"][~inputs["mask"]] = torch.nan
    garbage["patches"][~inputs["mask"]] = 7
    garbage["frames"][~inputs["frames_mask"]] = 200
    logits, attention = model.forward_with_attention(**inputs)
    same, same_attention = model.forward_with_attention(**garbage)
    assert torch.allclose(logits, same, atol=1e-6)
    assert torch.allclose(attention.nodes, same_attention.nodes, atol=1e-6)
    alone = model(**{key: value[1:2] for key, value in inputs.items()})
    assert torch.allclose(logits[1:2], alone, atol=1e-5)


def test_a_window_without_any_face_gives_finite_logits_and_gradients(config, inputs, window):
    inputs["mask"][:] = False
    inputs["frames_mask"][:] = False
    model = create_model(config, 5, window).train()
    logits, attention = model.forward_with_attention(**inputs)
    F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    assert torch.isfinite(logits).all()
    assert not attention.frames.any()
    assert not attention.nodes.any()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


def test_attention_is_shares_of_valid_frames(config, inputs, window):
    model = create_model(config, 5, window).eval()
    _, attention = model.forward_with_attention(**inputs)
    mask = inputs["mask"]
    assert torch.allclose(attention.nodes.sum(2), mask.float(), atol=1e-5)
    assert torch.allclose(attention.frames.sum(1), torch.ones(3), atol=1e-5)
    assert not attention.frames[~mask].any()
    if "attention_pooling" in config.without or config.streams in ("geometry,actions", "geometry,frames"):
        assert torch.allclose(attention.nodes, mask[..., None] / 68 + torch.zeros(68))


def test_without_geometry_nothing_of_it_counts(config_factory, inputs, window):
    for stream in ("actions", "patches", "frames"):
        torch.manual_seed(0)
        model = create_model(config_factory(streams=f"geometry,{stream}", without="geometry"), 5, window).eval()
        logits = model(**inputs)
        assert torch.equal(model(**{**inputs, "geometry": torch.randn_like(inputs["geometry"])}), logits)
        assert not torch.allclose(logits[0], logits[2], atol=1e-3), stream
        # A stream that is absent altogether leaves nothing, but no error either.
        assert torch.isfinite(model(inputs["geometry"], inputs["mask"])).all()


def test_a_stream_alone_is_never_hidden(config_factory, inputs, window):
    """In training too it is all that there is to learn from."""
    config = config_factory(streams="geometry,actions", without="geometry", modality_dropout=1.0, dropout=0.0)
    torch.manual_seed(0)
    model = create_model(config, 5, window).train()
    assert not torch.allclose(model(**inputs), model(**{**inputs, "actions": -inputs["actions"]}), atol=1e-3)


def test_without_the_graph_no_node_hears_of_another(config_factory, inputs, window):
    """And without the spatial transformer: a changed eyebrow leaves the features of the chin alone."""
    torch.manual_seed(0)
    nodes = []
    for without in ("spatial_transformer", "graph,spatial_transformer"):
        model = create_model(config_factory(without=without), 5, window).eval()
        model.spatial_pool.register_forward_pre_hook(lambda _, arguments: nodes.append(arguments[0]))
        changed = inputs["geometry"].clone()
        changed[:, :, 20] += 1
        for geometry in (inputs["geometry"], changed):
            model(geometry, inputs["mask"])
    with_graph, alone = ((nodes[at] - nodes[at + 1]).abs().amax(dim=(0, 2)) > 1e-6 for at in (0, 2))
    assert with_graph.sum() > 5
    assert alone.nonzero()[:, 0].tolist() == [20]


def test_mean_pool_by_hand():
    pool = MeanPool(2, 2)
    pool.norm = torch.nn.Identity()
    pool.out.weight.data = torch.eye(2)
    pool.out.bias.data = torch.tensor([10.0, 0.0])
    x = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [50.0, 50.0]]]).repeat(2, 1, 1)
    pooled, weights = pool(x, torch.tensor([[True, True, False], [False, False, False]]))
    assert pooled.tolist() == [[12.0, 4.0], [0.0, 0.0]]
    assert weights.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    assert torch.allclose(pool(x[:, :2])[0], torch.tensor([[12.0, 4.0]] * 2))


def test_saved_and_loaded(config, inputs, window, tmp_path):
    torch.manual_seed(0)
    model = create_model(config, 5, window).eval()
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=window, dataset="folder")
    loaded = load_checkpoint(path)
    assert loaded.model_config.without == config.without
    assert torch.equal(loaded.model(**inputs), model(**inputs))


def test_checkpoints_from_before_there_was_this_setting_load_whole():
    """The JSON that comes with the package does not know it, and its kept graph is still its graph."""
    assert "without" not in pretrained_path().with_suffix(".json").read_text()
    loaded = load_checkpoint("pretrained")
    assert loaded.model_config.without == ""
    assert loaded.model.reads_geometry
    key = graph_key(loaded.model_config, loaded.window)
    assert (pretrained_path().parents[1] / "engines" / "graphs" / f"{key}.onnx").is_file()


@pytest.mark.parametrize(("without", "streams"), [ABLATIONS[4], ABLATIONS[6]], ids=["bare", "patches"])
def test_exports_as_one_graph(without, streams, config_factory, window):
    torch.manual_seed(0)
    model = create_model(config_factory(streams=streams, without=without), 5, window).eval()
    inputs = {
        name: value for name, value in random_windows(model.config, window, 3).inputs.items() if value is not None
    }
    exported = torch.export.export(model, (), inputs).module()
    assert torch.allclose(exported(**inputs), model(**inputs), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"without": "graphs"}, "model.without names 'graphs'.*geometry, graph, spatial_transformer"),
        ({"without": "geometry"}, "leaves out geometry.*add actions, patches or frames"),
    ],
    ids=lambda value: value["without"] if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(StgtError, match=message):
        ModelConfig(**settings)
