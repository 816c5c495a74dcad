import logging

import numpy as np
import pytest
from stgt.realtime.sources.pictures import Uniform, as_rgb

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
ALPHA = np.full((24, 32, 1), 128, np.uint8)


@pytest.mark.parametrize(
    ("picture", "blue_first", "rgb"),
    [
        (RGB, False, RGB),
        (RGB[..., ::-1], True, RGB),
        (np.concatenate([RGB, ALPHA], 2), False, RGB),
        (np.concatenate([RGB[..., ::-1], ALPHA], 2), True, RGB),
        (RGB[..., 0], True, np.repeat(RGB[..., :1], 3, 2)),
        (RGB[..., :1], False, np.repeat(RGB[..., :1], 3, 2)),
        (np.concatenate([RGB[..., :1], ALPHA], 2), False, np.repeat(RGB[..., :1], 3, 2)),
        (RGB.astype(np.uint16) * 256 + 17, False, RGB),
        (RGB[..., 0].astype(np.uint16) * 256 + 17, True, np.repeat(RGB[..., :1], 3, 2)),
    ],
    ids=["rgb", "bgr", "rgba", "bgra", "grey", "one channel", "grey and alpha", "16 bits", "grey in 16 bits"],
)
def test_every_kind_of_picture_becomes_rgb(picture, blue_first, rgb):
    result = as_rgb(picture, blue_first)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, rgb)


def test_pictures_of_one_size_pass_untouched_and_others_are_fitted_without_distortion():
    uniform = Uniform("camera 0", (32, 24))
    assert uniform(RGB) is RGB
    assert not uniform(np.zeros_like(RGB)).any(), "a black frame is a frame"
    tall = uniform(np.full((48, 16), 200, np.uint8))
    assert tall.shape == (24, 32, 3)
    assert (tall[:, 12:20] == 200).all()
    assert not tall[:, :12].any()
    assert not tall[:, 20:].any()


def test_what_is_no_picture_is_left_out_with_one_warning(caplog):
    uniform = Uniform("camera 0", (32, 24))
    with caplog.at_level(logging.WARNING, "stgt"):
        for broken in (None, np.zeros((24, 32, 7), np.uint8), np.zeros((0, 32, 3), np.uint8), RGB / 255.0):
            assert uniform(broken) is None
    assert len(caplog.records) == 1
    assert "camera 0" in caplog.text
    assert uniform(RGB) is RGB
