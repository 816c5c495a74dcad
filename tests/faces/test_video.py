"""FrameSource: the right pictures at the right times, whatever the file."""

import subprocess
import sys
import wave
from fractions import Fraction

import cv2
import numpy as np
import pytest

from stgt.errors import SourceError
from stgt.faces.video import Camera, ImageFolder, VideoFile, open_source


def times_and_numbers(clips, source):
    return [(round(now_s, 3), clips.number(rgb)) for now_s, rgb in source]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj420p"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.webm", "libvpx", "yuv420p"),
    ],
)
def test_every_container_gives_its_frames_at_their_times(clips, name, codec, pixels):
    path = clips.write(name, clips.numbered(12), codec=codec, pixels=pixels)
    with open_source(path) as source:
        assert source.image_size == (64, 48)
        assert source.frame_rate == pytest.approx(25)
        assert source.frame_count == pytest.approx(12, abs=1)
        assert source.name == str(path)
        wanted = [(round(index / 25, 3), index) for index in range(12)]
        assert times_and_numbers(clips, source) == wanted
        assert times_and_numbers(clips, source) == wanted  # a file can be read again


def test_b_frames_in_avi_come_in_the_order_of_showing(clips):
    path = clips.write("b.avi", clips.numbered(12), codec="mpeg4", bf="2")
    assert times_and_numbers(clips, open_source(path)) == [(round(index / 25, 3), index) for index in range(12)]


def test_variable_frame_rate_keeps_the_containers_times(clips):
    times = [0.0, 0.04, 0.1, 0.5, 0.51, 1.25]
    path = clips.write("vfr.mp4", clips.numbered(6), times)
    assert times_and_numbers(clips, open_source(path)) == list(zip(times, range(6), strict=True))


def test_times_count_from_the_first_frame(clips):
    path = clips.write("late.mkv", clips.numbered(3), [5.0, 5.04, 5.08])
    assert times_and_numbers(clips, open_source(path)) == [(0.0, 0), (0.04, 1), (0.08, 2)]


def test_equal_timestamps_are_kept_in_order_and_named(clips, caplog):
    # Matroska counts milliseconds: the third and fourth frame get the time of the second.
    path = clips.write("twice.mkv", clips.numbered(5), [0, 0.04, 0.0401, 0.0402, 0.2], codec="mjpeg", pixels="yuvj420p")
    assert times_and_numbers(clips, open_source(path)) == [(0, 0), (0.04, 1), (0.04, 2), (0.04, 3), (0.2, 4)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 2 frames have the time of the frame before them (the first at 0.040 s); they are kept in order"
    ]


def test_recordings_that_were_joined_follow_each_other(clips, caplog):
    first, second = (clips.write(f"{name}.ts", clips.numbered(20), rate=10) for name in ("one", "two"))
    joined = first.with_name("joined.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    found = times_and_numbers(clips, open_source(joined))
    assert [number for _, number in found] == [*range(20), *range(20)]
    np.testing.assert_allclose([time_s for time_s, _ in found], np.arange(40) / 10, atol=1e-3)
    assert "its clock begins anew at 2.000 s" in caplog.text


def test_a_part_of_a_video_is_the_same_frames(clips):
    pictures = [np.full((48, 64, 3), 40 + 2 * index, np.uint8) for index in range(100)]
    path = clips.write("long.mp4", pictures, g="12")
    whole = list(open_source(path))
    for start_s, end_s in ((0.4, 1.2), (3.0, 3.48), (2.5, None), (None, 0.2)):
        wanted = [item for item in whole if (start_s or 0) - 1e-6 <= item[0] <= (end_s or 99) + 1e-6]
        source = open_source(path, start_s=start_s, end_s=end_s)
        part = list(source)
        assert [now_s for now_s, _ in part] == [now_s for now_s, _ in wanted]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(part, wanted, strict=True))
        assert source.frame_count == pytest.approx(len(part), abs=1)


@pytest.mark.parametrize(("degrees", "corner"), [(90, (1, 0)), (180, (1, 1)), (270, (0, 1))])
def test_phone_videos_are_turned_upright(clips, turn_mp4, degrees, corner):
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:16, :16] = 255  # top left as the sensor saw it
    source = open_source(turn_mp4(clips.write("phone.mp4", [picture] * 3), degrees))
    width, height = (96, 64) if degrees == 180 else (64, 96)
    assert source.image_size == (width, height)
    _, rgb = next(iter(source))
    assert rgb.shape == (height, width, 3)
    assert rgb.flags["C_CONTIGUOUS"]
    rows, columns = np.nonzero(rgb[..., 0] > 128)
    assert (columns.mean() > width / 2, rows.mean() > height / 2) == corner


def test_pixels_that_are_not_square_are_stretched(clips):
    path = clips.write("wide.mp4", clips.numbered(2, size=(48, 48)), aspect=Fraction(4, 3))
    assert open_source(path).image_size == (64, 48)


def test_rows_are_contiguous_for_widths_that_ffmpeg_pads(clips):
    picture = np.random.default_rng(0).integers(0, 255, (50, 66, 3), np.uint8)
    _, rgb = next(iter(open_source(clips.write("padded.mp4", [picture], codec="libx264rgb", pixels="rgb24", crf="0"))))
    assert rgb.flags["C_CONTIGUOUS"]
    assert np.array_equal(rgb, picture)


def test_a_video_cut_in_the_middle_yields_what_it_has(clips, caplog):
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), np.uint8)
    path = clips.write("cut.mp4", list(noise), g="10")
    whole = list(open_source(path))
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    part = list(open_source(path))
    assert 15 <= len(part) <= 30
    assert [now_s for now_s, _ in part] == [now_s for now_s, _ in whole[: len(part)]]
    assert np.array_equal(part[5][1], whole[5][1])


