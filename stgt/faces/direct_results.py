"""MediaPipe's results as arrays, without the Python objects that it makes of them.

MediaPipe makes an object of every landmark of every face of every frame, which takes a tenth of the time of all its
networks, and keeps other threads from running. Its results are structures in memory, whose layout it declares; here
they are read as they are. What is read is the same to the last bit. These parts of MediaPipe are not promised to stay;
where they are not what they are known to be, `direct_detection` says so and the promised way is taken.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Of one face: (N, 3) float32 landmarks as shares of the picture's sides, (52,) float32 blendshapes, (4, 4) transform.
RawFace = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

_FLOAT = ctypes.sizeof(ctypes.c_float)


def direct_detection(task: Any) -> Callable[[Any, int], list[RawFace]] | None:
    """What calls a task in video mode with an image and a time in milliseconds; None: this MediaPipe has other insides.

    Args:
        task: MediaPipe's ``FaceLandmarker``.
    """
    try:
        from mediapipe.tasks.python.components.containers import category_c, landmark_c
        from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC as Result

        library, handle = task._lib, task._handle
        detect, free = library.MpFaceLandmarkerDetectForVideo, library.MpFaceLandmarkerCloseResult
        read_points = _columns(landmark_c.MpNormalizedLandmarkC, "x", "y", "z")
        read_scores = _columns(category_c.MpCategoryC, "score")
        wanted = ("face_landmarks", "face_blendshapes", "facial_transformation_matrixes")
        if not all(hasattr(Result, field) for name in wanted for field in (name, f"{name}_count")):
            return None
    except (ImportError, AttributeError, TypeError):
        return None

    def run(image: Any, now_ms: int) -> list[RawFace]:
        result = Result()
        detect(handle, image._image_ptr, None, now_ms, ctypes.byref(result))
        try:
            faces = []
            for index in range(result.face_landmarks_count):
                points, shapes = result.face_landmarks[index], result.face_blendshapes[index]
                faces.append(
                    (
                        read_points(points.landmarks, points.landmarks_count),
                        read_scores(shapes.categories, shapes.categories_count)[:, 0],
                        result.facial_transformation_matrixes[index].to_numpy().astype(np.float32),
                    )
                )
            return faces
        finally:
            free(ctypes.byref(result))

    return run


def _columns(structure: type[ctypes.Structure], *names: str) -> Callable[[Any, int], NDArray[np.float32]]:
    """What copies some float fields of an array of structures; (N, fields).

    Raises:
        AttributeError: it has no such field.
        TypeError: one is no float where floats lie.
    """
    kinds = dict(field[:2] for field in structure._fields_)
    size = ctypes.sizeof(structure)
    offsets = [getattr(structure, name).offset for name in names]
    if any(kinds[name] is not ctypes.c_float for name in names) or size % _FLOAT or any(at % _FLOAT for at in offsets):
        raise TypeError(structure.__name__)
    columns = np.array(offsets) // _FLOAT

    def read(pointer: Any, count: int) -> NDArray[np.float32]:
        return np.frombuffer(ctypes.string_at(pointer, count * size), np.float32).reshape(count, -1)[:, columns]

    return read
