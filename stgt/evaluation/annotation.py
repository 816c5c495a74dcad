"""Pictures of a reading in progress: the mesh on the face, and beside it what the model says, second by second."""

import contextlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stgt.evaluation.plots import PALETTE
from stgt.evaluation.predictions import UNCERTAIN

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

    from stgt.faces.video import FrameSource
    from stgt.inference import Reading

#: Seconds of the past that the panel shows.
HISTORY_S = 6.0

_PAPER, _INK, _MUTED, _LINE = (20, 24, 29), (228, 232, 236), (140, 151, 162), (46, 54, 63)
_COLOURS = [tuple(bytes.fromhex(colour[1:])) for colour in PALETTE]
_MIN_HEIGHT, _MAX_HEIGHT = 480, 720  # px: small videos are enlarged so that the panel is legible


class Panel:
    """The column beside the picture: the leading label with its confidence, and each label's last seconds.

    Args:
        labels: K label names.
        height: of the panel in pixels; everything scales with it.
    """

    def __init__(self, labels: Sequence[str], height: int) -> None:
        self.labels = tuple(labels)
        self.height = height
        self.scale = height / 480
        self.width = round(300 * self.scale / 2) * 2
        self._left, self._right = self._px(18), self.width - self._px(18)
        self._top = self._px(104)
        self._row = (height - self._top - self._px(34)) / max(len(self.labels), 1)

    def draw(
        self,
        time_s: float,
        times: np.ndarray,
        probabilities: np.ndarray,
        absent: str = "no face",
        min_confidence: float = 0.0,
    ) -> np.ndarray:
        """The panel at one moment.

        Args:
            time_s: now, in seconds; the right edge of the curves.
            times: (N,) s, ascending; those within the last ``HISTORY_S`` are shown.
            probabilities: (N, K); NaN rows where there is no face. The last row is what is said now.
            absent: what is said where the last row is NaN.
            min_confidence: where the highest of the last row is lower, ``uncertain`` is said and no label leads.

        Returns:
            (height, width, 3) uint8 RGB.
        """
        picture = np.full((self.height, self.width, 3), _PAPER, np.uint8)
        recent = times > time_s - HISTORY_S - 0.5
        times, probabilities = times[recent], probabilities[recent]
        now = probabilities[-1] if len(probabilities) else np.full(len(self.labels), np.nan)
        seen = bool(np.isfinite(now).all())
        leader = int(now.argmax()) if seen and now.max() >= min_confidence else None
        for index in range(len(self.labels)):
            self._curve(picture, index, time_s, times, probabilities[:, index], index == leader)
        if leader is not None:
            self._confidence_bar(picture, _COLOURS[leader % len(_COLOURS)], float(now[leader]))
        title = self.labels[leader] if leader is not None else UNCERTAIN if seen else absent
        return self._write(picture, time_s, now, title, leader)

    def _curve(
        self, picture: np.ndarray, index: int, time_s: float, times: np.ndarray, values: np.ndarray, leads: bool
    ) -> None:
        """One label's probability over the last seconds, filled; grey where there was no face."""
        base, high = self._base(index), self._row - self._px(22)
        colour = np.array(_COLOURS[index % len(_COLOURS)])
        fill = colour if leads else (0.45 * colour + 0.55 * np.array(_PAPER))
        columns = np.arange(self._left, self._right)
        moments = time_s - HISTORY_S * (1 - (columns - self._left) / max(self._right - self._left - 1, 1))
        cv2.line(picture, (self._left, base), (self._right - 1, base), _LINE, 1)
        if not len(times):
            return
        nearest = np.abs(times[None] - moments[:, None]).argmin(axis=1)
        known = (moments >= times[0] - 0.1) & (moments <= times[-1] + 0.1)
        tall = np.maximum(np.round(values[nearest] * high), 1)
        seen = known & np.isfinite(tall)
        above = np.arange(int(high), 0, -1)[:, None]  # pixels above the base line, row by row
        region = picture[base - int(high) : base, self._left : self._right]
        region[seen & (above <= np.nan_to_num(tall))] = fill
        region[known & ~seen & (above <= self._px(3))] = _LINE

    def _confidence_bar(self, picture: np.ndarray, colour: tuple[int, ...], confidence: float) -> None:
        top, bottom = self._px(78), self._px(86)
        end = self._left + round(confidence * (self._right - self._left))
        cv2.rectangle(picture, (self._left, top), (self._right - 1, bottom), _LINE, -1)
        cv2.rectangle(picture, (self._left, top), (max(end - 1, self._left), bottom), colour, -1)

    def _write(self, picture: np.ndarray, time_s: float, now: np.ndarray, title: str, leader: int | None) -> np.ndarray:
        """All text at once: each change between arrays and PIL copies the picture."""
        from PIL import Image, ImageDraw

        image = Image.fromarray(picture)
        pen = ImageDraw.Draw(image)
        large, small, tiny = (_font(self._px(size)) for size in (25, 13, 11))
        pen.text((self._left, self._px(60)), title, _MUTED if leader is None else _INK, large, anchor="ls")
        if leader is not None:
            pen.text((self._right, self._px(60)), f"{100 * now[leader]:.0f} %", _INK, large, anchor="rs")
        for index, label in enumerate(self.labels):
            ink = _INK if index == leader else _MUTED
            height = self._base(index) - self._row + self._px(18)
            pen.text((self._left, height), label, ink, small, anchor="ls")
            if np.isfinite(now[index]):
                pen.text((self._right, height), f"{100 * now[index]:.0f}", ink, small, anchor="rs")
        foot = self.height - self._px(14)
        pen.text((self._left, foot), f"last {HISTORY_S:.0f} s", _MUTED, tiny, anchor="ls")
        pen.text((self._right, foot), f"{time_s:.1f} s", _MUTED, tiny, anchor="rs")
        return np.asarray(image)

    def _base(self, index: int) -> int:
        return round(self._top + (index + 1) * self._row)

    def _px(self, size: float) -> int:
        return max(1, round(size * self.scale))


