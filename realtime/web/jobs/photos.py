"""Photos: every face as a track of one frame, read as `stgt predict` reads an image."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stgt.faces.crops import CropSequence, crop_face, encode_crop
from stgt.faces.extract import build_track
from stgt.faces.landmarker import FaceLandmarker

from .job import Job
from .searching import find_faces

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader, Prediction

    from ..decoding import ChildSource


class PhotoFace(NamedTuple):
    """A face in a photo: (478, 3) landmarks in pixels, and what is said of it."""

    points: np.ndarray
    prediction: "Prediction"


def read(job: Job, source: "ChildSource", reader: "ExpressionReader", landmarker: FaceLandmarker) -> list[PhotoFace]:
    """What is said of each face, from left to right.

    Raises:
        SourceError: the photo cannot be read.
        Cancelled: nobody wants it any more.
    """
    result = []
    for _, rgb in source:
        faces = find_faces(rgb, landmarker, job.check)
        for number, face in enumerate(faces):
            job.check()
            track = build_track([0.0], [face], source.image_size, source.name)
            crops = CropSequence.from_jpegs([encode_crop(crop_face(rgb, face.points))])
            predictions = reader.predict_windows(track, crops, face=number)
            result.append(PhotoFace(face.points, predictions[0]))
        job.count(1, 1)
    if not result:
        job.notes.append("no face was found")
    elif len(result) == landmarker.faces:
        job.notes.append(f"at most {landmarker.faces} faces are read, the largest; there may be more")
    return result
