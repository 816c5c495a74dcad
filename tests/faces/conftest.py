"""Videos that the tests write themselves, and the track of the rendered face."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from stgt.faces.extract import extract
from stgt.faces.landmarker import FaceLandmarker
from stgt.faces.video import open_source

TICKS = 90_000


class ClipMaker:
    """Writes small videos into a folder, in any container and codec."""

    def __init__(self, folder):
        self.folder = folder

    @staticmethod
    def numbered(count, size=(64, 48)):
        """Even pictures whose brightness tells their number."""
        return [np.full((size[1], size[0], 3), 10 + 10 * index, np.uint8) for index in range(count)]

    @staticmethod
    def number(rgb):
        """The number that `numbered` painted."""
        return round((float(rgb.mean()) - 10) / 10)

    def write(self, name, frames, times=None, codec="libx264", pixels="yuv420p", rate=25, aspect=None, **options):
        """Write frames at ``times`` (seconds), or at ``rate`` on the codec's own clock."""
        path = self.folder / name
        with av.open(str(path), "w", options={"movflags": "faststart"} if name.endswith(".mp4") else {}) as container:
            stream = container.add_stream(codec, rate=rate, options=options)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pixels
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            if times:
                stream.codec_context.time_base = Fraction(1, TICKS)
            for index, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
                if times:
                    frame.pts, frame.time_base = round(times[index] * TICKS), Fraction(1, TICKS)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path


@pytest.fixture
def clips(tmp_path):
    return ClipMaker(tmp_path)


@pytest.fixture
def turn_mp4():
    """Writes into an mp4, as phones do, by how much its picture is to be turned clockwise when it is shown."""

    def turn(path, degrees):
        content = bytearray(path.read_bytes())
        box = content.index(b"tkhd")
        matrix = box + 8 + (20 if content[box + 4] == 0 else 32) + 16
        one = 1 << 16
        cos, sin = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
        struct.pack_into(">2i", content, matrix, cos, sin)
        struct.pack_into(">2i", content, matrix + 12, -sin, cos)
        path.write_bytes(content)
        return path

    return turn


@pytest.fixture(scope="session")
def face_frames(rendered_face_clip):
    """``[(time, rgb)]`` of the rendered face."""
    return list(open_source(rendered_face_clip))


@pytest.fixture(scope="session")
def face_extract(rendered_face_clip):
    return extract(rendered_face_clip)


@pytest.fixture
def face_track(face_extract):
    return face_extract[0]


@pytest.fixture
def face_crops(face_extract):
    return face_extract[1]


@pytest.fixture(scope="session")
def landmarker():
    with FaceLandmarker() as landmarker:
        yield landmarker
