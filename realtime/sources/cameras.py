"""Cameras: which ones there are, opening one, and why one does not open."""

import functools
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from stgt.errors import SourceError

from .base import Reconnecting, nominal_rate
from .pictures import as_rgb

SYSFS = Path("/sys/class/video4linux")
DEVICES = Path("/dev")

_DEVICE = re.compile(r"/dev/video(\d+)")
_MOST_CAMERAS = 10  # indices that are tried where the system does not tell which ones there are
_MISSES = 2  # so many indices in a row without a camera, and there are no more
_LOOK_S = 5.0  # a driver that hangs is not waited for
_TRIES = 3  # some drivers fail once and go on
_HINT = "`stgt live --list-cameras` shows those there are"

#: Opens a camera by its index; `cv2.VideoCapture`, or something that behaves like it.
Opener = Callable[[int], Any]


class CameraInfo(NamedTuple):
    """A camera of this machine.

    Attributes:
        index: what ``--source`` takes.
        name: what the system calls it.
        size: ``(width, height)`` of its pictures as it opens; ``None`` if it does not.
        rate: frames per second as it opens; ``None`` if it does not, or does not say.
        problem: why it does not open; empty if it does.
    """

    index: int
    name: str
    size: tuple[int, int] | None
    rate: float | None
    problem: str = ""


def open_camera(
    index: int,
    frame_rate: float | None = None,
    size: tuple[int, int] | None = None,
    opener: Opener = cv2.VideoCapture,
) -> Reconnecting:
    """A camera by its index, opened again whenever it is lost.

    Args:
        index: from 0.
        frame_rate: Hz, to ask of it; it gives what it can.
        size: ``(width, height)`` to ask of it, likewise.
        opener: opens the device.

    Raises:
        SourceError: there is no such camera, it must not be opened, or it gives no picture.
    """
    connect = functools.partial(CameraConnection, index, frame_rate, size, opener)
    return Reconnecting(f"camera {index}", connect, first=_first(connect))


def _first(connect: Callable[[], "CameraConnection"]) -> "CameraConnection | None":
    """On a Mac the user is asked whether the camera may be used, for which it must be opened by the main thread."""
    return connect() if sys.platform == "darwin" else None


def camera_index(source: str | int | Path) -> int | None:
    """The index of the camera that is meant by ``0``, ``"0"`` (if that is no file), ``/dev/video0`` or a link to it."""
    if isinstance(source, int):
        return source
    path = Path(source)
    if str(source).isdecimal() and not path.exists():
        return int(source)
    device = _DEVICE.fullmatch(str(path.resolve())) if path.is_relative_to(DEVICES) else None
    return int(device[1]) if device else None


class CameraConnection:
    """An opened camera; see `stgt.realtime.sources.base.Connection`."""

    def __init__(
        self,
        index: int,
        frame_rate: float | None = None,
        size: tuple[int, int] | None = None,
        opener: Opener = cv2.VideoCapture,
    ) -> None:
        self._capture = _opened(index, opener)
        if size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if frame_rate:
            self._capture.set(cv2.CAP_PROP_FPS, frame_rate)
        self._first = self._picture()
        if self._first is None:
            self.close()
            raise SourceError(why_no_picture(index))
        self.frame_rate = nominal_rate(self._capture.get(cv2.CAP_PROP_FPS), frame_rate)

    def read(self) -> tuple[None, np.ndarray] | None:
        """The next picture; ``None`` when the camera is gone."""
        first, self._first = self._first, None
        picture = self._picture() if first is None else first
        return None if picture is None else (None, picture)

    def close(self) -> None:
        """Give back the device."""
        self._capture.release()

    def _picture(self) -> np.ndarray | None:
        for _ in range(_TRIES):
            try:
                okay, picture = self._capture.read()
                if okay and picture is not None:
                    return as_rgb(picture, blue_first=True)
            except (cv2.error, ValueError):  # half a picture
                pass
            time.sleep(0.02)
        return None


def _opened(index: int, opener: Opener) -> Any:
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said by us
    try:
        return opener(index)
    finally:
        cv2.utils.logging.setLogLevel(level)


def list_cameras(sysfs: Path = SYSFS, opener: Opener = cv2.VideoCapture) -> list[CameraInfo]:
    """The cameras of this machine. Each is opened for a moment; one that is in use is listed with its problem.

    Linux says which devices there are (``sysfs``); elsewhere the first indices are tried.
    """
    if sys.platform.startswith("linux"):
        found = [_look(index, _name(sysfs, index), opener) for index in _indices(sysfs)]
        return [camera for camera in found if camera.size or _is_first(sysfs, camera.index)]
    cameras: list[CameraInfo] = []
    misses = 0
    for index in range(_MOST_CAMERAS):
        camera = _look(index, f"camera {index}", opener)
        misses = 0 if camera.size else misses + 1
        if camera.size:
            cameras.append(camera)
        if misses >= _MISSES:
            break
    return cameras


def describe_cameras(cameras: list[CameraInfo]) -> str:
    """The cameras as a table to print; without any, a sentence that says so."""
    if not cameras:
        return "no camera was found on this machine; --source also takes a video file, a folder of images or an address"
    rows = [("--source", "camera", "size", "frames/s")]
    for camera in cameras:
        size = f"{camera.size[0]}x{camera.size[1]}" if camera.size else camera.problem
        rows.append((str(camera.index), camera.name, size, f"{camera.rate:g}" if camera.rate else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def why_no_picture(index: int, devices: Path = DEVICES) -> str:
    """One sentence: why this camera gives no picture, and what to do about it."""
    if not sys.platform.startswith("linux"):
        return (
            f"camera {index} gives no picture; is it connected, not in use by another program, and may this program "
            f"use the camera? {_HINT}"
        )
    device = devices / f"video{index}"
    if not device.exists():
        there = _indices(devices)
        if not there:
            return (
                f"camera {index} is not there: this machine has no camera; name a video file, a folder of images or "
                "an address with --source"
            )
        return f"camera {index} is not there, but {' and '.join(map(str, there))}; {_HINT}"
    if not os.access(device, os.R_OK | os.W_OK):
        return (
            f"camera {index}: no permission to open {device}; add yourself to the group {_group(device)} "
            f"(sudo usermod -aG {_group(device)} $USER) and log in again"
        )
    return f"camera {index} gives no picture; is it in use by another program? {_HINT}"


def _look(index: int, name: str, opener: Opener) -> CameraInfo:
    connect = functools.partial(CameraConnection, index, opener=opener)
    try:
        with Reconnecting(name, connect, first=_first(connect), open_s=_LOOK_S) as camera:
            return CameraInfo(index, name, camera.image_size, camera.frame_rate)
    except SourceError as error:
        return CameraInfo(index, name, None, None, _problem(str(error)))


def _problem(sentence: str) -> str:
    return "no permission" if "no permission" in sentence else "gives no picture (in use?)"


def _indices(folder: Path) -> list[int]:
    """N of every ``videoN`` in a folder."""
    names = (path.name.removeprefix("video") for path in folder.glob("video*"))
    return sorted(int(name) for name in names if name.isdecimal())


def _name(sysfs: Path, index: int) -> str:
    try:
        return (sysfs / f"video{index}" / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"camera {index}"


def _is_first(sysfs: Path, index: int) -> bool:
    """Whether a device node is the first of its camera: the others are for metadata, and give no pictures."""
    try:
        return int((sysfs / f"video{index}" / "index").read_text()) == 0
    except (OSError, ValueError):
        return True


def _group(device: Path) -> str:
    try:
        return device.group()
    except (KeyError, OSError, NotImplementedError):
        return "video"
