"""Single pictures: faces are found as in MediaPipe's image mode, in pixels of their own; aligned ones stay visible."""

import cv2
import numpy as np
import pytest

from stgt.errors import SourceError
from stgt.faces.crops import CROP_SIZE
from stgt.faces.landmarker import FaceLandmarker, find_model, quiet_stderr
from stgt.faces.stills import extract_still, find_face
from stgt.faces.video import open_source


@pytest.fixture(scope="module")
def landmarker():
    with FaceLandmarker() as landmarker:
        yield landmarker


@pytest.fixture(scope="module")
def pictures(rendered_face_clip):
    with open_source(rendered_face_clip) as source:
        return [rgb for _, rgb in source][::8]


def test_a_picture_knows_nothing_of_the_one_before_and_is_found_as_in_image_mode(landmarker, pictures):
    with quiet_stderr():
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=find_model().read_bytes()), output_face_blendshapes=True
        )
        task = vision.FaceLandmarker.create_from_options(options)
        image = [mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb) for rgb in pictures]
        wanted = [task.detect(each) for each in image]
        task.close()
    for rgb, result in zip(pictures, wanted, strict=True):
        found = find_face(rgb, landmarker)
        height, width = rgb.shape[:2]
        points = np.array([(point.x * width, point.y * height) for point in result.face_landmarks[0]])
        assert np.abs(points - found.points[:, :2]).max() < 0.01
        assert np.allclose([shape.score for shape in result.face_blendshapes[0]], found.blendshapes, atol=1e-6)


@pytest.mark.parametrize(("side", "grey", "tolerance"), [(100, False, 0.02), (48, True, 0.05)])
def test_landmarks_of_small_aligned_pictures_lie_where_they_belong(landmarker, pictures, side, grey, tolerance):
    rgb = pictures[-1]
    large = find_face(rgb, landmarker)
    low, high = large.points[:, :2].min(axis=0).astype(int), large.points[:, :2].max(axis=0).astype(int)
    size = int((high - low).max())
    cut = rgb[low[1] : low[1] + size, low[0] : low[0] + size]
    small = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
    if grey:
        small = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    found = find_face(small, landmarker, aligned=True)
    back = (found.points + np.array((0.5, 0.5, 0))) * size / side + np.array((*(low - 0.5), 0))
    between_eyes = np.linalg.norm(large.points[33, :2] - large.points[263, :2])
    assert np.linalg.norm((back - large.points)[:, :2], axis=1).mean() < tolerance * between_eyes
    depth = np.corrcoef(back[:, 2], large.points[:, 2])[0, 1]
    assert depth > 0.95
    assert back[:, 2].std() == pytest.approx(large.points[:, 2].std(), rel=0.2)


def test_a_picture_without_a_face_is_one_invalid_frame(landmarker, tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 255, (60, 100), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    track, crops = extract_still(tmp_path / "noise.png", landmarker)
    assert (len(track), track.valid_share, track.times[0], track.image_size) == (1, 0.0, 0.0, (100, 60))
    assert not crops.decode([0]).any()
    assert "no face was found" in caplog.text

    track, crops = extract_still(tmp_path / "noise.png", landmarker, aligned=True)
    assert track.valid_share == 0
    assert not track.points.any()
    middle = cv2.resize(noise[:, 20:80], (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC)
    assert np.corrcoef(crops.decode([0])[0, :, :, 1].ravel(), middle.ravel())[0, 1] > 0.9


def test_a_file_that_is_no_picture_is_named(landmarker, tmp_path):
    (tmp_path / "letter.jpg").write_text("dear sir")
    with pytest.raises(SourceError, match=r"letter\.jpg cannot be read as an image"):
        extract_still(tmp_path / "letter.jpg", landmarker)
