"""Distillation from the command line, on rendered pixels: by the teacher's folds, never by one who knows the test."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from stgt.config import ModelConfig, OptimisationConfig, WindowConfig
from stgt.distill import main as distill
from stgt.engines.choice import best_times
from stgt.engines.parity import random_windows
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable
from stgt.faces.drawing import VideoWriter
from stgt.faces.video import open_source
from stgt.learning.distillation.config import DistillationConfig
from stgt.learning.distillation.layers import channels_of
from stgt.learning.distillation.module import DistillationModule
from stgt.learning.distillation.teachers import Teachers, student_defaults
from stgt.learning.distillation.teaching import Teacher
from stgt.learning.losses import TrainingLoss
from stgt.learning.module import ExpressionModule
from stgt.learning.progress import ProgressBar
from stgt.models.checkpoint import load_checkpoint, save_checkpoint, seen_subjects
from stgt.models.registry import create_model
from stgt.train import main as train

SUBJECTS = ("P1", "P2", "P3")
#: Settings that make a student small.
SMALL = shlex.split(
    "--model.width 16 --model.heads 2 --model.blocks 2 --batch_size 2 --optimisation.learning_rate 0.005"
)
WINDOW = shlex.split("--window.frames 8")


@pytest.fixture(autouse=True)
def timed_in_few_rounds(monkeypatch):
    """What a window costs is measured for a moment only."""

    def briefly(engines, windows, rounds, longest_s):
        return best_times(engines, windows, min(rounds, 2), longest_s)

    monkeypatch.setattr("stgt.learning.distillation.results.best_times", briefly)


@pytest.fixture(scope="module")
def places(tmp_path_factory, rendered_face_clip) -> list[str]:
    """A folder of clips, two classes and three subjects who differ in brightness; and a cache."""
    root = tmp_path_factory.mktemp("taught_clips")
    with open_source(rendered_face_clip) as source:
        frames = [rgb for _, rgb in source]
    for index, subject in enumerate(SUBJECTS):
        look = [np.clip(frame.astype(np.float32) * (0.75 + 0.12 * index), 0, 255).astype(np.uint8) for frame in frames]
        for label, shown in (("neutral", look[:4] * 3), ("happiness", look[-12:])):
            with VideoWriter(root / label / f"{subject}_a.mp4", 16, (look[0].shape[1], look[0].shape[0])) as writer:
                for rgb in shown:
                    writer.write(rgb)
    cache = tmp_path_factory.mktemp("taught_cache")
    return ["--root", str(root), "--cache", str(cache), "--subject_pattern", r"(P\d)_", "--dataset", "folder"]


@pytest.fixture(scope="module")
def teacher(places, tmp_path_factory, blank_figures) -> Path:
    """The run of a fused model by all three folds."""
    output = tmp_path_factory.mktemp("teacher")
    fused = ["--streams", "geometry,actions,patches", "--model.patch_size", "6"]
    with blank_figures():
        train([*places, *SMALL, *WINDOW, *fused, "--epochs", "1", "--output", str(output), "--name", "run"])
    return output / "run"


def teach(teacher: Path | str, output: Path, *more: str, epochs: int = 1, name: str = "run") -> Path:
    """Distil; whatever is not said comes from the teacher's run."""
    distill(
        ["--teacher", str(teacher), "--output", str(output), "--name", name, *SMALL, "--epochs", str(epochs), *more]
    )
    return output / name


