"""Losses on what a model says besides its logits, against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from stgt.config import FRAME_MODELS, ModelConfig, OptimisationConfig, TrainConfig, WindowConfig
from stgt.errors import StgtError
from stgt.learning.distributed import untouched
from stgt.learning.fitting import FoldTask
from stgt.learning.losses import TrainingLoss
from stgt.learning.losses.locality_preserving import neighbour_means
from stgt.learning.run import require_losses
from stgt.models.frames import FrameModel
from stgt.models.registry import create_model
from stgt.terms import CLASSIFICATION_LOSSES, FURTHER_LOSSES, parse_loss

#: Two images of class 0 and one of class 1.
FEATURES = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
LABELS = torch.tensor([0, 0, 1])
LOGITS = torch.zeros(3, 2)


def make(text: str, extras: dict, classes: int = 2) -> TrainingLoss:
    """The loss ``cross_entropy+text`` for a model that gives ``extras``."""
    sample = (torch.zeros(len(next(iter(extras.values()))), classes), extras)
    return TrainingLoss(classes, 2, OptimisationConfig(loss=f"cross_entropy+{text}"), None, sample)


def value(text: str, extras: dict, labels=LABELS, logits=LOGITS) -> float:
    function = make(text, extras, logits.shape[1])
    return function(logits, labels, extras)[text.split("(")[0]].item()


def test_affinity_by_hand():
    function = make("affinity", {"features": FEATURES})
    function.terms["affinity"].centres.data = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    # Squared distances 0, 4 and 1; variances 1/2 and 9/2.
    terms = function(LOGITS, LABELS, {"features": FEATURES})
    assert terms["affinity"].item() == pytest.approx((0 + 4 + 1) / 3 / 5)
    assert function.total(terms).item() == pytest.approx(math.log(2) + 1 / 3)


def test_partition_by_hand():
    # Two heads that differ by 2 in one channel and not in the other: variances 2 and 0, their mean 1.
    heads = torch.tensor([[[0.0, 5.0], [2.0, 5.0]]])
    assert value("partition", {"features": FEATURES[:1], "heads": heads}, LABELS[:1], LOGITS[:1]) == pytest.approx(
        math.log(3)
    )
    alike = value("partition", {"features": FEATURES[:1], "heads": heads * 0}, LABELS[:1], LOGITS[:1])
    assert math.log(3) < alike < math.inf


def test_region_biased_by_hand():
    # The best crop is 0.1 ahead, and 0.3 behind, of the whole face.
    attention = torch.tensor([[0.5, 0.2, 0.6], [0.8, 0.5, 0.1]])
    extras = {"features": FEATURES[:2], "attention": attention, "relation": attention}
    assert value("region_biased", extras, LABELS[:2], LOGITS[:2]) == pytest.approx((0 + 0.32) / 2)
    assert value("region_biased(margin=0.2)", extras, LABELS[:2], LOGITS[:2]) == pytest.approx((0.1 + 0.5) / 2)


def test_locality_preserving_by_hand():
    # The two of class 0 are each other's only neighbours, at a distance of 2; the third has none.
    assert value("locality_preserving", {"features": FEATURES}) == pytest.approx((4 + 4 + 0) / 3 / 2)
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0], [2.0]])
    labels = torch.tensor([0, 0, 0, 0, 1])
    means = neighbour_means(line, labels, neighbours=2)
    np.testing.assert_allclose(means[:, 0], [(1 + 3) / 2, (0 + 3) / 2, (0 + 1) / 2, (1 + 3) / 2, 2])


def test_the_neighbours_are_constants_of_the_gradient():
    features = FEATURES.clone().requires_grad_()
    function = make("locality_preserving", {"features": FEATURES})
    function(LOGITS, LABELS, {"features": features})["locality_preserving"].backward()
    np.testing.assert_allclose(features.grad, (FEATURES - neighbour_means(FEATURES, LABELS, 20)) / 3)


def test_centres_by_hand():
    function = make("centre(rate=0.5)", {"features": FEATURES})
    extras = {"features": FEATURES}
    # From centres at zero: half of the mean of 1, 9 and 4.
    assert function(LOGITS, LABELS, extras)["centre"].item() == pytest.approx(14 / 3 / 2)
    # Then they have moved by half of (1 + 3) / 3 and of 2 / 2.
    centres = [[2 / 3, 0], [0, 0.5]]
    np.testing.assert_allclose(function.terms["centre"].centres, centres)
    expected = ((1 / 3) ** 2 + (7 / 3) ** 2 + 1.5**2) / 3 / 2
    assert function.eval()(LOGITS, LABELS, extras)["centre"].item() == pytest.approx(expected)
    np.testing.assert_allclose(function.terms["centre"].centres, centres, err_msg="they follow in training alone")


def test_attentive_centres_by_hand():
    attention = torch.tensor([[1.0, 0.3], [0.5, 0.3], [0.3, 0.25]])
    extras = {"features": FEATURES, "attention": attention}
    function = make("attentive_centre", extras)
    assert function(LOGITS, LABELS, extras)["attentive_centre"].item() == pytest.approx((1 + 4.5 + 1) / 3 / 2)
    np.testing.assert_allclose(function.terms["attentive_centre"].centres, [[2.5 / 3 / 2, 0], [0, 0.5 / 2 / 2]])


def test_adaptive_correlation_by_hand():
    up, down = [1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]
    # Two embeddings of two images of different classes; the second image has them the wrong way round.
    embeddings = torch.tensor([[up, up], [up, down]])
    extras = {"features": FEATURES[:2], "embeddings": embeddings}
    function = make("adaptive_correlation", extras).eval()
    labels = torch.tensor([0, 1])
    # Images: the first embeddings correlate by 1 where -1 is wanted, with the weight 3 of classes never recognised;
    # the second ones by -1. Over two pairs of four, and two embeddings: 2 * 3 * 2 / 4 / 2. Classes: 1 + 1 and 1 - 1,
    # over two of four, and two. Embeddings: the same.
    found = function(LOGITS[:2], labels, extras)["adaptive_correlation"].item()
    assert found == pytest.approx(2 * 3 * 2 / 4 / 2 + 2 * 2 / 4 / 2 + 2 * 2 / 4 / 2)
    # A class that is always recognised, and one that never is: the weight is 2.
    function.train()(LOGITS[:2], labels, extras)
    found = function.eval()(LOGITS[:2], labels, extras)["adaptive_correlation"].item()
    assert found == pytest.approx(2 * 2 * 2 / 4 / 2 + 1 / 2 + 1 / 2)


def test_adaptive_correlation_of_a_single_class():
    extras = {"features": FEATURES[:1], "embeddings": torch.randn(1, 2, 5)}
    assert math.isfinite(value("adaptive_correlation", extras, LABELS[:1], LOGITS[:1]))


def test_branches_by_hand():
    # Of two branches one is undecided and the other gives class 0 four fifths.
    logits = torch.tensor([[[0.0, 0.0], [math.log(4.0), 0.0]]])
    sample = (torch.zeros(1, 2), {"features": FEATURES[:1], "branch_logits": logits})
    function = TrainingLoss(2, 2, OptimisationConfig(loss="branches", label_smoothing=0.0), None, sample)
    found = function(LOGITS[:1], torch.tensor([0]), sample[1])["branches"].item()
    assert found == pytest.approx((math.log(2) + math.log(1.25)) / 2)
    shares = torch.tensor([[0.25, 0.75]])
    found = function(LOGITS[:1], shares, sample[1])["branches"].item()
    assert found == pytest.approx((math.log(2) + 0.25 * math.log(1.25) + 0.75 * math.log(5)) / 2)


def test_reconstruction_by_hand():
    made, face = torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    extras = {"features": FEATURES[:1], "reconstruction": made, "reconstruction_target": face}
    assert value("reconstruction", extras, LABELS[:1], LOGITS[:1]) == pytest.approx(0.125)


def test_angular_margin_on_top_of_any_features():
    extras = {"features": FEATURES}
    function = make("additive_angular_margin(margin=0.5,scale=4)", extras)
    function.terms["additive_angular_margin"].directions.data = torch.eye(2)
    found = function(LOGITS, LABELS, extras)["additive_angular_margin"].item()
    # All lie right on their class: cos 0.5 against cos 90°.
    assert found == pytest.approx(math.log1p(math.exp(-4 * math.cos(0.5))), abs=0.01)


def frame_extras(dtype=torch.float32) -> dict[str, torch.Tensor]:
    """What frame encoders say of two windows of three crops, of which one shows no face."""
    generator = torch.Generator().manual_seed(3)

    def draw(*size: int) -> torch.Tensor:
        return torch.rand(*size, dtype=dtype, generator=generator)

    return {
        "features": draw(2, 4),
        "frame_features": draw(2, 3, 4),
        "frame_valid": torch.tensor([[True, False, True], [True, True, True]]),
        "trunk": draw(2, 3, 5),
        "heads": draw(2, 3, 2, 4),
        "attention": draw(2, 3, 4),
        "relation": draw(2, 3, 4),
        "embeddings": draw(2, 3, 2, 4),
        "reconstruction": draw(2, 3, 1, 4, 4),
        "reconstruction_target": draw(2, 3, 1, 4, 4),
        "branch_logits": draw(2, 3, 3),
        "cosine": draw(2, 3) * 2 - 1,
    }


@pytest.mark.parametrize("name", [*FURTHER_LOSSES, "branches", "additive_angular_margin"])
def test_gradients_and_crops_without_a_face(name):
    extras = frame_extras(torch.float64)
    logits, labels = torch.randn(2, 3, dtype=torch.float64), torch.tensor([0, 1])
    text = name if name in CLASSIFICATION_LOSSES else f"cross_entropy+{name}"
    config = OptimisationConfig(loss=text)
    torch.manual_seed(0)
    function = TrainingLoss(3, 4, config, None, (logits, extras)).double().eval()
    for buffer in function.buffers():
        buffer.copy_(torch.rand_like(buffer))
    read = (*function.terms[name].needs, "features", "frame_features", "trunk", "cosine")
    leaves = {key: extras[key] for key in read if key != "relation"}

    def term(*values: torch.Tensor) -> torch.Tensor:
        return function(logits, labels, {**extras, **dict(zip(leaves, values, strict=True))})[name]

    values = [tensor.requires_grad_() for tensor in leaves.values()]
    if name != "locality_preserving":  # its neighbours are constants, which numbers do not know
        assert torch.autograd.gradcheck(term, values, check_undefined_grad=False)
    # What stands in a crop without a face is as nothing.
    before = term(*values)
    with torch.no_grad():
        for key, tensor in leaves.items():
            if tensor.shape[:2] == (2, 3) and key not in ("branch_logits", "cosine"):
                tensor[0, 1] = 7.0
    assert term(*values).item() == before.item()
    # Without a single face there is nothing to learn, and nothing breaks.
    extras["frame_valid"] = torch.zeros(2, 3, dtype=torch.bool)
    blind = term(*values)
    if name in FURTHER_LOSSES:
        assert blind.item() == 0
    assert torch.isfinite(blind)
    blind.backward()


def test_learned_centres_go_on_where_they_were():
    extras = {"features": FEATURES}
    first, second = (make("affinity+centre", extras) for _ in range(2))
    first(LOGITS, LABELS, extras)
    assert {"terms.affinity.centres", "terms.centre.centres"} == set(first.state_dict())
    second.load_state_dict(first.state_dict())
    assert second(LOGITS, LABELS, extras) == first(LOGITS, LABELS, extras)


def test_every_encoder_has_the_loss_of_its_paper():
    encoders = {kind.name: kind for kind in FrameModel.__subclasses__() if kind.name in FRAME_MODELS}
    assert set(encoders) == set(FRAME_MODELS)
    plain = [name for name, kind in encoders.items() if len(parse_loss(kind.paper_loss)) == 1]
    assert sorted(plain) == sorted(set(FRAME_MODELS) - {"acnn-lbp", "ad-corre", "dacl", "dan", "dlp-cnn", "ran"})


#: The encoders whose papers need more than logits; DACL and DLP-CNN are small where their images are.
@pytest.mark.parametrize("name", ["acnn-lbp", "ad-corre", "dacl", "dan", "dlp-cnn", "psr", "ran", "resnet18-fi-sa"])
def test_the_loss_of_a_paper_trains_all_of_its_encoder(name):
    torch.manual_seed(0)
    model = create_model(
        ModelConfig(name=name, frame_size=64, frame_pool="mean", stream_frames=1), 3, WindowConfig(frames=2)
    )
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    drawn = torch.random.get_rng_state()
    function = TrainingLoss.for_model(model, OptimisationConfig(loss="paper"), np.array([3.0, 2.0, 1.0]))
    assert "affinity" in function.weights or torch.equal(torch.random.get_rng_state(), drawn)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key]), "trying a model leaves it as it was"
    frames = torch.randint(0, 256, (3, 1, 3, 64, 64), dtype=torch.uint8)
    geometry = torch.zeros(3, 2, len(model.layout), 12)
    logits, extras = model.forward_training(geometry, torch.ones(3, 2, dtype=torch.bool), frames=frames)
    terms = function(logits, torch.tensor([0, 1, 1]), extras)
    assert list(terms) == [term.name for term in parse_loss(type(model.encoder).paper_loss)]
    # With several processes every parameter needs a gradient, whatever the loss reads.
    other = TrainingLoss.for_model(model, OptimisationConfig())
    (other.total(other(logits, torch.tensor([0, 1, 1]))) + untouched(extras)).backward(retain_graph=True)
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    function.total(terms).backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    if name == "resnet18-fi-sa":  # what is trained with a margin is read without it
        assert function.terms["additive_angular_margin"].scale == type(model.encoder).SCALE
        assert logits.abs().max() <= type(model.encoder).SCALE * (1 + 1e-5)


def test_a_loss_and_a_model_that_do_not_go_together():
    stgt = create_model(ModelConfig(width=8, blocks=2, heads=1), 3, WindowConfig(frames=4))
    for text, sentence in (
        ("paper", "the loss paper is that of a frame encoder's paper, and stgt is none"),
        ("cross_entropy+partition", "the loss partition needs heads, which this model does not give"),
        ("branches", "the loss branches needs branch_logits"),
        ("cross_entropy+attentive_centre", "the loss attentive_centre needs attention"),
    ):
        with pytest.raises(StgtError, match=sentence):
            TrainingLoss.for_model(stgt, OptimisationConfig(loss=text))
    # Centres, neighbours and angles are for any model.
    text = "cross_entropy+affinity+centre+locality_preserving+additive_angular_margin"
    function = TrainingLoss.for_model(stgt, OptimisationConfig(loss=text))
    logits, extras = stgt.forward_training(torch.randn(3, 4, len(stgt.layout), 12), torch.ones(3, 4, dtype=torch.bool))
    assert torch.isfinite(function.total(function(logits, LABELS, extras)))


def test_a_loss_that_is_not_for_a_compared_model_is_refused_before_any_is_fitted(tmp_path):
    def tasks(loss: str) -> list[FoldTask]:
        config = TrainConfig("x", optimisation=OptimisationConfig(loss=loss), window=WindowConfig(frames=2))
        models = ModelConfig("dan", frame_size=64, stream_frames=1), ModelConfig("stgcn", width=8)
        return [FoldTask(config, model, None, ("a", "b"), None, tmp_path, tmp_path) for model in models]

    with pytest.raises(StgtError, match="the loss partition needs heads"):
        require_losses(tasks("cross_entropy+partition"))
    require_losses(tasks("cross_entropy+affinity"))
    require_losses(tasks("focal"))
    with pytest.raises(StgtError, match="optimisation.loss is paper, .* but stgcn is none"):
        TrainConfig("x", compare="stgcn", model=ModelConfig("dan"), optimisation=OptimisationConfig(loss="paper"))


def test_attention_of_another_kind_is_refused():
    extras = {"features": FEATURES, "attention": torch.rand(3, 6)}
    with pytest.raises(StgtError, match="needs attention to every dimension of the features"):
        make("attentive_centre", extras)
