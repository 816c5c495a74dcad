"""The annotated video of a job: as `stgt predict` draws it for one person, as the live program does for several."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stgt.errors import SourceError
from stgt.evaluation.annotation import frame_probabilities, write_annotated_video
from stgt.evaluation.predictions import NO_LABEL, UNCERTAIN
from stgt.faces.drawing import VideoWriter
from stgt.faces.landmarker import Landmarks
from stgt.inference import Reading, top_label

from ...frames import FaceState, LiveFace, LiveFrame
from ...painting.overlay import Overlay
from ...people.person import box_of
from .job import Job
from .results import ANNOTATED

if TYPE_CHECKING:
    from stgt.graphs.layout import NodeLayout

    from ..decoding import ChildSource


def draw(job: Job, source: "ChildSource", readings: Sequence[Reading], layout: "NodeLayout") -> None:
    """Write the annotated video into the job's folder.

    Raises:
        StgtError: the video cannot be read again, or not be written.
        Cancelled: nobody wants it any more.
    """
    path = job.folder / ANNOTATED
    frames = len(readings[0].track)
    if len(readings) == 1:
        write_annotated_video(path, source, readings[0], progress=lambda done, _: job.count(done, frames))
        return
    overlay = Overlay(readings[0].labels, source.image_size, layout, faces=len(readings), figures=False)
    people = [_Person(number, reading) for number, reading in enumerate(readings)]
    with VideoWriter(path, source.frame_rate, overlay.image_size) as writer:
        for index, (time_s, rgb) in enumerate(source):
            if index >= frames:
                break
            live = LiveFrame(
                timestamp_s=time_s,
                wall_s=0.0,
                index=index,
                rgb=rgb,
                faces=tuple(person.at(index) for person in people if person.is_seen(index)),
                labels=readings[0].labels,
                frame_rate=0.0,
                latency_s=0.0,
                dropped=0,
            )
            writer.write(overlay.paint(live), time_s)
            job.count(index + 1, frames)
        if not writer.frame_count:
            raise SourceError("the video cannot be read a second time")


class _Person:
    """Somebody who was read, frame by frame."""

    def __init__(self, number: int, reading: Reading) -> None:
        self._number = number
        self._reading = reading
        self._probabilities = frame_probabilities(reading)

    def is_seen(self, index: int) -> bool:
        """Whether they are in a frame."""
        return bool(self._reading.track.valid[index])

    def at(self, index: int) -> LiveFace:
        """What is known of them at a frame in which they are."""
        track, labels = self._reading.track, self._reading.labels
        points, probabilities = track.points[index], self._probabilities[index]
        label = top_label(labels, probabilities, self._reading.min_confidence)
        states = {NO_LABEL: FaceState.WARMING_UP, UNCERTAIN: FaceState.UNCERTAIN}
        return LiveFace(
            face=self._number,
            landmarks=Landmarks(points, track.blendshapes[index], track.transforms[index]),
            state=states.get(label, FaceState.READING),
            labels=labels,
            probabilities=probabilities,
            label=label,
            confidence=float(np.max(probabilities)),
            prediction=None,
            is_new=False,
            attention=None,
            box=box_of(points),
        )
