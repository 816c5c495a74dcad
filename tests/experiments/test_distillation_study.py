"""The study of distillation: which trainings it asks for, and what it makes of them."""

from types import SimpleNamespace

import distillation as study
import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable
from stgt.learning.distillation.results import STUDENT_ALONE, STUDENT_TAUGHT, TEACHER


def predictions(right):
    """So many of eight clips are right."""
    sure = np.where(np.arange(8) < right, 0.9, 0.1)
    return PredictionTable(
        labels=("a", "b"),
        clip_ids=tuple("ABCDEFGH"),
        subjects=tuple("11223344"),
        folds=np.zeros(8),
        truth=("a",) * 8,
        probabilities=np.column_stack([sure, 1 - sure]),
    )


def outcome(sentence):
    rows = [SimpleNamespace(name=name, parameters=120_000) for name in (TEACHER, STUDENT_ALONE, STUDENT_TAUGHT)]
    comparison = SimpleNamespace(rows=rows, to_markdown=lambda: "a table\n", to_dict=lambda: {"seeds": 2})
    students = [
        SimpleNamespace(alone=SimpleNamespace(honest=predictions(4)), taught=SimpleNamespace(honest=predictions(6)))
    ] * 2
    distilled = SimpleNamespace(teacher=predictions(7), students=students)
    return SimpleNamespace(sentence=sentence, comparison=comparison, distilled=distilled)


@pytest.fixture
def asked(monkeypatch):
    """What would have been trained: teachers, then students."""
    asked = []
    monkeypatch.setattr(study, "find_material", lambda request: request)
    monkeypatch.setattr(study, "fit", lambda _, config: asked.append(config))
    monkeypatch.setattr(study, "distill", lambda words: asked.append(words) or outcome("Rendered."))
    monkeypatch.setattr(study, "read", lambda words: words)
    return asked


def test_each_teacher_is_trained_once_and_teaches_its_students(asked, tmp_path):
    (tmp_path / "labels.csv").write_text("there already")
    study.main(["--root", str(tmp_path), "--output", str(tmp_path / "out"), "--seeds", "2", "--cache", "somewhere"])
    fused, fused_words, pretrained_words, frames, frames_words = asked
    assert fused.model.streams == "geometry,actions,frames"
    assert frames.model.name == "frames:resnet18"
    for teacher, words in ((fused, fused_words), (frames, frames_words)):
        assert (teacher.fold, teacher.validation, teacher.cache) == (0, 0, "somewhere")
        assert words[words.index("--teacher") + 1] == f"{teacher.output}/{teacher.name}"
        assert words[words.index("--seeds") + 1] == "2"
        assert {"--fold=0", "--validation=0", f"--root={tmp_path}", "--cache", "somewhere"} <= set(words)
    assert fused_words[fused_words.index("--student") + 1].endswith("light.yaml")
    assert pretrained_words[:4] == ["--teacher", "pretrained", "--student", fused_words[3]]
    text = (tmp_path / "out" / "distillation.md").read_text()
    assert text.count("a table") == 3
    assert "**frames: ResNet-18 teaches MobileNetV3.** Rendered." in text
    assert (tmp_path / "out" / "distillation.png").stat().st_size > 10_000


@pytest.mark.usefixtures("figures_are_blank")
def test_one_pair_quickly(asked, tmp_path):
    (tmp_path / "labels.csv").write_text("there already")
    study.main(["--root", str(tmp_path), "--output", str(tmp_path), "--pairs", "frames", "--quick"])
    teacher, words = asked
    assert teacher.optimisation.epochs == study.QUICK_EPOCHS
    assert f"--optimisation.epochs={study.QUICK_EPOCHS}" in words
    with pytest.raises(StgtError, match="--pairs names 'heavy'; the pairs are fused, pretrained, frames"):
        study.main(["--pairs", "heavy"])


def test_the_light_student_is_a_recipe_of_under_a_million_parameters():
    from stgt.models import create_model
    from stgt.train import parse

    config = parse(["--dataset", "synthetic", "--config", study.find_pair("fused").student])
    assert config.model.streams == "geometry"
    model = create_model(config.model, 8, config.window)
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
