"""Our reader and decord, an independent one, see the same frames at the same times."""

import decord
import numpy as np

from stgt.faces.video import open_source


def test_frames_and_times_agree(rendered_face_clip):
    reader = decord.VideoReader(str(rendered_face_clip), num_threads=1)
    with open_source(rendered_face_clip) as source:
        ours = list(source)
    assert len(ours) == len(reader)
    starts = reader.get_frame_timestamp(range(len(reader)))[:, 0]
    assert np.allclose([time for time, _ in ours], starts - starts[0], atol=1e-4)
    for index in (0, len(ours) // 2, len(ours) - 1):
        # Two conversions from YUV may round differently, but not by more than a shade.
        difference = np.abs(ours[index][1].astype(int) - reader[index].asnumpy().astype(int))
        assert difference.mean() < 1.5
