"""Face crops: where the face lies in them, and that pixels and positions agree."""

import cv2
import numpy as np
import pytest

from stgt.errors import CheckpointError
from stgt.faces.crops import (
    CROP_SIZE,
    CropSequence,
    crop_face,
    crop_transform,
    cut_patches,
    encode_crop,
    to_crop,
)

EYES, MOUTH, CHIN, FOREHEAD = (33, 133, 362, 263), (13, 14), 152, 10


def moved(rgb, points, scale, degrees, shift):
    """The same face elsewhere in a picture of the same size."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    matrix[:, 2] += shift
    picture = cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_CUBIC)
    flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return picture, np.concatenate([flat, points[:, 2:] * scale], axis=1).astype(np.float32)


def test_the_whole_face_lies_upright_inside(face_track):
    places = to_crop(face_track.points)
    assert places.shape == (24, 478, 2)
    assert places.dtype == np.float32
    assert places.min() > 2
    assert places.max() < CROP_SIZE - 2
    eyes = places[:, EYES].mean(axis=1)
    assert np.abs(eyes[:, 0] - CROP_SIZE / 2).max() < 4
    assert np.all((eyes[:, 1] > 30) & (eyes[:, 1] < 50))
    assert np.all(places[:, MOUTH, 1] > 70)
    assert np.all(places[:, CHIN, 1] > 95)
    assert np.all(places[:, FOREHEAD, 1] < 15)


def test_the_crop_does_not_depend_on_where_the_face_is(face_frames, face_track):
    _, rgb = face_frames[0]
    points = face_track.points[0]
    crop, places = crop_face(rgb, points), to_crop(points[None])
    other, other_points = moved(rgb, points, 0.9, 20, (12, -8))
    np.testing.assert_allclose(to_crop(other_points[None]), places, atol=1e-3)
    middle = slice(30, 110)
    assert np.abs(crop_face(other, other_points)[middle, middle].astype(int) - crop[middle, middle]).mean() < 3


def test_expression_does_not_move_the_crop(face_track):
    points = face_track.points[0]
    talking = points.copy()
    talking[[13, 14, 17, 152, 61, 291, 70, 300, 105, 334], :2] += (6.0, 15.0)
    assert np.array_equal(crop_transform(talking), crop_transform(points))


@pytest.mark.parametrize("factor", [2, 5])
def test_large_faces_are_averaged_not_skipped(face_frames, face_track, factor):
    _, rgb = face_frames[0]
    points = face_track.points[0]
    # Stripes of one pixel on the enlarged picture: a warp that skips pixels would see black or white and not grey.
    large = np.zeros((rgb.shape[0] * factor * 2, rgb.shape[1] * factor * 2, 3), np.uint8)
    large[:, ::2] = 255
    crop = crop_face(large, points * factor * 2)
    assert np.abs(crop[40:90, 40:90].astype(int) - 127).max() < 30

    enlarged = cv2.resize(rgb, None, fx=factor * 2, fy=factor * 2, interpolation=cv2.INTER_LINEAR)
    difference = crop_face(enlarged, points * factor * 2).astype(int) - crop_face(rgb, points)
    assert np.abs(difference).mean() < 3


def test_faces_at_the_edge_and_outside_are_black_there(face_frames, face_track):
    _, rgb = face_frames[0]
    points = face_track.points[0]
    assert crop_face(rgb, points - np.float32([150, 0, 0]))[:, :20].max() == 0
    for scale in (1, 8):
        assert crop_face(rgb, points * scale + np.float32([9000, -9000, 0])).max() == 0


def test_invalid_frames_have_no_crop_and_no_place(face_track):
    points = face_track.points[:3].copy()
    points[1] = 0
    assert crop_transform(points[1]).tolist() == [[0, 0, 0], [0, 0, 0]]
    places = to_crop(points)
    assert not places[1].any()
    assert np.array_equal(places[2], to_crop(face_track.points[2:3])[0])


def test_positions_point_at_the_pixels_of_the_crop(face_track):
    points = face_track.points[0]
    for landmark in (1, 33, 61, 152):
        picture = np.zeros((320, 320, 3), np.uint8)
        cv2.circle(picture, tuple(int(v) for v in np.round(points[landmark, :2])), 3, (255, 255, 255), -1)
        rows, columns = np.nonzero(crop_face(picture, points)[..., 0] > 128)
        np.testing.assert_allclose([columns.mean(), rows.mean()], to_crop(points[None])[0, landmark], atol=1.0)


def test_crops_come_back_from_disk_as_they_were(face_frames, face_track, face_crops, tmp_path):
    face_crops.save(tmp_path / "crops.safetensors")
    loaded = CropSequence.load(tmp_path / "crops.safetensors")
    assert len(loaded) == len(face_crops) == 24
    assert np.array_equal(loaded.decode(range(24)), face_crops.decode(range(24)))
    third = face_crops.decode([3])[0]
    assert third.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert np.abs(third.astype(int) - crop_face(face_frames[3][1], face_track.points[3])).mean() < 3
    assert (tmp_path / "crops.safetensors").stat().st_size < 24 * 10_000


def test_colours_survive_encoding():
    red = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    red[..., 0] = 250
    crop = CropSequence.from_jpegs([encode_crop(red)]).decode([0])[0]
    np.testing.assert_allclose(crop[60, 60], [250, 0, 0], atol=6)


def test_decoding_any_frames_in_any_order(face_crops):
    jpeg = face_crops.data[: face_crops.offsets[1]].tobytes()
    crops = CropSequence.from_jpegs([b"", jpeg, b""])
    some = crops.decode([2, 1, 1])
    assert not some[0].any()
    assert some[1].any()
    assert np.array_equal(some[1], some[2])
    assert crops.decode([]).shape == (0, CROP_SIZE, CROP_SIZE, 3)
    assert len(CropSequence.from_jpegs([])) == 0
    for index in (3, -1):
        with pytest.raises(IndexError):
            crops.decode([index])
    with pytest.raises(CheckpointError, match="frame 0 is damaged"):
        CropSequence.from_jpegs([b"no jpeg"]).decode([0])


def test_a_slice_goes_with_the_slice_of_the_track(face_track, face_crops):
    first, stop = face_track.frame_range(0.25, 0.5)
    part = face_crops.slice(first, stop)
    assert len(part) == len(face_track.slice(0.25, 0.5)) == 5
    assert np.array_equal(part.decode(range(5)), face_crops.decode(range(first, stop)))
    assert len(face_crops.slice(9, 4)) == 0


@pytest.mark.parametrize("size", [1, 5, 12])
def test_patches_are_what_a_plain_loop_cuts(size):
    generator = np.random.default_rng(0)
    crops = generator.integers(0, 255, (3, 20, 20, 3), np.uint8)
    places = generator.uniform(-8, 28, (3, 7, 2)).astype(np.float32)
    patches = cut_patches(crops, places, size)
    assert patches.shape == (3, 7, size, size, 3)
    for t in range(3):
        for v in range(7):
            left, top = np.rint(places[t, v]).astype(int) - size // 2
            for row in range(size):
                for column in range(size):
                    y, x = np.clip([top + row, left + column], 0, 19)
                    assert np.array_equal(patches[t, v, row, column], crops[t, y, x])