def test_damage_inside_a_video_costs_only_some_frames(clips, caplog):
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = clips.write("hurt.mkv", list(noise), codec="mjpeg", pixels="yuvj420p")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = bytes(6000)
    path.write_bytes(content)
    times = [now_s for now_s, _ in open_source(path)]
    assert 20 <= len(times) < 30
    assert times[-1] == pytest.approx(29 / 25)


def sentence(source, **options):
    with pytest.raises(SourceError) as raised:
        list(open_source(source, **options))
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_bad_files_are_told_in_one_sentence(clips, tmp_path):
    assert "no such file" in sentence(tmp_path / "missing.mp4")
    (tmp_path / "zero.mp4").touch()
    assert "empty (0 bytes)" in sentence(tmp_path / "zero.mp4")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(5000))
    assert "not a video that can be read" in sentence(tmp_path / "noise.mp4")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    assert "holds no video" in sentence(tmp_path / "sound.wav")
    video = clips.write("a.mp4", clips.numbered(5))
    (tmp_path / "head.mp4").write_bytes(video.read_bytes()[:1100])
    assert "head.mp4" in sentence(tmp_path / "head.mp4")
    assert "before it starts" in sentence(video, start_s=2, end_s=1)
    assert "frame rate must be positive" in sentence(video, frame_rate=0)


def write_images(folder, names, size=(32, 24)):
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), 10 + 10 * index, np.uint8))
    return folder


def test_a_folder_is_read_in_natural_order_at_its_rate(clips, tmp_path):
    names = ["f1.png", "f2.jpg", "f9.bmp", "f10.tiff", "f11.webp", "f100.jpeg"]
    folder = write_images(tmp_path / "images", names)
    (folder / "notes.txt").write_text("not an image")
    (folder / "._f1.png").write_bytes(b"what a Mac leaves behind")
    source = open_source(folder, frame_rate=10)
    assert isinstance(source, ImageFolder)
    assert (source.frame_rate, source.frame_count, source.image_size) == (10, 6, (32, 24))
    assert times_and_numbers(clips, source) == [(index / 10, index) for index in range(6)]
    part = open_source(folder, frame_rate=10, start_s=0.1, end_s=0.3)
    assert times_and_numbers(clips, part) == [(0.1, 1), (0.2, 2), (0.3, 3)]
    assert open_source(folder).frame_rate == 25


def test_grey_and_deep_images_become_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((24, 32), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((24, 32), 77 * 257, np.uint16))
    assert [rgb[3, 4].tolist() for _, rgb in open_source(tmp_path)] == [[77, 77, 77]] * 2


def test_red_stays_red(tmp_path, clips):
    red = np.zeros((24, 32, 3), np.uint8)
    red[..., 2] = 250
    cv2.imwrite(str(tmp_path / "1.png"), red)
    _, rgb = next(iter(open_source(tmp_path)))
    assert rgb[0, 0].tolist() == [250, 0, 0]
    _, rgb = next(iter(open_source(clips.write("red.mp4", [red[..., ::-1]]))))
    np.testing.assert_allclose(rgb[12, 16], [250, 0, 0], atol=6)


def test_a_broken_image_is_named_and_its_time_left_out(clips, tmp_path, caplog):
    folder = write_images(tmp_path / "images", ["1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes(b"half an image")
    assert times_and_numbers(clips, open_source(folder, frame_rate=10)) == [(0.0, 0), (0.2, 2)]
    assert "2.png cannot be read as an image" in caplog.text


def test_images_of_other_sizes_are_fitted_without_distortion(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((24, 32, 3), 200, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((48, 48, 3), 200, np.uint8))
    _, second = list(open_source(tmp_path))[1]
    assert second.shape == (24, 32, 3)
    assert second[:, 4:28].min() == 200
    assert second[:, :4].max() == second[:, 28:].max() == 0


def test_folders_without_a_readable_image_are_told(tmp_path):
    assert "no images" in sentence(tmp_path)
    (tmp_path / "1.png").write_bytes(b"nothing")
    assert "none of the 1 images" in sentence(tmp_path)


def test_a_camera_is_opened_by_number_and_timed_by_the_clock(clips, monkeypatch):
    path = clips.write("camera.avi", clips.numbered(6), codec="mjpeg", pixels="yuvj420p")
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: capture(str(path)) if index == 0 else capture())
    for index in (0, "0"):
        with open_source(index) as camera:
            assert isinstance(camera, Camera)
            assert (camera.image_size, camera.frame_count, camera.frame_rate) == ((64, 48), None, 25)
            items = list(camera)
        assert [clips.number(rgb) for _, rgb in items] == [1, 2, 3, 4, 5]  # the first was read to learn the size
        times = [now_s for now_s, _ in items]
        assert times[0] == 0
        assert times == sorted(times)
    assert "camera 3 gives no picture" in sentence(3)


def test_a_file_named_by_digits_is_not_a_camera(clips, tmp_path, monkeypatch):
    clips.write("7.mp4", clips.numbered(2)).rename(tmp_path / "7")
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_source("7"), VideoFile)


def test_memory_does_not_grow_with_the_length_of_a_video(clips):
    pictures = [np.full((480, 640, 3), index % 250, np.uint8) for index in range(25)]
    path = clips.write("long.mp4", pictures * 16, preset="ultrafast")
    script = (
        "import resource, sys, time\n"
        "from stgt.faces.video import open_source\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "for index, _ in enumerate(open_source(sys.argv[1])):\n"
        "    if index == 20:\n"
        "        time.sleep(0.3); before = peak()\n"
        "print(index, peak() - before)"
    )
    output = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout
    last, grown_mb = output.split()
    assert int(last) == 399
    assert float(grown_mb) < 40  # all frames together are 370 MB
