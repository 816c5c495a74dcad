"""MediaPipe's results as they lie in memory are those that it gives as objects."""

import ctypes
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest

from stgt.faces import landmarker as landmarker_module
from stgt.faces.direct_results import _columns, direct_detection
from stgt.faces.landmarker import FaceLandmarker


def follow(landmarker, frames):
    return [landmarker.detect_all(now_s, rgb) for now_s, rgb in frames]


@pytest.mark.parametrize("faces", [1, 2])
def test_both_ways_give_the_same_to_the_last_bit(face_frames, monkeypatch, faces):
    frames = [(now_s, np.concatenate([rgb] * faces, axis=1)) for now_s, rgb in face_frames[:8]]
    frames[3] = (frames[3][0], np.zeros_like(frames[3][1]))
    with FaceLandmarker(faces=faces) as direct:
        found = follow(direct, frames)
    asked = []
    monkeypatch.setattr(landmarker_module, "direct_detection", lambda task: asked.append(task))
    with FaceLandmarker(faces=faces) as promised:
        expected = follow(promised, frames)
    assert asked, "the promised way was taken"
    assert [len(each) for each in found] == [len(each) for each in expected]
    assert {len(each) for each in found} == {0, faces}
    for ours, theirs in zip(chain(*found), chain(*expected), strict=True):
        for name in ours._fields:
            one, other = getattr(ours, name), getattr(theirs, name)
            assert one.dtype == other.dtype == np.float32
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_results_stay_when_the_next_frame_is_read(landmarker, face_frames):
    landmarker.reset()
    first = landmarker.detect(*face_frames[0])
    before = [array.copy() for array in first]
    landmarker.detect(*face_frames[5])
    for array, copy in zip(first, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_another_mediapipe_is_asked_the_promised_way():
    assert direct_detection(SimpleNamespace()) is None
    assert direct_detection(SimpleNamespace(_lib=SimpleNamespace(), _handle=None)) is None


def test_only_floats_are_read_as_floats():
    class Point(ctypes.Structure):
        _fields_ = (("name", ctypes.c_char_p), ("x", ctypes.c_float), ("y", ctypes.c_float), ("n", ctypes.c_int))

    points = (Point * 3)(*(Point(b"", 1.5 * index, -index, 7) for index in range(3)))
    read = _columns(Point, "x", "y")(points, 3)
    np.testing.assert_array_equal(read, [[0, 0], [1.5, -1], [3, -2]])
    for name, error in (("n", TypeError), ("z", AttributeError)):
        with pytest.raises(error):
            _columns(Point, name)
