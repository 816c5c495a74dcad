"""Other people's landmarks, trained on and scored without any video."""

import numpy as np
import pytest

from stgt import datasets, evaluate, train
from stgt.data.interchange import write_tracks
from stgt.errors import StgtError
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face

SMALL = [
    *("--model.width", "16", "--model.blocks", "2", "--model.heads", "2", "--optimisation.epochs", "2"),
    *("--window.frames", "8", "--fold", "0", "--workers", "1", "--name", "run"),
]


def expression(label: str, subject: int, seed: int) -> LandmarkTrack:
    """A second of a face without depth: the lips widen, or the jaw falls."""
    rng = np.random.default_rng([subject, seed])
    times = np.arange(25) / 25
    face = np.repeat(load_reference_face().points[None].astype(np.float64), len(times), axis=0)
    amount = np.sin(np.pi * times)[:, None]
    if label == "happiness":
        face[:, [61, 291], 0] *= 1 + 0.3 * amount
    else:
        face[:, [17, 14, 152, 84, 314, 178, 402], 1] += 0.3 * amount
    points = 120 * (face + np.random.default_rng(subject).normal(0, 0.01, (478, 3))) + (300, 220, np.nan)
    count = len(times)
    return LandmarkTrack(
        points=points + rng.normal(0, 0.3, points.shape),
        times=times,
        valid=np.ones(count, bool),
        blendshapes=np.full((count, 52), np.nan),
        transforms=np.full((count, 4, 4), np.nan),
        image_size=(640, 480),
        source="made",
    )


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory):
    """Four subjects, two classes, CSV and npz side by side."""
    root = tmp_path_factory.mktemp("landmarks")
    for subject in range(4):
        for label in ("happiness", "surprise"):
            for take, suffix in enumerate((".csv", ".npz")):
                (root / label).mkdir(exist_ok=True)
                write_tracks(expression(label, subject, take), root / label / f"s{subject}_{take}{suffix}")
    return root


def where(landmarks, tmp_path):
    who = ("--subject_pattern", "/(s\\d)_")
    return ["--dataset", "folder", "--root", str(landmarks), *who, "--cache", str(tmp_path / "cache")]


@pytest.mark.usefixtures("figures_are_blank")
def test_trained_and_scored_without_video(landmarks, tmp_path, capsys):
    place = where(landmarks, tmp_path)
    assert datasets.main(["check", "folder", *place[2:6], "--workers", "1"]) == 0
    assert "16 of 16 clips readable, 400 frames" in capsys.readouterr().out
    assert not train.main([*place, *SMALL, "--output", str(tmp_path)])
    assert "16 clips, 4 subjects, 2 classes" in " ".join(capsys.readouterr().out.split())
    model = tmp_path / "run/stgt/fold_0/model.safetensors"
    rest = tmp_path / "others"
    for label in ("happiness", "surprise"):
        (rest / label).mkdir(parents=True)
        write_tracks(expression(label, 9, 0), rest / label / "s9_0.csv")
    options = [*where(rest, tmp_path), "--checkpoint", str(model), "--output", str(tmp_path / "scores")]
    assert not evaluate.main([*options, "--device", "cpu"])
    assert "2 clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--model.layout", "mediapipe146"), "model.layout=landmarks68"),
        (("--model.streams", "geometry,actions"), "actions needs blendshapes"),
        (("--model.streams", "geometry,patches"), "without pictures"),
    ],
)
def test_models_that_need_more_say_so(landmarks, tmp_path, option, sentence):
    with pytest.raises(StgtError, match=sentence) as raised:
        train.main([*where(landmarks, tmp_path), *SMALL, *option, "--output", str(tmp_path)])
    assert "\n" not in str(raised.value)


def test_a_damaged_track_is_skipped_and_named(landmarks, tmp_path, capsys):
    import shutil

    from stgt import prepare

    root = tmp_path / "some"
    shutil.copytree(landmarks, root)
    (root / "happiness/s0_0.csv").write_text("frame,x_0\n1,2\n")
    assert prepare.main([*where(root, tmp_path), "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "skipped: happiness/s0_0: " in out
    assert "no column x_1, x_2, x_3 and 132 more" in out
