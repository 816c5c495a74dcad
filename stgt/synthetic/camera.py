"""The pinhole camera of a scene, in numpy: where a point of the head falls in the picture."""

from dataclasses import dataclass

import numpy as np

from stgt.synthetic.mesh import rotation_matrix, turning_share
from stgt.synthetic.rendering import FACE_CENTRE, FACE_HEIGHT, NECK
from stgt.synthetic.scenes import Scene


@dataclass(frozen=True)
class Camera:
    """Axes and place of a camera.

    Attributes:
        position: ``(3,)`` metres.
        axes: ``(3, 3)`` rows: right, down and forward.
        focal_px: focal length in pixels.
        centre: ``(2,)`` pixels, the middle of the picture.
        distance: metres to what it is aimed at.
    """

    position: np.ndarray
    axes: np.ndarray
    focal_px: float
    centre: np.ndarray
    distance: float

    @classmethod
    def of(cls, scene: Scene, image_size: tuple[int, int]) -> "Camera":
        """The camera with which ``FaceRenderer`` draws the scene."""
        azimuth, elevation = np.radians([scene.azimuth, scene.elevation])
        backward = np.array(
            [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
        )
        right = np.cross([0.0, 1.0, 0.0], backward)
        right /= np.linalg.norm(right)
        up = np.cross(backward, right)
        view_height = FACE_HEIGHT / scene.face_share
        target = FACE_CENTRE - right * scene.shift[0] * view_height + up * scene.shift[1] * view_height
        roll = np.radians(scene.roll)
        right, up = np.cos(roll) * right - np.sin(roll) * up, np.cos(roll) * up + np.sin(roll) * right
        width, height = image_size
        return cls(
            position=target + backward * scene.distance,
            axes=np.stack([right, -up, -backward]),
            focal_px=height * scene.distance / view_height,
            centre=np.array([width / 2, height / 2]),
            distance=scene.distance,
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points in metres ``(..., 3)`` -> pixels ``(..., 3)``: x right, y down, z behind the aim on x's scale.

        In float32 all the way: single matrix products of millions of rows are what this costs.
        """
        axes = self.axes.astype(np.float32)
        seen = points.reshape(-1, 3).astype(np.float32) @ axes.T - axes @ self.position.astype(np.float32)
        flat = seen[:, :2] * (np.float32(self.focal_px) / seen[:, 2:]) + self.centre.astype(np.float32)
        depth = (seen[:, 2:] - np.float32(self.distance)) * np.float32(self.focal_px / self.distance)
        return np.concatenate([flat, depth], axis=1).reshape(points.shape)


def pose_points(points: np.ndarray, template: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Points of the head ``(T, N, 3)`` turned on the neck and moved, as the renderer does it.

    Args:
        points: metres.
        template: ``(N, 3)`` the same points on the template, which decides how far each follows the head.
        rotation: ``(T, 3)`` degrees: pitch, yaw, roll.
        translation: ``(T, 3)`` metres.
    """
    turns = rotation_matrix(rotation).swapaxes(1, 2)
    centred = points.astype(np.float32) - NECK
    turned = centred @ turns
    turned -= centred
    turned *= turning_share(template)
    turned += points
    turned += translation[:, None].astype(np.float32)
    return turned
