"""Frame encoders as models of clips."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from stgt.config import FRAME_MODELS, FRAME_POOLS, ModelConfig, WindowConfig
from stgt.errors import CheckpointError, StgtError
from stgt.learning.distributed import share_statistics
from stgt.learning.transfer import encoder_source, refuse_leak, transfer_weights
from stgt.models import create_model
from stgt.models.checkpoint import load_checkpoint, save_checkpoint
from stgt.models.frames import list_frame_models

#: timm's smallest with batch normalisation.
TINY = "frames:test_efficientnet"
WINDOW = WindowConfig(frames=8)
CLASSES = 5


def make_config(name=TINY, **settings):
    return ModelConfig(name=name, **{"frame_size": 64, "stream_frames": 3, **settings})


def make(name=TINY, classes=CLASSES, **settings):
    torch.manual_seed(0)
    return create_model(make_config(name, **settings), classes, WINDOW)


def make_inputs(batch=3, crops=3, seed=0, size=64):
    """The first window has one crop with a face, the second two, the others all."""
    generator = torch.Generator().manual_seed(seed)
    shown = torch.ones(batch, crops, dtype=torch.bool)
    shown[0, 1:] = False
    shown[1:2, :1] = crops == 1
    mask = torch.ones(batch, WINDOW.frames, dtype=torch.bool)
    mask[0, 1:] = False
    coarse = torch.rand(batch * crops, 3, 8, 8, generator=generator)
    pictures = (F.interpolate(coarse, size=(size, size), mode="bilinear") * 255).to(torch.uint8)
    return {
        "geometry": torch.randn(batch, WINDOW.frames, 68, 12, generator=generator),
        "mask": mask,
        "frames": pictures.unflatten(0, (batch, crops)),
        "frames_mask": shown,
    }


@pytest.fixture(params=FRAME_POOLS)
def pooled_model(request):
    return make(frame_pool=request.param)


def test_names_are_those_of_the_frame_encoders():
    assert list(FRAME_MODELS) == list_frame_models()


def test_streams_are_what_the_model_reads():
    assert make_config(streams="geometry,patches").streams == "geometry,frames"
    assert make_config("dan").streams == "geometry,frames"


def test_forward_is_features_then_head(pooled_model):
    inputs = make_inputs()
    model = pooled_model.eval()
    logits, attention = model.forward_with_attention(**inputs)
    assert logits.shape == (3, CLASSES)
    features = model.forward_features(**inputs)
    assert features.shape == (3, model.num_features)
    assert torch.equal(logits, model.forward_head(features))
    mask = inputs["mask"]
    torch.testing.assert_close(attention.frames.sum(dim=1), torch.ones(3))
    assert not attention.frames[~mask].any()
    torch.testing.assert_close(attention.nodes.sum(dim=2), mask.float())


def test_attention_lies_on_the_frames_that_the_crops_are_from():
    model = make(frame_pool="mean").eval()
    frames = model.forward_with_attention(**make_inputs())[1].frames
    torch.testing.assert_close(frames[0], torch.eye(8)[0])
    torch.testing.assert_close(frames[2], torch.eye(8)[[0, 4, 7]].sum(dim=0) / 3)


def test_gradient_reaches_encoder_pool_and_classifier(pooled_model):
    model = pooled_model.train()
    F.cross_entropy(model(**make_inputs()), torch.tensor([0, 1, 2])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_crops_without_faces_have_no_influence(pooled_model):
    """In evaluation, in the gradients of training, and in the statistics of batch normalisation."""
    inputs = make_inputs()
    other = {**inputs, "frames": inputs["frames"].clone(), "geometry": inputs["geometry"] + 1}
    other["frames"][~inputs["frames_mask"]] = 200
    found = []
    for batch in (inputs, other):
        model = make(frame_pool=pooled_model.config.frame_pool).train()
        torch.manual_seed(1)
        model(**batch).square().sum().backward()
        model.eval()
        found.append([model(**batch), *(p.grad for p in model.parameters()), *model.buffers()])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@torch.no_grad()
def test_a_window_does_not_depend_on_its_batch(pooled_model):
    inputs = make_inputs()
    model = pooled_model.eval()
    alone = {name: value[1:2] for name, value in inputs.items()}
    torch.testing.assert_close(model(**inputs)[1:2], model(**alone), atol=1e-5, rtol=1e-5)


def test_what_was_read_before_counts_like_the_crops(pooled_model):
    """As the live program keeps it."""
    inputs = make_inputs()
    model = pooled_model.eval()
    with torch.inference_mode():
        encoded = model.encode_frames(inputs["frames"].flatten(0, 1)).unflatten(0, (3, 3))
        torch.testing.assert_close(model(**{**inputs, "frames": encoded}), model(**inputs), atol=1e-5, rtol=1e-5)


def test_no_face_at_all_gives_finite_logits_and_gradients(pooled_model):
    inputs = make_inputs()
    inputs["mask"][:] = inputs["frames_mask"][:] = False
    model = pooled_model.eval()
    logits, attention = model.forward_with_attention(**inputs)
    assert torch.isfinite(logits).all()
    assert not attention.frames.any()
    assert not attention.nodes.any()
    F.cross_entropy(model.train()(**inputs), torch.tensor([0, 1, 2])).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", ["dan", TINY])
def test_pictures_are_windows_of_one_frame_even_one_at_a_time(name):
    """Batch normalisation needs two rows, of crops and of features."""
    inputs = make_inputs(batch=1, crops=1)
    model = make(name, stream_frames=1).train()
    logits = model(**inputs)
    assert logits.shape == (1, CLASSES)
    F.cross_entropy(logits, torch.tensor([0])).backward()
    model = make(name, stream_frames=1, frame_pool="mean").eval()
    with torch.no_grad():
        features = model.encode_frames(inputs["frames"][0])
        torch.testing.assert_close(model(**inputs), model.forward_head(features))


@pytest.mark.parametrize("name", ["dan", "psr", "resnet18-fi-sa"])
def test_training_gives_what_losses_need(name):
    inputs = make_inputs(batch=2)
    model = make(name, frame_pool="attention").train()
    logits, extras = model.forward_training(**inputs)
    assert logits.shape == (2, CLASSES)
    assert torch.equal(extras["frame_valid"], inputs["frames_mask"])
    assert extras["features"].shape == (2, model.num_features)
    assert extras["frame_features"].shape[:2] == (2, 3)
    assert not extras["frame_features"][~inputs["frames_mask"]].any()
    if name == "dan":
        assert extras["heads"].shape == (2, 3, 4, 512)
        assert not extras["heads"][~inputs["frames_mask"]].any()
    elif name == "psr":
        # Each branch has a feature of its own, and says something of its own about the window.
        probabilities = extras["branch_logits"].softmax(dim=2).mean(dim=1)
        torch.testing.assert_close(logits.softmax(dim=1), probabilities)
    else:
        assert extras["cosine"].abs().max() <= 1


def test_models_of_landmarks_give_features_to_losses():
    model = create_model(ModelConfig(width=16, heads=2), CLASSES, WINDOW).eval()
    inputs = make_inputs()
    logits, extras = model.forward_training(**inputs)
    assert torch.equal(logits, model(**inputs))
    assert list(extras) == ["features"]
    assert torch.equal(model.forward_head(extras["features"]), logits)


def test_reset_classifier():
    model = make("dan", frame_pool="statistics").eval()
    model.reset_classifier(3)
    assert model(**make_inputs()).shape == (3, 3)
    assert model.num_classes == 3


def test_checkpoint(tmp_path):
    """It holds all weights: the file that some are from need not be there."""
    start = tmp_path / "start.safetensors"
    save_file({name: value.clone() for name, value in make().encoder.trunk.state_dict().items()}, start)
    config = make_config(frame_weights=str(start))
    model = create_model(config, CLASSES, WINDOW).eval()
    path = tmp_path / "model.safetensors"
    labels = [f"class {number}" for number in range(CLASSES)]
    save_checkpoint(path, model, labels=labels, model_config=config, window=WINDOW, dataset="folder")
    start.unlink()
    loaded = load_checkpoint(path)
    assert loaded.model_config.streams == "geometry,frames"
    with torch.no_grad():
        assert torch.equal(loaded.model(**make_inputs()), model(**make_inputs()))
    path.with_suffix(".json").write_text(path.with_suffix(".json").read_text().replace("test_efficientnet", "dan"))
    with pytest.raises(CheckpointError, match="do not fit the model"):
        load_checkpoint(path)


def test_weights_of_an_encoder_of_a_trunk_and_of_a_model_of_clips(tmp_path):
    trained = make("vgg13-ferplus", classes=8, frame_pool="statistics")
    clips, encoder = tmp_path / "clips.safetensors", tmp_path / "encoder.safetensors"
    save_file(trained.state_dict(), clips)
    state = {name: value.clone() for name, value in trained.encoder.state_dict().items()}
    save_file({**state, "head.weight": torch.zeros(8, 1024), "head.bias": torch.zeros(8)}, encoder)
    for path in (clips, encoder):  # another pool and other classes: the classifier is made anew
        model = make("vgg13-ferplus", frame_pool="mean", frame_weights=str(path))
        for name, value in model.encoder.state_dict().items():
            assert torch.equal(value, state[name])
        assert model.head.weight.shape == (CLASSES, 1024)
        assert model.head.weight.any()


def test_weights_that_do_not_fit_are_told(tmp_path):
    path = tmp_path / "other.safetensors"
    state = make("vgg13-ferplus").encoder.state_dict()
    last = [name for name in state if name.endswith("weight")][-1]
    save_file({**state, last: torch.zeros(7, 7)}, path)
    with pytest.raises(StgtError, match=r"other.safetensors do not fit .*vgg13-ferplus.*\(7, 7\) instead of"):
        make("vgg13-ferplus", frame_weights=str(path))
    with pytest.raises(StgtError, match="do not belong to"):
        make(frame_weights=str(path))


def test_a_classifier_with_batch_normalisation_is_fine_tuned_label_by_label(tmp_path):
    labels = ("anger", "fear", "sadness", "contempt", "calm")
    path = tmp_path / "model.safetensors"
    config = make_config("dan", frame_pool="mean")
    trained = make("dan", frame_pool="mean")
    save_checkpoint(path, trained, labels=labels, model_config=config, window=WINDOW, dataset="folder")
    model = make("dan", classes=3, frame_pool="mean")
    before = model.head[0].weight.clone()
    transfer_weights(model, ("calm", "surprise", "anger"), load_checkpoint(path))
    assert torch.equal(model.head[0].weight[[0, 2]], trained.head[0].weight[[4, 0]])
    assert torch.equal(model.head[0].weight[1], before[1])
    assert torch.equal(model.encoder.trunk.conv1.weight, trained.encoder.trunk.conv1.weight)


def test_subjects_that_an_encoder_has_seen_are_known(tmp_path):
    path = tmp_path / "model.safetensors"
    extra = {"training_subjects": ["S1"]}
    labels = [f"class {number}" for number in range(CLASSES)]
    save_checkpoint(
        path, make(), labels=labels, model_config=make_config(), window=WINDOW, dataset="folder", extra=extra
    )
    assert encoder_source(make_config(frame_weights=str(path))) == str(path)
    assert encoder_source(make_config()) is None
    with pytest.raises(StgtError, match=r"--model.frame_weights .* 1 of the subjects of folder.*S1"):
        refuse_leak(str(path), "folder", {"S1", "S2"}, "model.frame_weights")
    path.with_suffix(".json").write_text("{}")
    assert encoder_source(make_config(frame_weights=str(path))) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "dam"}, "unknown model 'dam'; did you mean dan"),
        ({"name": "frames:resnet19"}, r"'resnet19'.*no model of timm.*did you mean resnet18"),
        ({"name": "resnet18"}, "for timm's model of this name say frames:resnet18"),
        ({"frame_pool": "median"}, "frame_pool is 'median'; it is mean, max"),
        ({"stream_frames": 0}, "at least one frame"),
        ({"frame_size": 32}, "64 to 260"),
        ({"frame_weights": "none.safetensors"}, "none.safetensors are not a file"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(StgtError, match=message):
        make(**settings)


def test_crops_are_needed():
    inputs = make_inputs()
    with pytest.raises(StgtError, match="reads face crops alone"):
        make()(inputs["geometry"], inputs["mask"])


def test_a_frame_encoder_reads_the_frames_stream_of_stgt():
    config = ModelConfig(
        streams="geometry,frames", backbone="resnet18-fi-sa", frame_size=64, stream_frames=3, width=16, heads=2
    )
    model = create_model(replace(config, modality_dropout=0.0), CLASSES, WINDOW).train()
    inputs = make_inputs()
    F.cross_entropy(model(**inputs), torch.tensor([0, 1, 2])).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.frame_encoder.backbone.parameters())
    model.eval()
    with torch.no_grad():
        seen = model(**inputs)
        assert not torch.equal(seen, model(**{**inputs, "frames": 255 - inputs["frames"]}))
        encoded = model.encode_frames(inputs["frames"].flatten(0, 1)).unflatten(0, (3, 3))
        torch.testing.assert_close(model(**{**inputs, "frames": encoded}), seen, atol=1e-5, rtol=1e-5)
    with pytest.raises(StgtError, match=r"no model 'resnet19'.*did you mean resnet18"):
        create_model(replace(config, backbone="resnet19"), CLASSES, WINDOW)


def test_normalisation_over_processes_keeps_the_activations_of_timm():
    """EfficientNets of timm activate within their normalisation layers."""
    inputs = make_inputs()
    model, shared = make(frame_pool="mean"), make(frame_pool="mean")
    share_statistics(shared)
    assert list(shared.state_dict()) == list(model.state_dict())
    for training in (True, False):
        expected, found = model.train(training)(**inputs), shared.train(training)(**inputs)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
