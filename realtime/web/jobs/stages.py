"""What a worker does with a job: reading it, and drawing its video when that is asked for."""

from typing import TYPE_CHECKING

from ..decoding import ChildSource
from ..landmarkers import Landmarkers
from ..limits import Limits
from .job import Job

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
            with landmarkers.lent(job.faces or limits.photo_faces) as landmarker:
                faces = photos.read(job, source, reader, landmarker)
            job.notes += source.notes
            results.keep_photo(job, source, reader, faces)
        else:
            with landmarkers.lent(job.faces or 1) as landmarker:
                video = videos.read(job, source, reader, landmarker)
            job.notes += source.notes
            results.keep_video(job, source, reader, video)
    job.reads_from(None)
    job.has_result = True


def draw(job: Job, reader: "ExpressionReader", limits: Limits) -> None:
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
