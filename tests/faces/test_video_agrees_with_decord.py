"""Our reader and decord, an independent one, see the same frames at the same times."""

import subprocess
import sys

import numpy as np

from stgt.faces.video import open_source

#: In a process of its own: decord's libraries make torch crash when they are loaded first.
DECORD = """
import sys, decord, numpy
reader = decord.VideoReader(sys.argv[1], num_threads=1)
frames = numpy.stack([reader[index].asnumpy() for index in range(len(reader))])
numpy.savez(sys.argv[2], frames=frames, times=reader.get_frame_timestamp(range(len(reader)))[:, 0])
"""


def test_frames_and_times_agree(rendered_face_clip, tmp_path):
    subprocess.run([sys.executable, "-c", DECORD, rendered_face_clip, tmp_path / "decord.npz"], check=True)
    theirs = np.load(tmp_path / "decord.npz")
    with open_source(rendered_face_clip) as source:
        ours = list(source)
    assert len(ours) == len(theirs["frames"])
    assert np.allclose([time for time, _ in ours], theirs["times"] - theirs["times"][0], atol=1e-4)
    for (_, rgb), other in zip(ours, theirs["frames"], strict=True):
        # Two conversions from YUV may round differently, but not by more than a shade.
        assert np.abs(rgb.astype(int) - other.astype(int)).mean() < 1.5
