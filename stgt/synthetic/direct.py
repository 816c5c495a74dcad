"""The direct road: faces as MediaPipe would track them, straight off the mesh, hundreds of clips a second.

The same heads, performances and cameras as on the rendered road, but no pixels: the 478 landmarks are read off the head
(``correspondence.py``), projected, and brought to where MediaPipe would have reported them (``tracker.py``). What comes
out is what alignment leaves of a landmark track. How close it is to the rendered road stands in docs/pretraining.md.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgt.graphs.alignment import load_reference_face, similarity_transforms
from stgt.synthetic.anny_data import ACTIONS, load_head_data
from stgt.synthetic.camera import Camera, pose_points
from stgt.synthetic.correspondence import Correspondence
from stgt.synthetic.heads import ACTION_GAINS, Identity, macro_weights, sample_identity, weigh
from stgt.synthetic.motion import ActionCurve
from stgt.synthetic.tracker import Tracker, blendshape_landmarks

#: Pixels; only the shape of a picture matters here, alignment removes the scale.
PICTURE = (640, 480)


class View(NamedTuple):
    """Where a camera stands; the fields of ``Scene`` that ``Camera.of`` reads."""

    distance: float
    elevation: float
    azimuth: float
    roll: float
    face_share: float = 0.5
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class TrackedFaces:
    """What is left of a landmark track after alignment.

    Attributes:
        points: ``(T, 478, 3)`` float32 aligned landmarks, inter-ocular units.
        actions: ``(T, 52)`` float32 blendshapes.
    """

    points: NDArray[np.float32]
    actions: NDArray[np.float32]


@dataclass(frozen=True)
class Distortion:
    """How this tracker differs from the one that was measured: real faces are not tracked exactly as rendered ones.

    Attributes:
        undamping: 0 to 1, how far tracked movement goes back to the true movement.
        clip_error, face_error, jitter: factors on the parts of the measured error.
        bias: ``(52,)`` added to the blendshapes' logits.
    """

    undamping: float = 0.0
    clip_error: float = 1.0
    face_error: float = 1.0
    jitter: float = 1.0
    bias: NDArray[np.float32] | float = 0.0


@dataclass(frozen=True, eq=False)
class _HeadLandmarks:
    """``HeadData`` at the landmarks alone; the last point is the middle of the eyes."""

    macro_labels: list[str]
    local_labels: list[str]
    template: np.ndarray  # (479, 3)
    macro: np.ndarray
    local: np.ndarray
    actions: np.ndarray  # (52, 478 * 3)


@cache
def _head_landmarks() -> _HeadLandmarks:
    data, place = load_head_data(), Correspondence.load()
    eyes = np.concatenate([data.triangles["left_eye"].ravel(), data.triangles["right_eye"].ravel()])

    def at(points: np.ndarray) -> np.ndarray:
        points = points.astype(np.float32)
        return np.concatenate([place(points), points[..., eyes, :].mean(axis=-2, keepdims=True)], axis=-2)

    local = data.local.reshape(-1, *data.template.shape)
    return _HeadLandmarks(
        macro_labels=data.macro_labels,
        local_labels=data.local_labels,
        template=at(data.template),
        macro=at(data.macro),
        local=np.stack([at(change) for change in local]),  # one by one: all of them in float32 are 18 MB a piece
        actions=place(data.actions).reshape(len(ACTIONS), -1),
    )


@dataclass(frozen=True, eq=False)
class Person:
    """One subject on the direct road.

    Attributes:
        identity: who it is.
        rest: ``(478, 3)`` metres, the landmarks with no action at all.
    """

    identity: Identity
    rest: NDArray[np.float32]

    def landmarks(self, weights: NDArray[np.floating]) -> NDArray[np.float32]:
        """Action weights ``(T, 52)`` -> landmarks ``(T, 478, 3)`` in metres."""
        moved = (weights * (ACTION_GAINS * self.identity.gains)).astype(np.float32) @ _head_landmarks().actions
        return self.rest + moved.reshape(len(weights), -1, 3)


@lru_cache(maxsize=8192)
def person(seed: int, subject: int) -> Person:
    """One subject, the same as ``sample_identity`` gives the rendered road."""
    head = _head_landmarks()
    identity = sample_identity(seed, subject, head.local_labels)
    rest = head.template + weigh(macro_weights(identity, head.macro_labels), head.macro)
    rest += weigh(np.maximum(np.stack([-identity.local, identity.local], axis=1), 0).reshape(-1), head.local)
    return Person(identity, (rest[:-1] - rest[-1] + head.template[-1]).astype(np.float32))


def track(
    who: Person,
    curve: ActionCurve,
    view: View,
    rng: np.random.Generator,
    frame_rate: float,
    distortion: Distortion | None = None,
) -> TrackedFaces:
    """A performance as MediaPipe would track it.

    Args:
        who: the person.
        curve: T frames of what the person does.
        view: where the camera stands.
        rng: fixes the tracker's errors.
        frame_rate: Hz of the curve.
        distortion: of the measured tracker; none: as measured.
    """
    distortion = distortion or Distortion()
    tracker, template = Tracker.load(), _head_landmarks().template[:-1]
    camera = Camera.of(view, PICTURE)
    # One frame more: the face at rest, straight into the camera.
    weights = np.concatenate([curve.weights, who.identity.resting[None]])
    rotation = np.concatenate([curve.rotation, np.zeros((1, 3), np.float32)])
    translation = np.concatenate([curve.translation, np.zeros((1, 3), np.float32)])
    seen = camera.project(pose_points(who.landmarks(weights), template, rotation, translation))
    aligned, back = _align(seen)
    true = tracker.components(aligned)
    faces = tracker.faces(tracker.respond(true, rotation))
    errors = tracker.errors(
        *(rng, true[:-1] - true[-1], frame_rate, distortion.clip_error, distortion.face_error, distortion.jitter)
    )
    if distortion.undamping:
        true_motion, tracked_motion = aligned[:-1] - aligned[-1], faces[:-1] - faces[-1]
        faces[:-1] += distortion.undamping * (true_motion - tracked_motion)
    points = faces[:-1] + (errors @ tracker.tracked_basis).reshape(len(curve), -1, 3)
    # MediaPipe's blendshapes are a function of the landmarks in the picture, with the head as it is turned.
    flat = (points[:, blendshape_landmarks()] @ back[:-1].swapaxes(1, 2))[..., :2]
    actions = tracker.blendshapes(flat)
    if np.any(distortion.bias):
        likely = np.clip(actions, 1e-4, 1 - 1e-4)
        actions = 1 / (1 + np.exp(-(np.log(likely) - np.log1p(-likely) + distortion.bias)))
    return TrackedFaces(points, actions.astype(np.float32))


def _align(seen: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
    """Aligned faces ``(T, 478, 3)``, and the rotations ``(T, 3, 3)`` that bring them back into the picture.

    As ``stgt.graphs.alignment.align_faces``, which does not tell the rotations.
    """
    face = load_reference_face()
    scale, rotation, shift = similarity_transforms(seen[:, face.stable], face.points[face.stable])
    turned = seen @ (scale[:, None, None] * rotation).swapaxes(1, 2).astype(np.float32)
    turned += shift[:, None].astype(np.float32)
    return turned, rotation.swapaxes(1, 2).astype(np.float32)
