"""How MediaPipe sees a head: landmarks as it would report them, from where they truly are, without a pixel.

Measured on rendered heads by ``build_tracker.py``. Of a frame's true landmarks, aligned like all faces and written in a
basis of their principal components, a linear map with the pose gives the tracked ones: it holds MediaPipe's damping (a
lip corner drawn down by a centimetre is reported a few millimetres lower) and its bias. What the map leaves is drawn at
random with the covariance that was measured, in three parts: one for the whole clip (how MediaPipe misjudges this face
in this light); one for what the face does (a held expression is misjudged the same in every frame, and the more the
further it is from rest), a process that wanders along the way that the face goes, not along time; and the jitter of a
face that keeps still, which is small. MediaPipe's blendshapes are a function of its landmarks; a small network that
learnt this function stands in for it.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from stgt.faces.tracks import load_tensors
from stgt.graphs.layout import load_layout

#: sd and correlation from frame to frame (1/25 s) of a component while a rendered face keeps still.
JITTER_SD, JITTER_MEMORY, MEASURED_RATE = 0.0006, 0.8, 25.0
FORMAT, VERSION = "stgt-tracker", 2
BUILDER = "python -m stgt.synthetic.build_tracker"
_NAME = "tracker.safetensors"


@dataclass(frozen=True, eq=False)
class Tracker:
    """The measured tracker, with K components.

    Attributes:
        true_mean, tracked_mean: ``(1434,)`` aligned landmarks, flattened.
        true_basis, tracked_basis: ``(K, 1434)``.
        response: ``(K + 10, K)`` from true components, pose features and one to tracked components.
        clip_factor: ``(K, K)``; times standard normal numbers it gives a clip's part of the error.
        face_factor: ``(K, K)`` the same for the part that depends on what the face does.
        reach: ``(2,)`` how far from rest a measured face was (root mean square, in true components), and over what
            part of this way the second error is forgotten.
        head: weights and biases of the network of blendshapes.
    """

    true_mean: NDArray[np.float32]
    tracked_mean: NDArray[np.float32]
    true_basis: NDArray[np.float32]
    tracked_basis: NDArray[np.float32]
    response: NDArray[np.float32]
    clip_factor: NDArray[np.float32]
    face_factor: NDArray[np.float32]
    reach: NDArray[np.float32]
    head: tuple[NDArray[np.float32], ...]

    @classmethod
    @cache
    def load(cls) -> "Tracker":
        """The one that comes with the package."""
        with resources.as_file(resources.files("stgt.synthetic") / _NAME) as path:
            tensors, _ = load_tensors(path, FORMAT, VERSION, "the measured tracker", BUILDER)
        layers = sorted(name for name in tensors if name.startswith("head."))
        head = tuple(tensors.pop(name).astype(np.float32) for name in layers)
        return cls(**{name: value.astype(np.float32) for name, value in tensors.items()}, head=head)

    def components(self, aligned: NDArray[np.floating]) -> NDArray[np.float32]:
        """True aligned faces ``(T, 478, 3)`` -> components ``(T, K)``."""
        return (aligned.reshape(len(aligned), -1) - self.true_mean) @ self.true_basis.T

    def respond(self, true: NDArray[np.floating], rotation: NDArray[np.floating]) -> NDArray[np.float32]:
        """Tracked components ``(T, K)`` of true ones under head rotations ``(T, 3)`` in degrees."""
        return (features(true, rotation) @ self.response).astype(np.float32)

    def errors(
        self,
        rng: np.random.Generator,
        away: NDArray[np.floating],
        frame_rate: float,
        clip_scale: float = 1.0,
        face_scale: float = 1.0,
        jitter_scale: float = 1.0,
    ) -> NDArray[np.float32]:
        """What the response leaves over, drawn for one clip.

        Args:
            rng: fixes what is drawn.
            away: ``(T, K)`` true components, less those of the face at rest.
            frame_rate: Hz.
            clip_scale, face_scale, jitter_scale: factors on the three parts.

        Returns:
            ``(T, K)`` to be added to tracked components.
        """
        typical, forgotten = self.reach
        far = np.minimum(np.linalg.norm(away, axis=1) / typical, 2)
        way = np.linalg.norm(np.diff(away, axis=0), axis=1) / (typical * forgotten)
        normal = rng.standard_normal((2, *away.shape), dtype=np.float32)
        face = _wander(normal[0], np.exp(-way)) @ self.face_factor.T * (face_scale * far[:, None])
        steady = np.full(len(way), JITTER_MEMORY ** (MEASURED_RATE / frame_rate))
        jitter = _wander(normal[1], steady) * (JITTER_SD * jitter_scale)
        clip = clip_scale * (rng.standard_normal(away.shape[1], dtype=np.float32) @ self.clip_factor.T)
        return (face + jitter + clip).astype(np.float32)

    def faces(self, components: NDArray[np.floating]) -> NDArray[np.float32]:
        """Tracked components ``(T, K)`` -> aligned landmarks ``(T, 478, 3)``."""
        return (components @ self.tracked_basis + self.tracked_mean).reshape(len(components), -1, 3)

    def blendshapes(self, flat: NDArray[np.floating]) -> NDArray[np.float32]:
        """The 52 blendshapes ``(T, 52)`` of landmarks in the picture ``(T, 146, 2)``, as MediaPipe would give them."""
        x = normalised(flat)
        *layers, (weight, bias) = zip(self.head[::2], self.head[1::2], strict=True)
        for inner, offset in layers:
            x = x @ inner + offset
            x = x / (1 + np.exp(-x))
        return 1 / (1 + np.exp(-(x @ weight + bias)))


def _wander(fresh: NDArray[np.float32], kept: NDArray[np.floating]) -> NDArray[np.float32]:
    """First-order autoregression of ``(T, K)`` standard normal numbers; ``kept (T - 1,)`` from frame to frame."""
    out, new = fresh.copy(), np.sqrt(1 - kept**2)
    for frame in range(1, len(fresh)):
        out[frame] = kept[frame - 1] * out[frame - 1] + new[frame - 1] * fresh[frame]
    return out


def features(true: NDArray[np.floating], rotation: NDArray[np.floating]) -> NDArray[np.floating]:
    """What the response reads: true components, the pose with its squares and products, and one."""
    pose = np.asarray(rotation, np.float32) / 20
    products = pose[:, (0, 0, 1)] * pose[:, (1, 2, 2)]
    one = np.ones((len(true), 1), np.float32)
    return np.concatenate([true, pose, pose**2, products, one], axis=1)


def normalised(flat: NDArray[np.floating]) -> NDArray[np.float32]:
    """Landmarks ``(T, 146, 2)`` without place and size, flattened: MediaPipe's own network begins like this."""
    centred = flat - flat.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(centred).sum(axis=2).mean(axis=1))[:, None, None]
    return (centred / np.maximum(size, 1e-9)).reshape(len(flat), -1).astype(np.float32)


@cache
def blendshape_landmarks() -> NDArray[np.int64]:
    """(146,) the landmarks that MediaPipe's blendshape network reads, in its order."""
    return np.sort(load_layout("mediapipe146").landmarks)
