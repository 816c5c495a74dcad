"""A window on the screen, for machines that have one."""

import contextlib
import os
import subprocess
import sys
from types import TracebackType

import cv2
import numpy as np

from stgt.errors import StgtError

_PROBE = "import cv2; cv2.namedWindow('stgt', cv2.WINDOW_NORMAL); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 30
_ESCAPE, _NO_KEY = 27, 0xFF


class Screen:
    """A window that shows pictures and gives back keys; a context manager.

    Args:
        title: of the window.
        image_size: ``(width, height)`` in pixels, at first; the user may change it.

    Raises:
        StgtError: this machine cannot open a window.
    """

    def __init__(self, title: str, image_size: tuple[int, int]) -> None:
        require_display()
        self._title = title
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, *image_size)

    def show(self, rgb: np.ndarray) -> None:
        """Show a picture, ``(H, W, 3)`` uint8; it appears with the next `key`."""
        cv2.imshow(self._title, rgb[..., ::-1])

    def key(self, wait_ms: int = 1) -> str:
        """The key that was pressed within ``wait_ms`` (at least 1), or ``""``; closing the window counts as ``"q"``."""
        code = cv2.waitKey(wait_ms) & 0xFF
        if not self._is_open() or code == _ESCAPE:
            return "q"
        return chr(code).lower() if code != _NO_KEY else ""

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


def require_display() -> None:
    """Make sure that a window can be opened.

    Without a display, the toolkit inside OpenCV ends the whole process instead of raising; so another process tries.

    Raises:
        StgtError: it cannot.
    """
    wish = "use --headless (with --json or --record to keep what is read)"
    wants_display = sys.platform.startswith("linux")
    if wants_display and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise StgtError(f"this machine has no display (DISPLAY is not set); {wish}")
    try:
        okay = (
            subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        okay = False
    if not okay:
        raise StgtError(f"OpenCV cannot open a window on this machine's display; {wish}")
