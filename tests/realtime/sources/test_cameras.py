import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from stgt.realtime.sources import cameras
from stgt.realtime.sources.cameras import camera_index, describe_cameras, list_cameras, open_camera, why_no_picture

from stgt.errors import SourceError


class FakeCapture:
    """As `cv2.VideoCapture`: BGR pictures of the size that was asked for, if the camera can do it."""

    def __init__(self, pictures=10**9, sizes=((640, 480),), rate=30.0, misses=()):
        self.size = sizes[0]
        self.sizes = sizes
        self.rate = rate
        self.left = pictures
        self.misses = set(misses)
        self.reads = 0
        self.asked = {}
        self.released = False

    def set(self, what, value):
        self.asked[what] = value
        for size in self.sizes:
            if self.asked.get(cv2.CAP_PROP_FRAME_WIDTH) == size[0]:
                self.size = size
        return True

    def get(self, what):
        return self.rate if what == cv2.CAP_PROP_FPS else 0.0

    def read(self):
        self.reads += 1
        if self.left <= 0 or self.reads in self.misses:
            return False, None
        self.left -= 1
        return True, np.full((self.size[1], self.size[0], 3), (255, 0, 0), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def fake_sysfs(tmp_path):
    """Two cameras; the first has a second node, for metadata."""
    for index, name, order in ((0, "HD Webcam: HD Webcam", 0), (1, "HD Webcam: HD Webcam", 1), (10, "Loopback", 0)):
        device = tmp_path / f"video{index}"
        device.mkdir()
        (device / "name").write_text(name + "\n")
        (device / "index").write_text(f"{order}\n")
    (tmp_path / "v4l-subdev0").mkdir()
    return tmp_path


@pytest.fixture
def on_linux(monkeypatch):
    monkeypatch.setattr(cameras.sys, "platform", "linux")


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.setattr(cameras.sys, "platform", "darwin")


def test_a_camera_is_asked_for_size_and_rate_and_gives_rgb():
    capture = FakeCapture(sizes=((640, 480), (1280, 720)))
    with open_camera(2, 60.0, (1280, 720), opener=lambda index: capture) as camera:
        time_s, rgb = next(iter(camera))
    assert capture.asked[cv2.CAP_PROP_FPS] == 60.0
    assert camera.name == "camera 2"
    assert camera.image_size == (1280, 720)
    assert camera.frame_rate == 30.0
    assert time_s == 0.0
    assert rgb[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("platform", "by_caller"), [("darwin", True), ("linux", False), ("win32", False)])
def test_only_a_mac_is_asked_by_the_main_thread(platform, by_caller, monkeypatch):
    monkeypatch.setattr(cameras.sys, "platform", platform)
    threads = []

    def opener(index):
        threads.append(threading.current_thread())
        return FakeCapture()

    open_camera(0, opener=opener).close()
    assert threads == [threading.current_thread()] if by_caller else threads != [threading.current_thread()]


def test_a_driver_that_fails_once_is_read_on_and_what_it_says_of_its_rate_may_be_nonsense():
    capture = FakeCapture(rate=0.0, misses={1, 3})
    with open_camera(0, opener=lambda index: capture) as camera:
        assert len([frame for frame, _ in zip(camera, range(3), strict=False)]) == 3
    assert camera.frame_rate == 25.0


def test_a_camera_is_released_once_and_only_after_its_last_picture():
    opened = []

    def opener(index):
        opened.append(FakeCapture(pictures=0 if len(opened) else 3))
        return opened[-1]

    with open_camera(0, opener=opener) as camera:
        camera._frames._thread.join(10)
        assert opened[0].released
    with pytest.raises(SourceError, match="camera 0"):
        open_camera(0, opener=opener)
    assert opened[1].released


@pytest.mark.parametrize(
    ("source", "index"),
    [
        (3, 3),
        ("12", 12),
        ("/dev/video63", 63),
        (Path("/dev/video2"), 2),
        ("video2", None),
        ("-", None),
        ("/dev/null", None),
    ],
)
def test_cameras_are_named_by_index_or_device(source, index):
    assert camera_index(source) == index


def test_a_file_may_be_called_like_a_camera(tmp_path, monkeypatch):
    (tmp_path / "7").touch()
    monkeypatch.chdir(tmp_path)
    assert camera_index("7") is None
    assert camera_index("8") == 8


def test_cameras_are_listed_with_what_they_give(fake_sysfs, on_linux):
    captures = {0: FakeCapture(), 1: FakeCapture(pictures=0), 10: FakeCapture(sizes=((1280, 720),), rate=59.94)}
    found = list_cameras(fake_sysfs, captures.__getitem__)
    assert [(camera.index, camera.name, camera.size, camera.rate) for camera in found] == [
        (0, "HD Webcam: HD Webcam", (640, 480), 30.0),
        (10, "Loopback", (1280, 720), 59.94),
    ]
    assert all(capture.released for capture in captures.values())
    table = describe_cameras(found).splitlines()
    assert len(table) == 3
    assert table[2].split() == ["10", "Loopback", "1280x720", "59.94"]


def test_a_camera_in_use_is_listed_with_its_problem(fake_sysfs, on_linux):
    found = list_cameras(fake_sysfs, lambda index: FakeCapture(pictures=0))
    assert [camera.index for camera in found] == [0, 10]
    assert all(camera.problem and camera.size is None for camera in found)
    assert "in use?" in describe_cameras(found)


def test_without_a_camera_it_says_so(tmp_path, on_linux):
    assert list_cameras(tmp_path / "missing", FakeCapture) == []
    assert "no camera was found" in describe_cameras([])


def test_where_the_system_does_not_say_the_first_indices_are_tried(elsewhere):
    tried = []

    def opener(index):
        tried.append(index)
        return FakeCapture(pictures=10 if index in (0, 2) else 0)

    assert [camera.index for camera in list_cameras(opener=opener)] == [0, 2]
    assert tried == [0, 1, 2, 3, 4]


def test_why_there_is_no_picture_is_one_sentence(tmp_path, on_linux, monkeypatch):
    assert "no camera" in why_no_picture(0, tmp_path)
    for index in (2, 10):
        (tmp_path / f"video{index}").touch()
    assert "camera 0 is not there, but 2 and 10; `stgt live --list-cameras`" in why_no_picture(0, tmp_path)
    assert "in use by another program" in why_no_picture(2, tmp_path)
    monkeypatch.setattr(cameras.os, "access", lambda path, mode: False)
    sentence = why_no_picture(2, tmp_path)
    assert f"no permission to open {tmp_path / 'video2'}" in sentence
    assert f"usermod -aG {(tmp_path / 'video2').group()}" in sentence


def test_elsewhere_the_usual_reasons_are_named(elsewhere):
    assert "may this program use the camera?" in why_no_picture(0)
