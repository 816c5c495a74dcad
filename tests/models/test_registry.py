"""Every model of the registry, with every setting of the streams, keeps the same promises."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from stgt.errors import StgtError
from stgt.models import create_model, list_models


def test_names():
    assert list_models() == ["landmark-lstm", "landmark-transformer", "stgcn", "stgcn++", "stgt"]


def test_forward_is_features_then_head(model, inputs):
    model.eval()
    logits = model(**inputs)
    features = model.forward_features(**inputs)
    assert logits.shape == (3, 5)
    assert features.shape == (3, model.num_features)
    assert torch.equal(logits, model.forward_head(features))
    assert torch.equal(logits, model(**inputs))


def test_gradients_reach_every_parameter(config, inputs, window):
    torch.manual_seed(0)
    model = create_model(replace(config, modality_dropout=0.0), 5, window).train()
    torch.manual_seed(1)
    F.cross_entropy(model(**inputs), torch.tensor([0, 1, 2])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_attention_is_shares_of_valid_frames(model, inputs):
    model.eval()
    logits, attention = model.forward_with_attention(**inputs)
    mask = inputs["mask"]
    assert torch.equal(logits, model(**inputs))
    assert attention.nodes.shape == inputs["geometry"].shape[:3]
    assert attention.frames.shape == mask.shape
    assert torch.allclose(attention.nodes.sum(2), mask.float(), atol=1e-5)
    assert torch.allclose(attention.frames.sum(1), torch.ones(3), atol=1e-5)
    assert (attention.frames[~mask] == 0).all()
    assert min(attention.frames.min(), attention.nodes.min()) >= 0


def test_invalid_frames_have_no_influence(model, inputs):
    """Whatever they hold, even NaN; in evaluation and in the gradients of training."""
    garbage = {key: value.clone() for key, value in inputs.items()}
    garbage["geometry"][~inputs["mask"]] = torch.nan
    garbage["actions"][~inputs["mask"]] = torch.nan
    garbage["patches"][~inputs["mask"]] = 7
    garbage["frames"][~inputs["frames_mask"]] = 200
    model.eval()
    for clean, dirty in zip(
        model.forward_with_attention(**inputs), model.forward_with_attention(**garbage), strict=True
    ):
        for a, b in (
            zip(torch.atleast_2d(clean), torch.atleast_2d(dirty), strict=True)
            if torch.is_tensor(clean)
            else zip(clean, dirty, strict=True)
        ):
            assert torch.allclose(a, b, atol=1e-6)
    gradients = []
    for batch in (inputs, garbage):
        model.train()
        model.zero_grad()
        torch.manual_seed(1)
        F.cross_entropy(model(**batch), torch.tensor([0, 1, 2])).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))


def test_padding_with_invalid_frames_changes_nothing(model, inputs_factory, window):
    """A short window and the same one filled up to the full length."""
    model.eval()
    full = inputs_factory()
    full["mask"][:] = True
    full["mask"][:, 5:] = False
    by_frame = ("geometry", "mask", "actions", "patches")
    short = {key: value[:, :5] if key in by_frame else value for key, value in full.items()}
    assert torch.allclose(model(**full), model(**short), atol=1e-5)


def test_a_window_does_not_depend_on_its_batch(model, inputs):
    model.eval()
    alone = {key: value[1:2] for key, value in inputs.items()}
    assert torch.allclose(model(**inputs)[1:2], model(**alone), atol=1e-5)


def test_a_window_without_any_face_gives_finite_logits_and_gradients(model, inputs):
    inputs["mask"][:] = False
    inputs["frames_mask"][:] = False
    for training in (False, True):
        model.train(training)
        logits, attention = model.forward_with_attention(**inputs)
        assert torch.isfinite(logits).all()
        assert torch.isfinite(attention.nodes).all()
        assert not attention.frames.any()
    F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


def test_geometry_alone_ignores_the_other_streams_and_the_others_use_theirs(model, config, inputs):
    model.eval()
    logits = model(**inputs)
    for stream, other in (
        ("actions", -inputs["actions"]),
        ("patches", 255 - inputs["patches"]),
        ("frames", 255 - inputs["frames"]),
    ):
        uses = stream in config.streams.split(",") and config.name == "stgt"
        assert torch.equal(model(**{**inputs, stream: other}), logits) == (not uses), stream


def test_every_model_runs_on_geometry_alone(model, inputs):
    model.eval()
    logits = model(inputs["geometry"], inputs["mask"])
    assert torch.isfinite(logits).all()


def test_reset_classifier(model, inputs):
    model.eval()
    before = model.forward_features(**inputs)
    model.reset_classifier(3)
    assert model.num_classes == 3
    assert model(**inputs).shape == (3, 3)
    assert torch.equal(model.forward_features(**inputs), before)


def test_mirrored_inputs_are_ordinary_inputs(model, inputs):
    from stgt.graphs.batch import WindowBatch

    model.eval()
    mirrored = WindowBatch(**inputs).mirror(model.layout)
    assert model(**mirrored.inputs).shape == (3, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"geometry": torch.zeros(3, 16, 146, 12)}, r"\(3, 16, 146, 12\).*\(B, T, 68, 12\).*landmarks68"),
        ({"geometry": torch.zeros(3, 17, 68, 12)}, r"17 frames.*at most 16.*window settings"),
        ({"mask": torch.ones(3, 16)}, r"mask is torch.float32.*bool.*\(3, 16\)"),
        ({"mask": torch.ones(3, 15, dtype=torch.bool)}, r"\(3, 15\).*\(3, 16\)"),
        ({"actions": torch.zeros(3, 16, 52)}, r"\(3, 16, 52\).*\(3, 16, 104\).*action_stream"),
        ({"patches": torch.zeros(3, 16, 68, 12, 12, 3)}, r"\(3, 16, 68, 12, 12, 3\).*patch_size"),
        ({"frames": torch.zeros(3, 2, 32, 32, 3)}, r"\(3, 2, 32, 32, 3\).*channels come before"),
        ({"frames_mask": torch.ones(3, 5, dtype=torch.bool)}, r"\(3, 5\).*\(3, 2\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_shape_errors_say_what_to_do(config_factory, inputs, window, change, message):
    model = create_model(config_factory(streams="geometry,actions,patches,frames"), 5, window)
    with pytest.raises(StgtError, match=message):
        model(**{**inputs, **change})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "nothing"}, r"unknown model 'nothing'; the models are landmark-lstm, .*, stgcn\+\+, stgt"),
        ({"width": 30, "heads": 4}, r"model.width is 30.*8"),
        ({"blocks": 1}, r"model.blocks is 1"),
        ({"layout": "dlib"}, r"unknown node layout 'dlib'"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(config_factory, settings, message):
    with pytest.raises(StgtError, match=message):
        create_model(config_factory(**settings), 5)


def test_a_classifier_needs_classes(config_factory):
    with pytest.raises(StgtError, match="at least 2 classes"):
        create_model(config_factory(), 1)
