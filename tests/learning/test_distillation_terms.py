"""What a student is held to, by hand; what is seen of models; frames that are hidden from it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stgt.config import ModelConfig, WindowConfig
from stgt.engines.parity import random_windows
from stgt.errors import StgtError
from stgt.graphs.geometry import geometry_stream
from stgt.graphs.layout import load_layout
from stgt.learning.distillation.choice import LayerTransfer
from stgt.learning.distillation.config import DistillationConfig
from stgt.learning.distillation.layers import channels_of, watching
from stgt.learning.distillation.masking import mask_frames
from stgt.learning.distillation.terms import attention_transfer, soft_targets
from stgt.models.registry import Attention, create_model
from stgt.train import parse

WINDOW = WindowConfig(frames=8)
SMALL = ModelConfig(width=16, heads=2, blocks=2)
BOTH = frozenset(("nodes", "frames"))


def windows_of(config: ModelConfig, size: int = 3):
    batch = random_windows(config, WINDOW, size)
    return replace(batch, geometry=batch.geometry.nan_to_num(), actions=None)


def test_soft_targets_against_numbers_worked_by_hand():
    # Teacher 3:1 at T = 1; student even: KL = 0.75 ln 1.5 + 0.25 ln 0.5.
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert soft_targets(student, teacher, 1.0).item() == pytest.approx(expected, abs=1e-6)
    # At T = 2 logits of twice the size are the same probabilities, and the square of T stands before it.
    assert soft_targets(2 * student, 2 * teacher, 2.0).item() == pytest.approx(4 * expected, abs=1e-6)
    assert soft_targets(teacher + 5, teacher, 3.0).item() == pytest.approx(0, abs=1e-6)


def test_soft_targets_pull_as_hard_at_any_temperature():
    torch.manual_seed(0)
    teacher = torch.randn(4, 5)

    def pull(temperature: float) -> float:
        student = torch.zeros(4, 5, requires_grad=True)
        soft_targets(student, teacher, temperature).backward()
        return float(student.grad.norm())

    assert pull(20.0) == pytest.approx(pull(40.0), rel=0.1)


def test_attention_transfer_against_numbers_worked_by_hand():
    mask = torch.tensor([[True, True]])
    along = Attention(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.tensor([[1.0, 0.0]]))
    across = Attention(torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]), torch.tensor([[0.6, 0.8]]))
    # Nodes at right angles: 2. Frames: (1 - 0.6)^2 + 0.8^2 = 0.8.
    assert attention_transfer(across, along, mask, frozenset(("nodes",))).item() == pytest.approx(2.0)
    assert attention_transfer(across, along, mask, frozenset(("frames",))).item() == pytest.approx(0.8)
    assert attention_transfer(across, along, mask, BOTH).item() == pytest.approx(1.4)
    assert attention_transfer(along, along, mask, BOTH).item() == 0
    # A frame that the student does not see is left out on both sides.
    first = torch.tensor([[True, False]])
    half = Attention(across.nodes * first[..., None], across.frames)
    assert attention_transfer(half, along, first, frozenset(("frames",))).item() == pytest.approx(0)
    # Where no frame is seen at all there is nothing to follow, and nothing breaks.
    none = torch.zeros(1, 2, dtype=torch.bool)
    assert attention_transfer(across, along, none, BOTH).item() == 0


@pytest.mark.parametrize("name", ["stgt", "stgcn", "stgcn++", "landmark-lstm", "landmark-transformer"])
def test_layers_and_attention_of_every_model_of_landmarks_are_seen(name):
    config = replace(SMALL, name=name)
    model = create_model(config, 3, WINDOW).eval()
    channels, attention = channels_of(model, windows_of(config).inputs)
    assert channels["features"] == model.num_features
    assert len(channels) > (2 if name != "landmark-lstm" else 0)
    assert ("nodes" in attention) == (name in ("stgt", "landmark-transformer"))
    assert "encode" not in vars(model)  # the model is as it was


def test_layers_of_frame_encoders_are_seen_in_training_where_only_faces_are_read():
    config = ModelConfig(name="frames:mobilenetv3_small_050", frame_size=64, stream_frames=3)
    model = create_model(config, 3, WINDOW)
    batch = random_windows(config, WINDOW, 3)
    batch = replace(batch, geometry=batch.geometry.nan_to_num())
    channels, attention = channels_of(model.eval(), batch.inputs)
    assert len(channels) > 3
    assert attention == {"frames"}
    with watching(model.train(), batch.mask, batch.frames_mask) as seen:
        _, extras = model.forward_training(**batch.inputs)
    assert set(seen.layers) == set(channels)
    assert torch.equal(seen.layers["features"], extras["features"])
    for name, vectors in seen.layers.items():
        assert vectors.shape == (3, channels[name])
        assert name == "features" or not vectors[2].any()  # no crop of the last window holds a face
    sum(vectors.sum() for vectors in seen.layers.values()).backward()


def test_a_layers_vector_is_the_mean_over_what_is_valid():
    model = create_model(SMALL, 3, WINDOW).eval()
    batch = windows_of(SMALL)
    wild = batch.geometry + 100 * ~batch.mask[:, :, None, None]
    pair = []
    for geometry in (batch.geometry, wild):
        with watching(model, batch.mask) as seen, torch.no_grad():
            model(geometry, batch.mask)
        pair.append(seen.layers)
    for name, vectors in pair[0].items():
        assert torch.allclose(vectors, pair[1][name]), name


def test_the_choice_finds_the_layer_that_holds_what_is_taught():
    torch.manual_seed(0)
    transfer = LayerTransfer({"useful": 6, "noise": 6}, {"known": 4, "unknown": 4})
    optimizer = torch.optim.Adam(transfer.parameters(), lr=0.04)
    mixing = torch.randn(6, 4)
    for _ in range(120):
        useful = torch.randn(64, 6)
        student = {"useful": useful, "noise": torch.randn(64, 6)}
        loss = transfer(student, {"known": useful @ mixing, "unknown": torch.randn(64, 4)})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    taken = transfer.describe()
    assert taken["known"]["into"]["useful"] > 0.8
    assert taken["known"]["weight"] > 2 * taken["unknown"]["weight"]
    assert sum(layer["weight"] for layer in taken.values()) == pytest.approx(1)


def test_the_transfer_teaches_the_student_and_not_the_teacher():
    transfer = LayerTransfer({"features": 4}, {"features": 5})
    student, teacher = torch.randn(8, 4, requires_grad=True), torch.randn(8, 5, requires_grad=True)
    transfer({"features": student}, {"features": teacher}).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
    assert all(parameter.grad is not None for parameter in transfer.parameters())
    # A window alone has no variance.
    assert torch.isfinite(transfer({"features": student[:1]}, {"features": teacher[:1]}))


def test_hidden_frames_are_as_if_no_face_had_been_found():
    layout, generator = load_layout("landmarks68"), np.random.default_rng(0)
    points = layout.reference + generator.normal(0, 0.05, (8, len(layout), 3)).astype(np.float32)
    valid = np.array([True, True, False, True, True, True, True, True])
    geometry = torch.from_numpy(geometry_stream(points, valid, layout, 10.0, aligned=True))[None]
    batch = replace(windows_of(SMALL, 1), geometry=geometry, mask=torch.from_numpy(valid)[None])
    torch.manual_seed(3)
    hidden = mask_frames(batch, 0.5, 10.0)
    kept = hidden.mask[0].numpy()
    assert 0 < kept.sum() < valid.sum()
    assert not (kept & ~valid).any()
    anew = geometry_stream(points, kept, layout, 10.0, aligned=True)
    assert np.abs(hidden.geometry[0].numpy() - anew).max() < 1e-4
    # Some frame always stays.
    assert mask_frames(batch, 0.99, 10.0).mask.any()
    assert mask_frames(batch, 0.0, 10.0) is batch


def test_a_hidden_crop_is_black_and_one_always_stays():
    config = ModelConfig(name="frames:mobilenetv3_small_050", frame_size=64, stream_frames=3)
    batch = random_windows(config, WINDOW, 4)
    full = torch.ones(4, 3, dtype=torch.bool)
    batch = replace(batch, geometry=batch.geometry.nan_to_num(), mask=torch.ones_like(batch.mask), frames_mask=full)
    torch.manual_seed(1)
    hidden = mask_frames(batch, 0.9, 10.0)
    assert hidden.frames_mask.any(dim=1).all()
    assert not hidden.frames_mask.all()
    assert not hidden.frames[~hidden.frames_mask].any()
    assert hidden.frames[hidden.frames_mask].any()


def test_settings_that_cannot_be_are_refused():
    for wrong, match in (
        ({"temperature": 0.0}, "temperature"),
        ({"masked_frames": 1.0}, "masked_frames"),
        ({"layers": -1.0}, "layers"),
        ({"logits": 0.0, "attention": 0.0, "layers": 0.0}, "nothing is taught"),
        ({"seeds": 0}, "seeds"),
    ):
        with pytest.raises(StgtError, match=match):
            DistillationConfig("teacher", **wrong)


def test_the_light_recipe_is_a_quarter_of_the_default_model():
    def cost(*words: str) -> tuple[int, int]:
        config = parse([*words, "--dataset", "ck+"])
        model = create_model(config.model, 8, config.window).eval()
        batch = random_windows(config.model, config.window, 1)
        with FlopCounterMode(display=False) as counter:
            model(**batch.inputs)
        return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops()

    recipe = Path(__file__).parents[2] / "experiments" / "light.yaml"
    (parameters, operations), (default_parameters, default_operations) = cost("--config", str(recipe)), cost()
    assert parameters < 0.3 * default_parameters
    assert operations < 0.25 * default_operations
