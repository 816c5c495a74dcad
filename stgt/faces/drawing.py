"""What people look at: the landmark mesh on a frame, and H.264 video that browsers play."""

import contextlib
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from stgt.errors import StgtError
from stgt.files import atomic_path

#: Colours of the mesh (RGB): the web of triangles, then the features that carry expression.
MESH_COLOUR = (190, 230, 225)
OVAL_COLOUR = (225, 235, 235)
EYE_COLOUR = (90, 215, 255)
BROW_COLOUR = (255, 200, 90)
LIPS_COLOUR = (255, 110, 130)

#: Landmarks in the middle of the irises; the four that follow each lie on its rim.
IRIS_CENTRES = (468, 473)

_SUBPIXEL_BITS = 4  # cv2 takes fixed-point coordinates: 1/16 pixel keeps a slow mesh from jumping between pixels
_TICKS_PER_SECOND = 90_000  # the clock of MPEG: 24, 25, 29.97, 30, 50 and 60 Hz all fall on whole ticks


@lru_cache(maxsize=1)
def mesh_connections() -> dict[str, np.ndarray]:
    """MediaPipe's face connections by name: ``mesh``, ``oval``, ``eyes``, ``brows``, ``lips``.

    Each is ``(E, 2)`` int landmark pairs, every undirected pair once.
    """
    from mediapipe.tasks.python.vision import FaceLandmarksConnections as Connections

    groups = {
        "mesh": [Connections.FACE_LANDMARKS_TESSELATION],
        "oval": [Connections.FACE_LANDMARKS_FACE_OVAL],
        "eyes": [Connections.FACE_LANDMARKS_LEFT_EYE, Connections.FACE_LANDMARKS_RIGHT_EYE],
        "brows": [Connections.FACE_LANDMARKS_LEFT_EYEBROW, Connections.FACE_LANDMARKS_RIGHT_EYEBROW],
        "lips": [Connections.FACE_LANDMARKS_LIPS],
    }
    return {
        name: np.unique([sorted((edge.start, edge.end)) for part in parts for edge in part], axis=0)
        for name, parts in groups.items()
    }