@pytest.mark.usefixtures("figures_are_blank")
def test_students_are_taught_by_the_teacher_of_their_fold(teacher, tmp_path, capsys):
    run = teach(teacher, tmp_path, "--seeds", "2")
    result = json.loads((run / "distillation.json").read_text())
    assert set(result["models"]) == {"teacher", "student alone", "student distilled"}
    assert result["models"]["student distilled"]["pooled"]["clips"] == 2 * 6
    assert result["models"]["student distilled"]["parameters"] < result["models"]["teacher"]["parameters"]
    tables = [
        PredictionTable.from_csv(run / f"seed_{seed}/distilled/fold_{fold}/predictions.csv")
        for seed in (0, 1)
        for fold in range(3)
    ]
    right = np.mean([np.array(table.predicted) == np.array(table.truth) for table in tables])
    assert result["models"]["student distilled"]["war"]["mean"] == pytest.approx(right)
    for fold in range(3):
        student = json.loads((run / f"seed_0/distilled/fold_{fold}/model.json").read_text())
        its_teacher = json.loads((teacher / f"stgt/fold_{fold}/model.json").read_text())
        assert student["extra"]["distilled_from"]["weights_sha256"] == its_teacher["weights_sha256"]
        assert "distilled_from" not in json.loads((run / f"seed_0/alone/fold_{fold}/model.json").read_text())["extra"]
        # The teacher's own scores, on the clips of its fold.
        before = PredictionTable.from_csv(teacher / f"stgt/fold_{fold}/predictions.csv")
        now = PredictionTable.from_csv(run / f"teacher/fold_{fold}.csv")
        assert np.allclose(before.probabilities, now.probabilities, atol=1e-5)
    lessons = json.loads((run / "seed_0/distilled/fold_0/lessons.json").read_text())
    assert lessons["attention"] == ["frames", "nodes"]
    assert set(lessons["layers"]) == {"blocks.0", "blocks.1", "features", "spatial_transformer", "temporal_transformer"}
    # Students may teach in their turn, and those of one kind are not those of the other.
    alone, taught = (Teachers.find(str(run / "seed_1" / kind)) for kind in ("alone", "distilled"))
    assert student_defaults(taught)["dataset"] == "folder"
    assert student_defaults(taught)["window.frames"] == 8
    assert taught.fingerprint() != alone.fingerprint()
    page, printed = (run / "report.html").read_text(), capsys.readouterr().out
    for text in (page, printed):
        for name in ("student distilled", "student alone", "teacher"):
            assert name in text
    assert "95 % interval of the UAR difference" in printed
    assert "6 clips" in printed


@pytest.mark.usefixtures("figures_are_blank")
def test_an_interrupted_distillation_ends_as_an_undisturbed_one(teacher, tmp_path, monkeypatch):
    masked = ("--fold", "0", "--masked_frames", "0.3")
    undisturbed = teach(teacher, tmp_path, *masked, epochs=2, name="undisturbed")
    heard = []

    def interrupt(self, model, fold, row):
        heard.append(row)
        if len(heard) == 4:  # the second epoch of the student distilled, after two of the one alone
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ProgressBar, "epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            teach(teacher, tmp_path, *masked, epochs=2, name="disturbed")
    assert (tmp_path / "disturbed/seed_0/distilled/fold_0/resume.safetensors").exists()
    disturbed = teach(teacher, tmp_path, *masked, epochs=2, name="disturbed")
    for kind in ("alone", "distilled"):
        for name in ("predictions.csv", "model.safetensors", "model.json"):
            first, second = ((run / "seed_0" / kind / "fold_0" / name).read_bytes() for run in (undisturbed, disturbed))
            assert first == second, f"{name} of {kind} differs"
    weights = [
        (undisturbed / "seed_0" / kind / "fold_0" / "model.safetensors").read_bytes() for kind in ("alone", "distilled")
    ]
    assert weights[0] != weights[1]
    with pytest.raises(StgtError, match=r"other settings \(distillation\.temperature: 3\.0, now 5\.0\)"):
        teach(teacher, tmp_path, *masked, "--temperature", "5", epochs=2, name="disturbed")


@pytest.mark.usefixtures("figures_are_blank")
def test_a_model_of_frames_teaches_one_of_landmarks_on_the_folds_that_it_has(places, tmp_path):
    frames = ["--model.name", "frames:test_efficientnet", "--model.frame_size", "64", "--model.stream_frames", "2"]
    common = ["--batch_size", "2", "--epochs", "1", "--fold", "1", "--output", str(tmp_path), "--name", "frames"]
    train([*places, *WINDOW, *frames, *common])
    with pytest.raises(StgtError, match="has not finished fold 0; finish it with stgt train"):
        teach(tmp_path / "frames", tmp_path)
    recipe = tmp_path / "student.yaml"
    recipe.write_text("model:\n  streams: geometry,actions\n")
    run = teach(tmp_path / "frames", tmp_path, "--student", str(recipe), "--fold", "1")
    lessons = json.loads((run / "seed_0/distilled/fold_1/lessons.json").read_text())
    assert lessons["attention"] == ["frames"]
    assert "encoder.trunk.blocks.0" in lessons["layers"]
    assert load_checkpoint(run / "seed_0/distilled/fold_1/model.safetensors").model_config.streams == "geometry,actions"


