"""What a worker does with a job: reading it, and drawing its video when that is asked for."""

from typing import TYPE_CHECKING

from ..decoding import ChildSource
from ..limits import Limits
from .job import Job
from .landmarkers import Landmarkers

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader


def read(job: Job, reader: "ExpressionReader", limits: Limits, landmarkers: Landmarkers) -> None:
    """Read a file and write its results into the job's folder.

    Raises:
        StgtError: it cannot be read.
        Cancelled: nobody wants it any more.
    """
    from . import photos, results, videos

    job.check()
    with ChildSource(job.upload.file, limits, job.upload.name, job.reads_from) as source:
        job.kind = source.kind
        if source.kind == "photo":
            faces = photos.read(job, source, reader, landmarkers.for_faces(job.faces or limits.photo_faces))
            job.notes += source.notes
            results.keep_photo(job, source, reader, faces)
        else:
            landmarker = landmarkers.for_faces(job.faces or 1)
            video = videos.read(job, source, reader, landmarker)
            job.notes += source.notes
            results.keep_video(job, source, reader, video)
    job.reads_from(None)
    job.has_result = True


def draw(job: Job, reader: "ExpressionReader", limits: Limits, landmarkers: Landmarkers) -> None:  # noqa: ARG001
    """Draw the annotated video of a job that was read; its tracks are in its folder.

    Raises:
        StgtError: it cannot be drawn.
        Cancelled: nobody wants it any more.
    """
    from . import annotated, results

    job.check()
    with ChildSource(job.upload.file, limits, job.upload.name, job.reads_from) as source:
        annotated.draw(job, source, results.kept_readings(job, reader), reader.layout)
    job.reads_from(None)
    job.has_video = True
