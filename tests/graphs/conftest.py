import numpy as np
import pytest

from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import load_reference_face


def posed(points, yaw_deg, pitch_deg, scale, shift):
    """Faces turned, scaled and moved, as a camera might see them."""
    yaw, pitch = np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return (points @ (about_y @ about_x).T * scale + shift).astype(np.float32)


def make_track(times, valid=None, seed=0):
    """A talking face in pixels: the reference face whose mouth opens and closes, with some noise of its own."""
    times = np.asarray(times, np.float64)
    valid = np.ones(len(times), bool) if valid is None else np.asarray(valid, bool)
    generator = np.random.default_rng(seed)
    face = load_reference_face()
    points = np.repeat(face.points[None].astype(np.float64), len(times), axis=0)
    points[:, [14, 17, 152], 1] += 0.1 * np.sin(5 * times)[:, None]
    points += generator.normal(0, 0.01, points.shape)
    points = posed(points, 5.0, -3.0, 90.0, (320.0, 240.0, 0.0))
    points[~valid] = 0
    count = len(times)
    blendshapes = 0.5 + 0.5 * np.sin(5 * times[:, None] + np.arange(52))
    return LandmarkTrack(
        points=points,
        times=times,
        valid=valid,
        blendshapes=(blendshapes * valid[:, None]).astype(np.float32),
        transforms=np.zeros((count, 4, 4), np.float32),
        image_size=(640, 480),
        source="made",
    )


@pytest.fixture
def track():
    return make_track(np.arange(90) / 30)


@pytest.fixture
def track_factory():
    return make_track


@pytest.fixture
def pose_faces():
    return posed
