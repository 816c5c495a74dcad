"""``stgt train`` with a frame encoder: on clips, by its short spelling, with settings that suit it."""

import json

import pytest
import yaml

from stgt.errors import StgtError
from stgt.inference import ExpressionReader
from stgt.train import main as train
from stgt.train import parse


@pytest.fixture(scope="module")
def options(tmp_path_factory, rendered_face_clip):
    """Two subjects, two classes; the same face in every file, for nothing is to be learned here."""
    root = tmp_path_factory.mktemp("clips")
    content = rendered_face_clip.read_bytes()
    for number, name in enumerate(("neutral/P1", "neutral/P2", "happiness/P1", "happiness/P2")):
        path = root / f"{name}_a.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content + bytes(number))
    places = ["--root", str(root), "--cache", str(tmp_path_factory.mktemp("cache"))]
    return ["--dataset", "folder", "--subject_pattern", r"(P\d)_", *places, "--validation", "0", "--epochs", "1"]


@pytest.mark.usefixtures("figures_are_blank")
def test_a_timm_model_is_trained_scored_read_and_started_from(options, tmp_path, capsys, rendered_face_clip):
    small = ["--model=frames:test_efficientnet", "--pool", "statistics", "--model.frame_size", "64"]
    train([*options, *small, "--output", str(tmp_path), "--name", "run"])
    said = capsys.readouterr()
    assert "reads face crops and no landmarks: 4 crops of a window at 64 pixels, pooled by statistics" in said.err
    fold = tmp_path / "run" / "frames-test_efficientnet" / "fold_0"
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["models"]["frames:test_efficientnet"]["honest"]["pooled"]["clips"] == 4
    checkpoint = fold / "model.safetensors"
    reading = ExpressionReader(checkpoint, device="cpu", engine="torch").read(rendered_face_clip)
    assert reading[0].valid_share == 1
    with pytest.raises(StgtError, match=r"--model.frame_weights .* 1 of the subjects of folder .*leak"):
        train([*options, *small, "--model.frame_weights", str(checkpoint), "--output", str(tmp_path)])


def test_a_name_that_there_is_not_is_told_before_clips_are_prepared(options, monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("clips were prepared")

    monkeypatch.setattr("stgt.data.preparation.prepare.prepare_clips", refuse)
    with pytest.raises(StgtError, match="did you mean resnet18"):
        train([*options, "--model", "frames:resnet19"])


def test_settings_are_those_that_suit_the_model(tmp_path):
    def fitted(*arguments):
        config = parse(["--dataset", "synthetic", *arguments]).optimisation
        return config.learning_rate, config.batch_size, config.loss

    landmarks, scratch = (2e-3, 32, "cross_entropy"), (5e-4, 16, "paper")
    assert fitted() == fitted("--model", "stgcn") == landmarks
    assert fitted("--model", "dan") == scratch
    assert fitted("--model", "frames:resnet18") == (5e-4, 16, "cross_entropy")
    assert fitted("--model", "dan", "--model.frame_weights", "timm") == (2e-4, 16, "paper")
    # Others have no paper's loss.
    assert fitted("--model", "dan", "--compare", "stgt") == (5e-4, 16, "cross_entropy")
    assert fitted("--model", "dan", "--optimisation.learning_rate", "0.1", "--batch_size", "4") == (0.1, 4, "paper")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"model": {"name": "dan"}, "optimisation": {"batch_size": 8}}))
    assert fitted("--config", str(recipe)) == (5e-4, 8, "paper")
