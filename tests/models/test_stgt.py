"""STGT itself: it is small, it learns, and its fusion hides what it should."""

import pytest
import torch
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.models import create_model
from stgt.models.appearance import modality_keep
from stgt.models.stgt import GeometryStem


@pytest.mark.parametrize("layout", ["landmarks68", "mediapipe146"])
def test_geometry_model_is_small(layout):
    model = create_model(ModelConfig(layout=layout), 7)
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_500_000


@pytest.mark.parametrize("name", ["stgt", "stgcn"])
def test_learns_a_tiny_batch_by_heart(name, config_factory, inputs_factory, window):
    torch.manual_seed(0)
    model = create_model(config_factory(name, dropout=0.0), 4, window).train()
    inputs = inputs_factory(batch=8)
    target = torch.arange(8) % 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs["geometry"], inputs["mask"]), target)
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_learns_from_pixels_alone(config_factory, inputs_factory, window):
    """The same geometry in every sample: only patches and frames tell the classes apart."""
    torch.manual_seed(0)
    for streams, pixels in (("geometry,patches", "patches"), ("geometry,frames", "frames")):
        model = create_model(config_factory(streams=streams, dropout=0.0, modality_dropout=0.0), 2, window).train()
        inputs = inputs_factory(batch=8)
        inputs["geometry"][:] = inputs["geometry"][:1].clone()
        inputs["mask"][:] = True
        target = torch.arange(8) % 2
        bright = target.to(torch.uint8).view(8, *[1] * (inputs[pixels].ndim - 1)) * 80
        inputs[pixels] = (inputs[pixels] // 4) + bright
        if pixels == "patches":  # brightness is normalised away, so paint one half
            inputs[pixels][..., :3, :] -= bright[..., 0, :][..., None]
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(25):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(**inputs), target)
            loss.backward()
            optimizer.step()
        assert loss < 0.3, streams


def test_learns_from_actions_alone(config_factory, inputs_factory, window):
    """The same geometry in every sample: only one blendshape tells the classes apart."""
    torch.manual_seed(0)
    config = config_factory(streams="geometry,actions", dropout=0.0, modality_dropout=0.0)
    model = create_model(config, 2, window).train()
    inputs = inputs_factory(batch=8)
    inputs["geometry"][:] = inputs["geometry"][:1].clone()
    inputs["mask"][:] = True
    inputs["actions"] *= 0.1
    target = torch.arange(8) % 2
    inputs["actions"][..., 40] += target[:, None]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(**inputs), target)
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_hidden_streams_are_absent_streams(config_factory, inputs, window):
    """With every sample's other streams hidden in training, the fused model gives what it gives without them."""
    settings = {"dropout": 0.0, "modality_dropout": 1.0, "identity_dropout": 0.0}
    config = config_factory(streams="geometry,actions,patches,frames", **settings)
    model = create_model(config, 5, window).train()
    assert torch.allclose(model(**inputs), model(inputs["geometry"], inputs["mask"]), atol=1e-6)
    model.eval()
    assert not torch.allclose(model(**inputs), model(inputs["geometry"], inputs["mask"]), atol=1e-3)


def test_modality_dropout_is_per_sample_and_only_in_training():
    like = torch.zeros(2000, 3)
    assert modality_keep(like, 0.3, training=False).all()
    assert modality_keep(like, 0.3, training=True).float().mean() == pytest.approx(0.7, abs=0.05)


def test_backbone_errors_say_what_is_wrong(config_factory, tmp_path):
    from dataclasses import replace

    config = config_factory(streams="geometry,frames")
    for settings, message in (
        ({"backbone": "resnet9000"}, "timm has no model 'resnet9000'"),
        ({"backbone": "test_vit"}, "test_vit reads only pictures of one size"),
        ({"backbone_weights": str(tmp_path / "none.safetensors")}, "not a file"),
    ):
        with pytest.raises(StgtError, match=message):
            create_model(replace(config, **settings), 5)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no")
    with pytest.raises(StgtError, match="not a readable safetensors file"):
        create_model(replace(config, backbone_weights=str(broken)), 5)


def test_backbone_weights_are_used(config_factory, inputs, tmp_path, window):
    from dataclasses import replace

    from safetensors.torch import save_file

    config = config_factory(streams="geometry,frames")
    donor = create_model(config, 5, window).frame_encoder.backbone
    path = tmp_path / "backbone.safetensors"
    save_file(donor.state_dict(), path)
    model = create_model(replace(config, backbone_weights=str(path)), 5, window)
    pixels = torch.rand(1, 3, 32, 32)
    assert torch.equal(model.frame_encoder.backbone.eval()(pixels), donor.eval()(pixels))


def test_backbones_with_a_wider_last_layer(config_factory, inputs, window):
    from dataclasses import replace

    config = replace(config_factory(streams="geometry,frames"), backbone="mobilenetv3_small_050")
    assert create_model(config, 5, window).eval()(**inputs).shape == (3, 5)


def test_exports_as_one_graph(config_factory, inputs, window):
    """Tensors in, tensors out, no step that depends on values: what other runtimes need."""
    model = create_model(config_factory(streams="geometry,actions,patches"), 5, window).eval()
    arguments = tuple(inputs[name] for name in ("geometry", "mask", "actions", "patches"))
    exported = torch.export.export(model, arguments).module()
    assert torch.allclose(exported(*arguments), model(*arguments), atol=1e-5)


def test_stem_reads_movement_apart_from_the_shape_of_the_face():
    """Without the channels that say where nodes are, another face with the same movement looks the same."""
    stem = GeometryStem(68, 16, hiding=0.0).eval()
    stem.project.weight.data[:, :9] = 0
    geometry, mask = torch.randn(2, 16, 68, GEOMETRY_CHANNELS), torch.ones(2, 16, dtype=torch.bool)
    mask[0, :3] = mask[1, 7:] = False
    identity = torch.randn(2, 1, 68, GEOMETRY_CHANNELS)
    identity[..., 3:6] = 0  # motion is no part of it
    geometry, other = geometry * mask[..., None, None], (geometry + identity) * mask[..., None, None]
    assert torch.allclose(stem(geometry, mask), stem(other, mask), atol=1e-4)


def test_training_hides_the_shape_of_some_faces():
    """A share of the samples, chosen anew each time, shows movement alone."""
    torch.manual_seed(0)
    stem = GeometryStem(68, 16, hiding=0.3)
    stem.project.weight.data[:, 9:] = 0
    geometry, mask = torch.randn(400, 2, 68, GEOMETRY_CHANNELS), torch.ones(400, 2, dtype=torch.bool)
    shown = stem(geometry, mask) - stem.node - stem.project.bias
    assert (shown.abs().amax(dim=(1, 2, 3)) < 1e-5).float().mean() == pytest.approx(0.3, abs=0.1)
    shown = stem.eval()(geometry, mask) - stem.node - stem.project.bias
    assert (shown.abs().amax(dim=(1, 2, 3)) > 1e-2).all()


def test_window_lengths_that_strides_do_not_divide(config_factory, inputs_factory):
    for frames in (2, 5, 7):
        model = create_model(config_factory(), 5, WindowConfig(frames=frames)).eval()
        inputs = inputs_factory()
        logits, attention = model.forward_with_attention(inputs["geometry"][:, :frames], inputs["mask"][:, :frames])
        assert logits.shape == (3, 5)
        assert attention.frames.shape == (3, frames)
