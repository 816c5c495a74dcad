"""A window on the screen, for machines that have one."""

import contextlib
import os
import subprocess
import sys
from types import TracebackType

import cv2
import numpy as np

_PROBE = "import cv2; cv2.namedWindow('stgt', cv2.WINDOW_NORMAL); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 30
_ESCAPE, _NO_KEY = 27, 0xFF
_FIRST_SIZE = (1600, 900)  # px: most screens show this much, and the user may change it


class Screen:
    """A window that shows pictures and gives back keys; a context manager. See `display_problem` before.

    Args:
        title: of the window.
        image_size: ``(width, height)`` of the pictures in pixels.
    """

    def __init__(self, title: str, image_size: tuple[int, int]) -> None:
        self._title = title
        self._image_size: tuple[int, int] | None = None
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._fit(image_size)

    def show(self, rgb: np.ndarray) -> None:
        """Show a picture, ``(H, W, 3)`` uint8; it appears with the next `key`."""
        if rgb.shape[1::-1] != self._image_size:
            self._fit(rgb.shape[1::-1])
        cv2.imshow(self._title, rgb[..., ::-1])

    def key(self, wait_ms: int = 1) -> str:
        """The key that was pressed within ``wait_ms`` (at least 1), or ``""``; closing the window counts as ``"q"``."""
        code = cv2.waitKey(wait_ms) & 0xFF
        if not self._is_open() or code == _ESCAPE:
            return "q"
        return chr(code).lower() if code != _NO_KEY else ""

    def _fit(self, image_size: tuple[int, int]) -> None:
        """Make the window as large as pictures of this size, or as most screens allow."""
        self._image_size = image_size
        scale = min(1.0, _FIRST_SIZE[0] / image_size[0], _FIRST_SIZE[1] / image_size[1])
        with contextlib.suppress(cv2.error):  # closed by hand already; the next key says so
            cv2.resizeWindow(self._title, *(round(scale * side) for side in image_size))

    def _is_open(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # what the Qt toolkit says when its last window was closed
            return False

    def __enter__(self) -> "Screen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(cv2.error):  # closed by hand already
            cv2.destroyAllWindows()


def display_problem() -> str | None:
    """Why no window can be opened on this machine, in a few words; ``None`` if one can.

    Without a display, the toolkit inside OpenCV ends the whole process instead of raising; so another process tries.
    """
    wants_display = sys.platform.startswith("linux")
    if wants_display and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "this machine has no display (DISPLAY is not set)"
    try:
        tried = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S)
        okay = tried.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        okay = False
    return None if okay else "OpenCV cannot open a window on this machine's display"
