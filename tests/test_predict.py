import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import CheckpointError, StgtError
from stgt.faces.video import open_source
from stgt.inference import ExpressionReader
from stgt.models.checkpoint import save_checkpoint
from stgt.models.registry import create_model
from stgt.predict import choose_outputs, expand, file_names, find_sources, main

LABELS = ("neutral", "happiness", "surprise")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    config, window = ModelConfig(layout="landmarks68", width=16, blocks=2), WindowConfig(frames=8, hop_s=0.2)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model = create_model(config, len(LABELS), window)
    save_checkpoint(path, model, labels=LABELS, model_config=config, window=window, dataset="none")
    return str(path)


@pytest.fixture
def images(tmp_path, rendered_face_clip) -> Path:
    """A folder of images: the face, and in the second half nothing but grey."""
    folder = tmp_path / "images"
    folder.mkdir()
    with open_source(rendered_face_clip) as source:
        frames = [rgb for _, rgb in source][:12]
    for index in range(24):
        rgb = frames[index] if index < 12 else np.full_like(frames[0], 128)
        cv2.imwrite(str(folder / f"{index}.png"), rgb[..., ::-1])
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_gets_table_plot_and_annotated_video(tmp_path, checkpoint, rendered_face_clip, capsys):
    out = tmp_path / "out"
    assert main([str(rendered_face_clip), "--checkpoint", checkpoint, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"predictions.csv", "sample.png", "sample.annotated.mp4"}
    header = (out / "predictions.csv").read_text().splitlines()[0]
    assert header == "source,start_s,end_s,face,label,confidence,valid_share,p_neutral,p_happiness,p_surprise"
    rows = table(out / "predictions.csv")
    for row in rows:
        probabilities = {label: float(row[f"p_{label}"]) for label in LABELS}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert row["label"] == max(probabilities, key=probabilities.get)
        assert float(row["confidence"]) == pytest.approx(max(probabilities.values()))
        assert (row["source"], row["face"], row["valid_share"]) == (str(rendered_face_clip), "0", "1")
    starts = [float(row["start_s"]) for row in rows]
    assert starts == sorted(starts)
    with open_source(rendered_face_clip) as before, open_source(out / "sample.annotated.mp4") as after:
        assert after.frame_count == before.frame_count
        assert after.image_size[0] > after.image_size[1] * before.image_size[0] / before.image_size[1]
    assert cv2.imread(str(out / "sample.png")) is not None
    printed = capsys.readouterr().out
    assert "as a whole:" in printed
    assert "a face in 100 %" in printed


def test_the_weights_of_stgt_are_read_by_default_and_what_is_unsure_is_called_so(
    tmp_path, checkpoint, rendered_face_clip, monkeypatch, capsys
):
    monkeypatch.setattr("stgt.models.checkpoint.pretrained_path", lambda: Path(checkpoint))
    assert main([str(rendered_face_clip), "--min-confidence", "0.9", "--out", str(tmp_path / "o.json")]) == 0
    rows = json.loads((tmp_path / "o.json").read_text())
    assert {row["label"] for row in rows} == {"uncertain"}, "an untrained model is never that sure"
    assert all(sum(row[f"p_{label}"] for label in LABELS) == pytest.approx(1, abs=1e-6) for row in rows)
    assert "uncertain" in capsys.readouterr().out
    assert ExpressionReader().labels == LABELS


def test_a_neutral_part_is_what_windows_are_read_against(tmp_path, checkpoint, rendered_face_clip, capsys):
    def read(*options):
        out = tmp_path / "o.json"
        code = main([str(rendered_face_clip), "--checkpoint", checkpoint, "--out", str(out), *options])
        return code, [[row[f"p_{label}"] for label in LABELS] for row in json.loads(out.read_text())]

    assert read()[1] != read("--neutral", "0-0.25")[1]
    expected = ExpressionReader(checkpoint).read(rendered_face_clip, neutral_s=(0.0, 0.25)).probabilities
    np.testing.assert_allclose(read("--neutral=0-.25")[1], expected, atol=1e-6)
    assert main([str(rendered_face_clip), "--checkpoint", checkpoint, "--neutral", "20-30"]) == 2
    assert "sample.mp4 shows no face from 20 to 30 s; give another neutral part" in capsys.readouterr().err


def test_broken_sources_are_named_and_skipped(tmp_path, checkpoint, rendered_face_clip, capsys):
    videos = tmp_path / "videos"
    (videos / "deep").mkdir(parents=True)
    shutil.copy(rendered_face_clip, videos / "deep" / "good.mp4")
    (videos / "broken.mp4").write_bytes(rendered_face_clip.read_bytes()[:200])
    (videos / "empty.avi").touch()
    (videos / "notes.txt").write_text("not a video")
    arguments = [str(videos), "absent.mp4", "--checkpoint", checkpoint, "--out", str(tmp_path / "all.csv")]
    assert main(arguments) == 0
    assert {row["source"] for row in table(tmp_path / "all.csv")} == {str(videos / "deep" / "good.mp4")}
    errors = capsys.readouterr().err
    for name in ("broken.mp4", "empty.avi", "absent.mp4"):
        assert name in errors
    assert "notes.txt" not in errors
    assert {path.name for path in tmp_path.iterdir()} == {"videos", "all.csv"}, "a table alone was asked for"


def test_nothing_readable_is_bad_input(tmp_path, checkpoint, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    assert main([str(tmp_path / "broken.mp4"), "--checkpoint", checkpoint, "--out", str(tmp_path / "o.csv")]) == 2
    assert "broken.mp4" in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()


def test_images_without_a_face_in_half_of_them_become_json(tmp_path, checkpoint, images, capsys):
    out = tmp_path / "out"
    arguments = [str(images), "--checkpoint", checkpoint, "--out", str(out), "--format", "json", "--frame-rate", "12"]
    assert main([*arguments, "--no-video"]) == 0
    assert {path.name for path in out.iterdir()} == {"predictions.json", "images.png"}
    rows = json.loads((out / "predictions.json").read_text())
    assert list(rows[0]) == [
        *("source", "start_s", "end_s", "face", "label", "confidence", "valid_share"),
        *("p_neutral", "p_happiness", "p_surprise"),
    ]
    assert rows[0]["label"] in LABELS
    assert rows[0]["valid_share"] == 1
    last = rows[-1]
    assert (last["label"], last["confidence"], last["p_neutral"], last["valid_share"]) == ("none", None, None, 0)
    assert last["end_s"] == pytest.approx(23 / 12, abs=1e-3)
    printed = capsys.readouterr().out
    assert "a face in 50 % of its frames" in printed
    assert "no face" in printed


def test_a_source_without_any_face_is_read(tmp_path, checkpoint, images):
    for index in range(12):
        (images / f"{index}.png").unlink()
    assert main([str(images), "--checkpoint", checkpoint, "--out", str(tmp_path / "out")]) == 0
    rows = table(tmp_path / "out" / "predictions.csv")
    assert {(row["label"], row["confidence"], row["p_neutral"], row["valid_share"]) for row in rows} == {
        ("none", "", "", "0")
    }
    assert (tmp_path / "out" / "images.annotated.mp4").exists()


def test_without_out_nothing_is_written(tmp_path, checkpoint, rendered_face_clip, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(rendered_face_clip), "--checkpoint", checkpoint]) == 0
    assert not list(tmp_path.iterdir())
    assert "as a whole:" in capsys.readouterr().out


def test_sources_are_found_in_natural_order(tmp_path, images):
    for name in ("v10.mp4", "v2.flv", ".hidden.mp4", "readme.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    found = find_sources(tmp_path)
    assert [path.name for path in found] == ["v2.flv", "v10.mp4", "images"]
    assert find_sources(tmp_path / "absent.mp4") == [tmp_path / "absent.mp4"]
    sources, failures = expand([str(tmp_path / "empty"), str(images)])
    assert sources == [images]
    assert "no video and no image" in failures[str(tmp_path / "empty")]


def test_results_of_an_earlier_run_are_not_sources(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("v.mp4", "v.annotated.mp4", "out/v.annotated.mp4", "out/v.png"):
        (tmp_path / name).touch()
    assert expand([str(tmp_path)], tmp_path / "out")[0] == [tmp_path / "v.mp4"]
    assert expand([str(tmp_path)], tmp_path)[0][0] == tmp_path / "v.mp4"


def test_an_interrupt_keeps_what_was_read(tmp_path, checkpoint, rendered_face_clip, monkeypatch):
    def interrupted(outputs, name, source, *_):
        if name.endswith("-2"):
            raise KeyboardInterrupt

    monkeypatch.setattr("stgt.predict.write_pictures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([str(rendered_face_clip)] * 3 + ["--checkpoint", checkpoint, "--out", str(tmp_path / "o.csv")])
    starts = [float(row["start_s"]) for row in table(tmp_path / "o.csv")]
    assert starts.count(0.0) == 2, "the first source, and the second that had been read when the interrupt came"


def test_files_of_equal_names_do_not_overwrite_each_other():
    assert file_names([Path("a/x.mp4"), Path("b/x.mp4"), Path("x.avi"), Path("y.v2.mov")]) == [
        "x",
        "x-2",
        "x-3",
        "y.v2",
    ]


def test_where_results_go(tmp_path):
    (tmp_path / "file.txt").touch()
    folder = choose_outputs("out", None, None, None)
    assert (folder.table, folder.plot, folder.video) == (Path("out/predictions.csv"), True, True)
    alone = choose_outputs("a/b.JSON", None, None, True)
    assert (alone.table, alone.folder, alone.plot, alone.video) == (Path("a/b.JSON"), Path("a"), False, True)
    assert choose_outputs(None, None, None, None).table is None
    with pytest.raises(StgtError, match=r"ends in \.csv, but --format is json"):
        choose_outputs("x.csv", "json", None, None)
    with pytest.raises(StgtError, match="is a file"):
        choose_outputs(str(tmp_path / "file.txt"), None, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.mp4", "--neutral", "early"], "--neutral is 'early'; it takes the start and the end of a part in seconds"),
        (["x.mp4", "--neutral", "1"], "--neutral is '1'; it takes"),
        (["x.mp4", "--neutral", "2-0.5"], "--neutral is '2-0.5', an empty part; its end must be after its start"),
        (["x.mp4", "--neutral", "1-1.0"], "an empty part"),
        (["x.mp4", "--min-confidence", "1.5"], "least confidence is 1.5; it is a probability, from 0 to 1"),
        (["x.mp4", "--checkpoint", "absent.safetensors"], "no checkpoint absent.safetensors"),
        (["x.mp4", "--checkpont", "m"], "did you mean --checkpoint"),
        (["x.mp4", "--checkpoint", "m", "--frame-rate", "-1"], "must be positive"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    with pytest.raises((StgtError, CheckpointError), match=message):
        main(arguments)


def test_the_help_is_instant_and_complete():
    command = [sys.executable, "-X", "importtime", "-m", "stgt.predict", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for word in (
        "SOURCE",
        "--checkpoint",
        "--out",
        "--format",
        "--no-plot",
        "--no-video",
        "--min-confidence",
        "--neutral",
        "--device",
        "exit code",
    ):
        assert word in done.stdout, word
    for heavy in ("torch", "mediapipe", "matplotlib", "cv2"):
        assert f"| {heavy}\n" not in done.stderr, f"{heavy} is imported for --help"