def write_annotated_video(
    path: Path | str,
    source: "FrameSource | Path | str",
    reading: "Reading",
    frame_rate: float | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Write the source again with the mesh on the face and the panel beside it, as an mp4 that browsers play.

    Between the middles of two windows the probabilities are interpolated.

    Args:
        path: ends in ``.mp4``.
        source: what was read; an open source is read again from its beginning, and stays open.
        reading: what was read in it.
        frame_rate: Hz, of a folder of images.
        progress: called after every frame with the frames done and expected.
    """
    from stgt.faces.drawing import VideoWriter, draw_mesh
    from stgt.faces.video import FrameSource, open_source

    track = reading.track
    probabilities = frame_probabilities(reading)
    is_open = isinstance(source, FrameSource)
    with contextlib.nullcontext(source) if is_open else open_source(source, frame_rate) as frames:
        width, height = frames.image_size
        tall = int(np.clip(height, _MIN_HEIGHT, _MAX_HEIGHT)) // 2 * 2
        wide = round(width * tall / height / 2) * 2
        panel = Panel(reading.labels, tall)
        with VideoWriter(path, frames.frame_rate, (wide + panel.width, tall)) as writer:
            for index, (time_s, rgb) in enumerate(frames):
                if index >= len(track):
                    break
                if track.valid[index]:
                    points = track.points[index, :, :2] * (wide / width, tall / height)
                    rgb = draw_mesh(_resize(rgb, (wide, tall)), points)
                else:
                    rgb = _resize(rgb, (wide, tall)) // 2  # dim: nothing is read here
                first = int(np.searchsorted(track.times, time_s - HISTORY_S - 0.5))
                past = slice(first, index + 1)
                column = panel.draw(
                    time_s, track.times[past], probabilities[past], min_confidence=reading.min_confidence
                )
                writer.write(np.hstack([rgb, column]), time_s)
                if progress is not None:
                    progress(index + 1, frames.frame_count)


def frame_probabilities(reading: "Reading") -> np.ndarray:
    """(T, K) at every frame of the track: interpolated between the windows, NaN in frames without a face."""
    times, values = reading.times, reading.probabilities
    result = np.full((len(reading.track), len(reading.labels)), np.nan)
    seen = np.isfinite(values).all(axis=1)
    if seen.any():
        for index in range(len(reading.labels)):
            result[:, index] = np.interp(reading.track.times, times[seen], values[seen, index])
    result[~reading.track.valid] = np.nan
    return result


def _resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] < rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


@lru_cache(maxsize=16)
def _font(size: int) -> "FreeTypeFont":
    """DejaVu Sans, which comes with matplotlib."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
