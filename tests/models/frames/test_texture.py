import numpy as np
import pytest
import torch

from stgt.models.frames.texture import grey_levels, local_binary_patterns


def grey_image(values):
    return (torch.tensor(values, dtype=torch.float32) / 255)[None, None].expand(-1, 3, -1, -1)


def test_a_pattern_by_hand():
    """Clockwise from the top left: 9 >= 5, 1 < 5, 5 >= 5, 4 < 5, 7 >= 5, 2 < 5, 3 < 5, 6 >= 5: 10101001."""
    codes = local_binary_patterns(grey_image([[9, 1, 5], [6, 5, 4], [3, 2, 7]]))
    assert codes.shape == (1, 1, 3, 3)
    assert (codes[0, 0, 1, 1] * 255).item() == pytest.approx(0b10101001)


def test_grey_is_the_luma_that_opencv_gives():
    import cv2

    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    levels = grey_levels(torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255)
    assert np.abs(levels[0, 0].numpy() - cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(int)).max() <= 1


def test_flat_faces_have_one_pattern_and_light_changes_none():
    flat = local_binary_patterns(torch.full((1, 3, 16, 16), 0.3))
    assert (flat == 1).all()
    image = grey_image(np.random.default_rng(1).integers(0, 100, (16, 16)).tolist())
    assert torch.equal(local_binary_patterns(image), local_binary_patterns(image + 50 / 255))
    assert torch.equal(local_binary_patterns(image), local_binary_patterns(image * 2))


def test_rounding_errors_change_no_pattern():
    rng = np.random.default_rng(2)
    image = torch.from_numpy(rng.integers(0, 256, (2, 3, 32, 32)).astype(np.float32)) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    again = (image - mean) / std * std + mean
    assert not torch.equal(again, image)
    assert torch.equal(local_binary_patterns(again), local_binary_patterns(image))