def draw_mesh(rgb: np.ndarray, points: np.ndarray, opacity: float = 0.35) -> np.ndarray:
    """Draw the landmark mesh of one face.

    Args:
        rgb: ``(H, W, 3)`` uint8; it is not changed.
        points: ``(478, 2)`` or ``(478, 3)`` landmarks in pixels of ``rgb``; they may lie outside the picture.
        opacity: of the web of triangles; eyes, brows and lips are drawn stronger.

    Returns:
        A new ``(H, W, 3)`` uint8 picture. Lines grow with the face, so that small and large pictures look alike.
    """
    picture = np.array(rgb, dtype=np.uint8, order="C")
    flat = np.asarray(points, dtype=np.float64)[:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(low) - 8, 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(high) + 9, 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return picture

    size = float(np.max(high - low))
    connections = mesh_connections()
    window = picture[top:bottom, left:right]
    flat = flat - (left, top)
    web = window.copy()
    _draw_lines(web, flat, connections["mesh"], MESH_COLOUR, max(1, round(size / 500)))
    # On a small face the lines lie so close that they would hide it.
    _blend(window, web, opacity * float(np.clip(size / 350, 0.4, 1.0)))
    features = window.copy()
    stroke = max(1, round(size / 220))
    _draw_lines(features, flat, connections["oval"], OVAL_COLOUR, stroke)
    _draw_lines(features, flat, connections["eyes"], EYE_COLOUR, stroke)
    _draw_irises(features, flat, EYE_COLOUR, stroke)
    _draw_lines(features, flat, connections["brows"], BROW_COLOUR, stroke)
    _draw_lines(features, flat, connections["lips"], LIPS_COLOUR, stroke)
    _blend(window, features, min(1.0, 2.4 * opacity))
    return picture


def _draw_lines(
    picture: np.ndarray, points: np.ndarray, edges: np.ndarray, colour: tuple[int, ...], width: int
) -> None:
    segments = np.round(points[edges] * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(picture, list(segments), False, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_irises(picture: np.ndarray, points: np.ndarray, colour: tuple[int, ...], width: int) -> None:
    for centre in IRIS_CENTRES:
        rim = points[centre + 1 : centre + 5]
        radius = np.linalg.norm(rim - points[centre], axis=1).mean()
        x, y, r = (int(value) for value in np.round(np.array([*points[centre], radius]) * 2**_SUBPIXEL_BITS))
        cv2.circle(picture, (x, y), r, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _blend(below: np.ndarray, above: np.ndarray, opacity: float) -> None:
    """Lay ``above`` over ``below``, in place."""
    below[...] = cv2.addWeighted(above, opacity, below, 1.0 - opacity, 0.0)


class VideoWriter:
    """Writes an H.264 mp4 that every browser plays (yuv420p, index at the front), atomically.

    The file appears under its name only when the block ends without an exception; a half-written one never does.
    Encoding uses one thread, so that the same pictures give the same bytes on any number of cores.

    Args:
        path: must end in ``.mp4``.
        frame_rate: Hz, the rate of frames that are written without a time.
        image_size: ``(width, height)`` of every frame. An odd side is made even by repeating the last row or column.
        quality: 0 to 100; 60 is hard to tell from the original, 45 is half its size.

    Raises:
        StgtError: a path of another kind, a rate or size that makes no video.
    """

    def __init__(self, path: Path | str, frame_rate: float, image_size: tuple[int, int], quality: float = 60.0) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise StgtError(f"{self.path}: videos are written as .mp4; choose a name that ends so")
        if not frame_rate > 0:
            raise StgtError(f"{self.path}: a video needs a positive frame rate, not {frame_rate}")
        if min(image_size) < 2:
            raise StgtError(
                f"{self.path}: a picture of {image_size[0]}x{image_size[1]} pixels is too small for a video"
            )
        self.frame_rate = float(frame_rate)
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.quality = float(np.clip(quality, 0.0, 100.0))
        self.frame_count = 0
        self._last_tick = -1
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "VideoWriter":
        import av

        with contextlib.ExitStack() as stack:
            path, options = self._target(stack)
            self._container = stack.enter_context(av.open(str(path), "w", options=options))
            rate = Fraction(self.frame_rate).limit_denominator(1001)
            self._stream = stream = self._container.add_stream("libx264", rate=rate)
            stream.width, stream.height = (side + side % 2 for side in self.image_size)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
            stream.codec_context.thread_count = 1
            # x264's constant rate factor runs from 51 (worst) to 0 (lossless).
            # No macroblock tree: on AVX-512 it reads memory that it never wrote, and the bytes differ by chance.
            stream.options = {
                "crf": f"{51 * (1 - self.quality / 100):.1f}",
                "preset": "veryfast",
                "x264-params": "mbtree=0",
            }
            # Said in the file, because players guess the matrix of an unlabelled one by its size.
            stream.codec_context.colorspace = 6  # SMPTE 170M, the matrix that is also used below
            stream.codec_context.color_primaries = 1
            stream.codec_context.color_trc = 1
            stream.codec_context.color_range = 1  # 16 to 235
            self._stack = stack.pop_all()
        return self

    def _target(self, stack: contextlib.ExitStack) -> tuple[Path, dict[str, str]]:
        """The file to write, and the options of its format; ``stack`` unwinds when the video is finished."""
        # faststart moves the index before the pictures, so that a browser starts before it has the whole file.
        return stack.enter_context(atomic_path(self.path)), {"movflags": "faststart"}

    def write(self, rgb: np.ndarray, timestamp_s: float | None = None) -> None:
        """Append one ``(H, W, 3)`` uint8 frame.

        ``timestamp_s`` makes a video of variable rate: give it for every frame or for none. A time that does not grow
        is moved to the next tick, because a video cannot show two frames at once.
        """
        import av

        width, height = self.image_size
        if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"VideoWriter.write takes uint8 frames of {(height, width, 3)}, got {rgb.dtype} {rgb.shape}"
            )
        if width % 2 or height % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        seconds = self.frame_count / self.frame_rate if timestamp_s is None else timestamp_s
        tick = max(self._last_tick + 1, round(seconds * _TICKS_PER_SECOND))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG"
        )
        frame.pts = tick
        frame.time_base = Fraction(1, _TICKS_PER_SECOND)
        frame.duration = round(_TICKS_PER_SECOND / self.frame_rate)
        self._container.mux(self._stream.encode(frame))
        self._last_tick = tick
        self.frame_count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, traceback)  # atomic_path removes what was written
            return
        with self._stack:
            if self.frame_count == 0:
                raise StgtError(f"{self.path}: no frame was written, so there is no video")
            self._container.mux(self._stream.encode(None))
