"""Extraction: one pass, one track and one crop per frame, invalid where there is no face."""

import numpy as np
import pytest

from stgt.errors import SourceError
from stgt.faces.extract import extract
from stgt.faces.tracks import LandmarkTrack
from stgt.faces.video import open_source


@pytest.fixture
def half_face_clip(clips, face_frames):
    """The rendered face for twelve frames, then twelve empty ones."""
    shown = [rgb for _, rgb in face_frames[:12]]
    return clips.write("half.mp4", shown + [np.full_like(shown[0], 90)] * 12, crf="18")


def test_every_frame_has_its_landmarks_and_crop(face_extract, rendered_face_clip):
    track, crops = face_extract
    assert isinstance(track, LandmarkTrack)
    assert len(track) == len(crops) == 24
    assert track.valid.all()
    np.testing.assert_allclose(track.times, np.arange(24) / 16, atol=1e-5)
    assert track.image_size == (320, 320)
    assert track.source == str(rendered_face_clip)
    assert crops.decode([0, 23]).mean() > 30


def test_the_same_video_gives_the_same_bytes_with_any_landmarker(face_extract, rendered_face_clip, landmarker):
    extract(rendered_face_clip, landmarker=landmarker, end_s=0.3)
    track, crops = extract(rendered_face_clip, landmarker=landmarker)
    for name in ("points", "times", "valid", "blendshapes", "transforms"):
        assert np.array_equal(getattr(track, name), getattr(face_extract[0], name))
    assert np.array_equal(crops.data, face_extract[1].data)


def test_a_face_in_half_of_the_frames_gives_a_half_masked_track(half_face_clip, landmarker, caplog):
    track, crops = extract(half_face_clip, landmarker=landmarker)
    assert track.valid.tolist() == [True] * 12 + [False] * 12
    assert not track.points[12:].any()
    assert not track.blendshapes[12:].any()
    assert not crops.decode(range(12, 24)).any()
    assert crops.decode(range(12)).reshape(12, -1).any(axis=1).all()
    assert not caplog.records


def test_a_video_without_a_face_is_a_warning_and_not_an_error(clips, landmarker, caplog):
    path = clips.write("empty.mp4", clips.numbered(5))
    track, crops = extract(path, landmarker=landmarker)
    assert (len(track), track.valid_share, len(crops)) == (5, 0.0, 5)
    assert [record.getMessage() for record in caplog.records] == [f"{path}: no face was found in any of its 5 frames"]


def test_a_part_and_a_folder(rendered_face_clip, face_frames, landmarker, tmp_path):
    import cv2

    track, _ = extract(rendered_face_clip, landmarker=landmarker, start_s=0.25, end_s=0.5)
    assert track.times.tolist() == [0.25, 0.3125, 0.375, 0.4375, 0.5]
    for index, (_, rgb) in enumerate(face_frames[:3]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), rgb[..., ::-1])
    track, _ = extract(tmp_path, landmarker=landmarker, frame_rate=8)
    assert track.times.tolist() == [0, 0.125, 0.25]
    assert track.valid.all()


def test_progress_counts_every_frame(rendered_face_clip, landmarker):
    seen = []
    with open_source(rendered_face_clip, end_s=0.25) as source:
        extract(source, landmarker=landmarker, progress=lambda done, expected: seen.append((done, expected)))
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_a_part_without_frames_is_told(rendered_face_clip, landmarker):
    with pytest.raises(SourceError, match="no frame lies in the part"):
        extract(rendered_face_clip, landmarker=landmarker, start_s=60)
