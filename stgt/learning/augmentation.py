"""What training does to a window, so that few subjects teach more: mirror, residual pose, scale, noise, lost frames."""

from dataclasses import dataclass

import numpy as np

from stgt.config import AugmentationConfig
from stgt.graphs.actions import mirrored_actions
from stgt.graphs.layout import NodeLayout
from stgt.graphs.neutral import NeutralFace
from stgt.learning.pictures import augment_pictures


@dataclass(frozen=True)
class AugmentedWindow:
    """One augmented window."""

    points: np.ndarray
    """(T,V,3) float32, aligned node positions in inter-ocular units."""
    actions: np.ndarray
    """(T,52) float32, blendshapes."""
    neutral: NeutralFace
    """The person's face at rest, changed alike."""
    valid: np.ndarray
    """(T,) bool."""
    mirrored: bool
    """Whether left and right were exchanged: pixels that go with the window must be flipped, too."""


class Augmentation:
    """Random changes that keep the expression.

    Every draw comes from the generator that the caller passes, so a window's augmentation depends on nothing else.
    """

    def __init__(self, config: AugmentationConfig, layout: NodeLayout) -> None:
        self.config = config
        self.mirror = np.asarray(layout.mirror)

    def playing_speed(self, generator: np.random.Generator) -> float:
        """A factor around 1 by which the clip is played faster (>1) or slower, clipped to [1/2, 2]."""
        return float(np.clip(np.exp(generator.normal(0.0, self.config.speed)), 0.5, 2.0))

    def __call__(
        self,
        points: np.ndarray,
        actions: np.ndarray,
        valid: np.ndarray,
        neutral: NeutralFace,
        generator: np.random.Generator,
    ) -> AugmentedWindow:
        """Augment one window.

        Args:
            points: (T,V,3), aligned node positions in inter-ocular units, origin at the face's centre, x right, y down.
            actions: (T,52), blendshapes.
            valid: (T,) bool.
            neutral: the person's face at rest.
            generator: source of all randomness.
        """
        config = self.config
        rest, rest_actions = neutral.nodes, neutral.actions
        mirrored = self.draw_mirrored(generator)
        if mirrored:
            sides, sign = mirrored_actions(), np.array([-1.0, 1.0, 1.0], points.dtype)
            points, rest = points[:, self.mirror] * sign, rest[self.mirror] * sign
            actions, rest_actions = actions[:, sides], rest_actions[sides]
        # One rotation and scale for the window: what alignment leaves over is steady, and a change within the window
        # would look like motion.
        transform = rotation(generator.normal(0.0, np.deg2rad(config.rotation_deg), 3))
        transform = (transform * np.exp(generator.normal(0.0, config.scale))).T.astype(points.dtype)
        points, rest = points @ transform, rest @ transform
        if config.jitter:
            points = points + generator.normal(0.0, config.jitter, points.shape).astype(points.dtype)
        return AugmentedWindow(
            points.astype(np.float32, copy=False),
            actions,
            NeutralFace(rest.astype(np.float32, copy=False), rest_actions),
            self.drop_frames(valid, generator),
            mirrored,
        )

    def pictures(self, frames: np.ndarray, shown: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The crops (F,3,S,S) of a window, changed; see ``stgt.learning.pictures``."""
        return augment_pictures(frames, shown, self.config, generator)

    def draw_mirrored(self, generator: np.random.Generator) -> bool:
        """Whether left and right are to be exchanged this time."""
        return bool(generator.random() < self.config.mirror)

    def drop_frames(self, valid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Make frames invalid at random, but never the last valid one."""
        kept = valid & (generator.random(len(valid)) >= self.config.drop_frames)
        return kept if kept.any() else valid


def rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix (3,3) for the angles (3,) in radians about x, y and z, applied in this order."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