def test_a_teacher_who_knows_the_test_is_refused_by_name(teacher, places, tmp_path):
    other = teacher / "stgt/fold_1/model.safetensors"
    with pytest.raises(StgtError, match=r"trained on the subject P1, on whom fold 0 tests the student.*leak"):
        teach(other, tmp_path, *places, "--fold", "0")
    # A student knows whom its teacher has seen, and teaches no one who is tested on them.
    meta = json.loads((teacher / "stgt/fold_1/model.json").read_text())
    assert seen_subjects({"dataset": "x", "extra": {"distilled_from": meta}}, "folder") == {"P1", "P3"}


def test_teachers_who_cannot_teach_are_refused_in_one_sentence(teacher, places, tmp_path):
    torch.manual_seed(0)
    labels, config, window = ("neutral", "fear"), ModelConfig(width=16, heads=2, blocks=2), WindowConfig(frames=8)
    stranger = tmp_path / "stranger.safetensors"
    model = create_model(config, 2, window)
    save_checkpoint(stranger, model, labels=labels, model_config=config, window=window, dataset="made")
    with pytest.raises(StgtError, match="knows neutral, fear, but the student is to learn .*happiness.*same labels"):
        teach(stranger, tmp_path, *places)
    with pytest.raises(StgtError, match="does not say which dataset"):
        teach(stranger, tmp_path)
    with pytest.raises(StgtError, match=r"the student's window\.frames is 12, but its teacher .* has 8"):
        teach(teacher, tmp_path, "--window.frames", "12")
    with pytest.raises(StgtError, match="neither a run folder of stgt train nor a checkpoint"):
        teach(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StgtError, match="holds no trained fold"):
        teach(tmp_path / "empty", tmp_path)
    with pytest.raises(StgtError, match=r"--student .*light\.yaml is not there"):
        teach(teacher, tmp_path, "--student", "light.yaml")
    with pytest.raises(StgtError, match="--compare is not for a distillation"):
        teach(teacher, tmp_path, "--compare", "stgcn")
    with pytest.raises(StgtError, match="unknown model 'sgt'"):
        teach(teacher, tmp_path, "--student", "sgt", "--fold", "0")


def test_a_student_comes_to_say_what_its_teacher_says_whatever_the_order_of_labels(tmp_path):
    torch.manual_seed(0)
    labels, window = ("neutral", "happiness", "fear"), WindowConfig(frames=8)
    config = ModelConfig(width=16, heads=2, blocks=2, dropout=0.0, identity_dropout=0.0)
    model = create_model(config, 3, window)
    with torch.no_grad():
        model.head.weight.mul_(8)  # a teacher with opinions
    path = tmp_path / "teacher.safetensors"
    save_checkpoint(path, model, labels=labels, model_config=config, window=window, dataset="x", temperature=2.0)
    order = ("fear", "neutral", "happiness")
    teacher = Teacher.load(str(path), order)
    batch = random_windows(config, window, 12, seed=1)
    told, _ = teacher.teach(batch)
    assert torch.allclose(told, model.eval()(**batch.inputs)[:, [2, 0, 1]] / 2, atol=1e-5)

    student = create_model(config, 3, window)
    optimisation = OptimisationConfig(class_weights=False)
    plain = ExpressionModule(student, optimisation, TrainingLoss.for_model(student, optimisation, None), (1,), 0)
    channels, attention = channels_of(student.eval(), batch.inputs)
    lessons = DistillationConfig(str(path), labels=0.0, masked_frames=0.0)
    module = DistillationModule(plain, teacher, lessons, channels, attention).train()
    batch = type(batch)(**{**vars(batch), "target": torch.zeros(12, dtype=torch.int64)})

    def disagreement() -> float:
        with torch.no_grad():
            return float((student.eval()(**batch.inputs).softmax(1) - told.softmax(1)).abs().sum(1).mean())

    before = disagreement()
    module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3)
    for _ in range(15):
        optimizer.zero_grad()
        module.training_loss(batch).backward()
        optimizer.step()
    assert disagreement() < 0.5 * before
    assert not any(name.startswith("teacher") for name in module.state_dict())
    assert not teacher.model.training
    assert all(parameter.grad is None for parameter in teacher.model.parameters())
