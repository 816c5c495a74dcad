"""What the live program shows: the picture that was analysed with the mesh, and the panel of labels beside it."""

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stgt.evaluation.annotation import HISTORY_S, Panel
from stgt.faces.drawing import draw_mesh

from .session import LiveFrame, LiveState

_MIN_HEIGHT, _MAX_HEIGHT = 480, 720  # px: small pictures are enlarged so that the panel is legible
_HISTORY_STEP_S = 1 / 30
_STATUS_EVERY_S = 0.5
_TITLE_HEIGHT = 72  # px of the panel's title at scale 1
_BADGE, _INK, _MUTED = (20, 24, 29), (228, 232, 236), (140, 151, 162)


class Overlay:
    """Paints `LiveFrame`\\ s. It remembers the probabilities of the last seconds for the panel's curves.

    Args:
        labels: the K label names.
        image_size: ``(width, height)`` of the frames.

    Attributes:
        image_size: ``(width, height)`` of the painted pictures, both even.
        show_mesh: whether the mesh is drawn.
    """

    def __init__(self, labels: Sequence[str], image_size: tuple[int, int]) -> None:
        width, height = image_size
        tall = int(np.clip(height, _MIN_HEIGHT, _MAX_HEIGHT)) // 2 * 2
        self._picture_size = (max(2, round(width * tall / height / 2) * 2), tall)
        self._panel = Panel(labels, tall)
        self.image_size = (self._picture_size[0] + self._panel.width, tall)
        self.show_mesh = True
        self._times: deque[float] = deque()
        self._probabilities: deque[np.ndarray] = deque()
        fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
        self._font = ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), round(12 * self._panel.scale))
        self._badge = np.zeros((0, 0, 3), np.uint8)
        self._status_s = -np.inf
        self._status_state: LiveState | None = None

    def paint(self, live: LiveFrame) -> np.ndarray:
        """The next frame as ``(H, W, 3)`` uint8 RGB of `image_size`; the frame itself is not changed."""
        self._remember(live)
        picture = self._resized(live.rgb)
        if live.landmarks is None:
            picture //= 2  # dim: nothing is read here
        elif self.show_mesh:
            scale = np.array(self._picture_size) / live.rgb.shape[1::-1]
            picture = draw_mesh(picture, live.landmarks.points[:, :2] * scale)
        self._write_status(picture, live)
        panel = self._panel.draw(
            live.timestamp_s,
            np.array(self._times),
            np.array(self._probabilities),
            absent=live.state.value,
            min_confidence=live.prediction.min_confidence,
        )
        return np.hstack([picture, panel])

    def _remember(self, live: LiveFrame) -> None:
        if self._times and live.timestamp_s < self._times[-1]:  # another recording has begun
            self._times.clear()
            self._probabilities.clear()
        # Finer steps than the panel can show would only cost time.
        if len(self._times) > 1 and live.timestamp_s - self._times[-2] < _HISTORY_STEP_S:
            self._times.pop()
            self._probabilities.pop()
        self._times.append(live.timestamp_s)
        self._probabilities.append(live.probabilities)
        while live.timestamp_s - self._times[0] > HISTORY_S + 1.0:
            self._times.popleft()
            self._probabilities.popleft()

    def _resized(self, rgb: np.ndarray) -> np.ndarray:
        if (rgb.shape[1], rgb.shape[0]) == self._picture_size:
            return rgb.copy()
        smaller = self._picture_size[0] < rgb.shape[1]
        return cv2.resize(rgb, self._picture_size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)

    def _write_status(self, picture: np.ndarray, live: LiveFrame) -> None:
        """A small dark badge in the corner: the frame rate, the delay, frames passed over."""
        now_s = time.monotonic()
        # Figures that change thirty times a second cannot be read.
        if now_s - self._status_s > _STATUS_EVERY_S or live.state is not self._status_state:
            self._status_s, self._status_state = now_s, live.state
            figures = [f"{live.frame_rate:.0f} fps"] if live.frame_rate else []
            figures += [f"{1000 * live.latency_s:.0f} ms"]
            figures += [f"{live.dropped} passed over"] if live.dropped else []
            self._badge = self._make_badge("   ".join(figures))
        margin = round(10 * self._panel.scale)
        corner = picture[margin : margin + len(self._badge), margin : margin + self._badge.shape[1]]
        badge = self._badge[: corner.shape[0], : corner.shape[1]]  # a very narrow picture cuts it
        corner[...] = cv2.addWeighted(badge, 0.8, corner, 0.2, 0.0)

    def _make_badge(self, text: str) -> np.ndarray:
        pad = round(7 * self._panel.scale)
        left, top, right, bottom = self._font.getbbox(text)
        image = Image.new("RGB", (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad), _BADGE)
        ImageDraw.Draw(image).text((pad - left, pad - top), text, _INK, self._font)
        return np.asarray(image)
