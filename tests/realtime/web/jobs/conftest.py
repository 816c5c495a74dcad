"""A line of jobs, and files for it."""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from stgt.realtime.web.jobs.job import JobState
from stgt.realtime.web.jobs.queue import Jobs
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.scratch import Scratch
from stgt.realtime.web.uploads import Upload

PATIENCE_S = 60.0


class Line:
    """Jobs with a temporary folder of their own."""

    def __init__(self, reader: Any, folder: Path, limits: Limits) -> None:
        self.scratch = Scratch(folder)
        self.jobs = Jobs(reader, limits, self.scratch)

    def upload(self, content: bytes, name: str = "clip.mp4") -> Upload:
        file = self.scratch.new_file()
        file.write(content)
        file.seek(0)
        return Upload(file, name, len(content))

    def submit(self, content: bytes, name: str = "clip.mp4", **options: Any) -> JobState:
        return self.jobs.submit(self.upload(content, name), **options)

    def until(self, job_id: str, *statuses: str) -> JobState:
        end_s = time.monotonic() + PATIENCE_S
        while True:
            state = self.jobs.state(self.jobs.get(job_id))
            if state.status in (statuses or ("done", "failed")):
                return state
            assert time.monotonic() < end_s, state
            time.sleep(0.02)

    def read(self, content: bytes, name: str = "clip.mp4", **options: Any) -> JobState:
        return self.until(self.submit(content, name, **options).id)

    def folder(self, job_id: str) -> Path:
        return self.jobs.get(job_id).folder

    def left(self) -> list[Path]:
        return [path for path in self.scratch.path.rglob("*") if path.is_file()]

    def close(self) -> None:
        self.jobs.close()
        assert not self.left()
        self.scratch.close()


@pytest.fixture
def start_line(reader, tmp_path) -> Iterator[Callable[..., Line]]:
    lines = []

    def start(limits: Limits | None = None) -> Line:
        lines.append(Line(reader, tmp_path, limits or Limits()))
        return lines[-1]

    yield start
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def line(reader, tmp_path_factory) -> Iterator[Line]:
    """One that tests share, as its landmarkers stay open."""
    line = Line(reader, tmp_path_factory.mktemp("line"), Limits())
    yield line
    line.close()


@pytest.fixture(scope="session")
def clip(rendered_face_clip) -> bytes:
    return rendered_face_clip.read_bytes()


@pytest.fixture(scope="session")
def encode_pictures() -> Callable[..., bytes]:
    """An H.264 file of RGB pictures, 16 in a second."""

    def encode(pictures: list[np.ndarray]) -> bytes:
        content = io.BytesIO()
        with av.open(content, "w", format="mp4") as target:
            stream = target.add_stream("libx264", rate=16, options={"preset": "ultrafast", "crf": "18"})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for picture in pictures:
                target.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
            target.mux(stream.encode())
        return content.getvalue()

    return encode


@pytest.fixture(scope="session")
def long_clip(face_frames, encode_pictures) -> bytes:
    """Twelve seconds: long enough to be stopped in the middle."""
    return encode_pictures([rgb for _, rgb in face_frames] * 8)


@pytest.fixture(scope="session")
def two_people_clip(face_frames, encode_pictures) -> bytes:
    """Two people side by side for a second and a half, and a third one for a moment at the end."""
    pictures = [rgb for _, rgb in face_frames]
    nobody = np.full_like(pictures[0], 90)
    rows = []
    for index, (left, right) in enumerate(zip(pictures, pictures[::-1], strict=True)):
        third = pictures[0] if index >= len(pictures) - 5 else nobody
        rows.append(np.hstack([left, right[:, ::-1], third]))
    return encode_pictures(rows)


@pytest.fixture(scope="session")
def encode_jpeg() -> Callable[[np.ndarray], bytes]:
    import cv2

    def encode(rgb: np.ndarray) -> bytes:
        return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()

    return encode
