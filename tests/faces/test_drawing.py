"""Pictures for people: the mesh on the face, and videos that browsers play."""

import struct

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.faces.drawing import VideoWriter, draw_mesh
from stgt.faces.video import open_source


def boxes(path):
    """Names of an mp4's top-level boxes in order."""
    content, place, names = path.read_bytes(), 0, []
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        names.append(name.decode())
        place += size
    return names


def test_written_frames_are_read_again(tmp_path):
    ramp = np.zeros((48, 64, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 250, 64)
    ramp[..., 1] = np.linspace(250, 0, 48)[:, None]
    with VideoWriter(tmp_path / "new" / "a.mp4", 30000 / 1001, (64, 48), quality=80) as writer:
        for index in range(10):
            writer.write(np.roll(ramp, index, axis=1))
    source = open_source(tmp_path / "new" / "a.mp4")
    assert source.frame_rate == pytest.approx(29.97, abs=0.01)
    frames = list(source)
    np.testing.assert_allclose([now_s for now_s, _ in frames], np.arange(10) * 1001 / 30000, atol=1e-4)
    for index, (_, rgb) in enumerate(frames):
        assert np.abs(rgb.astype(int) - np.roll(ramp, index, axis=1)).mean() < 6


def test_browsers_can_play_it(tmp_path):
    import av

    with VideoWriter(tmp_path / "a.mp4", 25, (64, 48)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    names = boxes(tmp_path / "a.mp4")
    assert names.index("moov") < names.index("mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


def test_times_may_be_given_and_equal_ones_are_nudged(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 25, (64, 48)) as writer:
        for now_s in (0.0, 0.1, 0.1, 0.7):
            writer.write(np.zeros((48, 64, 3), np.uint8), now_s)
    times = [now_s for now_s, _ in open_source(tmp_path / "a.mp4")]
    np.testing.assert_allclose(times, [0.0, 0.1, 0.1, 0.7], atol=1e-4)


def test_odd_sizes_and_strided_frames(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 25, (63, 47), quality=80) as writer:
        writer.write(np.full((47, 80, 3), 120, np.uint8)[:, :63])
    _, rgb = next(iter(open_source(tmp_path / "a.mp4")))
    assert rgb.shape == (48, 64, 3)
    assert np.abs(rgb.astype(int) - 120).max() < 6


def test_the_same_frames_give_the_same_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), np.uint8)
    for name in ("a.mp4", "b.mp4"):
        with VideoWriter(tmp_path / name, 25, (64, 48)) as writer:
            for rgb in noise:
                writer.write(rgb)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_quality_is_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), np.uint8)
    sizes = []
    for quality in (20, 50, 80):
        with VideoWriter(tmp_path / "a.mp4", 25, (64, 48), quality=quality) as writer:
            for rgb in noise:
                writer.write(rgb)
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    assert sizes[0] < 0.7 * sizes[1] < 0.5 * sizes[2]


def interrupted_writing(path, count):
    with VideoWriter(path, 25, (64, 48)) as writer:
        for _ in range(count):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        raise KeyboardInterrupt


def test_an_unfinished_video_leaves_nothing_and_spares_the_old_one(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"the old one")
    for count in (0, 3):
        with pytest.raises(KeyboardInterrupt):
            interrupted_writing(tmp_path / "a.mp4", count)
    with pytest.raises(StgtError, match="no frame was written"), VideoWriter(tmp_path / "a.mp4", 25, (64, 48)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"the old one"


def test_videos_that_cannot_be_are_refused(tmp_path):
    for path, rate, size in (("a.avi", 25, (64, 48)), ("a.mp4", 0, (64, 48)), ("a.mp4", 25, (1, 48))):
        with pytest.raises(StgtError, match=r"a\.(avi|mp4)"):
            VideoWriter(tmp_path / path, rate, size)
    with pytest.raises(ValueError, match="takes uint8 frames"), VideoWriter(tmp_path / "a.mp4", 25, (64, 48)) as writer:
        writer.write(np.zeros((64, 48, 3), np.uint8))


@pytest.mark.parametrize("scale", [0.25, 1, 3])
def test_the_mesh_is_drawn_on_the_face_and_nowhere_else(face_frames, face_track, scale):
    import cv2

    rgb = cv2.resize(face_frames[0][1], None, fx=scale, fy=scale)
    before = rgb.copy()
    points = face_track.points[0] * scale
    drawn = draw_mesh(rgb, points)
    assert np.array_equal(rgb, before)
    changed = np.argwhere((drawn != rgb).any(axis=2))[:, ::-1]
    margin = 3 + 4 * scale
    assert np.all(changed > points[:, :2].min(axis=0) - margin)
    assert np.all(changed < points[:, :2].max(axis=0) + margin)
    assert len(changed) > 0.1 * np.prod(np.ptp(points[:, :2], axis=0))
    x, y = np.round(points[13, :2]).astype(int)  # the upper lip's line is red
    assert drawn[y, x].astype(int)[0] > drawn[y, x].astype(int)[1] + 40


def test_faces_outside_the_picture_are_not_drawn(face_frames, face_track):
    _, rgb = face_frames[0]
    assert np.array_equal(draw_mesh(rgb, face_track.points[0] + np.float32([900, 0, 0])), rgb)
    assert draw_mesh(rgb, face_track.points[0] + np.float32([150, -150, 0])).shape == rgb.shape
