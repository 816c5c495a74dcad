"""How MediaPipe sees a head: landmarks as it would report them, from where they truly are, without a pixel.

Measured on rendered heads by ``build_tracker.py``. Of a frame's true landmarks, aligned like all faces and written in a
basis of their principal components, a linear map with the pose gives the tracked ones: it holds MediaPipe's damping (a
lip corner drawn down by a centimetre is reported a few millimetres lower) and its bias. What the map leaves is drawn at
random with the covariance that was measured: one part for the whole clip (how MediaPipe misjudges this face in this
light), one that wanders from frame to frame (jitter and smoothing) as an autoregressive process of first order.
MediaPipe's blendshapes are a function of its landmarks; a small network that learnt this function stands in for it.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from stgt.faces.tracks import load_tensors
from stgt.graphs.layout import load_layout

#: Hz of the sequences on which ``memory`` was measured.
MEASURED_RATE = 25.0
FORMAT, VERSION = "stgt-tracker", 1
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
        frame_factor: ``(K, K)`` the same for the part that wanders.
        memory: ``(K,)`` correlation of that part from one frame to the next at ``MEASURED_RATE``.
        head: weights and biases of the network of blendshapes.
    """

    true_mean: NDArray[np.float32]
    tracked_mean: NDArray[np.float32]
    true_basis: NDArray[np.float32]
    tracked_basis: NDArray[np.float32]
    response: NDArray[np.float32]
    clip_factor: NDArray[np.float32]
    frame_factor: NDArray[np.float32]
    memory: NDArray[np.float32]
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

    def respond(self, aligned: NDArray[np.floating], rotation: NDArray[np.floating]) -> NDArray[np.float32]:
        """Tracked components ``(T, K)`` of true aligned faces ``(T, 478, 3)`` turned by ``rotation (T, 3)`` degrees."""
        true = (aligned.reshape(len(aligned), -1) - self.true_mean) @ self.true_basis.T
        return (features(true, rotation) @ self.response).astype(np.float32)

    def errors(
        self,
        rng: np.random.Generator,
        frames: int,
        frame_rate: float,
        clip_scale: float = 1.0,
        frame_scale: float = 1.0,
    ) -> NDArray[np.float32]:
        """``(T, K)`` what the response leaves over, drawn for one clip at ``frame_rate`` Hz."""
        count = len(self.memory)
        kept = self.memory ** (MEASURED_RATE / frame_rate)
        fresh = rng.standard_normal((frames, count), dtype=np.float32)
        fresh[1:] *= np.sqrt(1 - kept**2)
        # x_t = kept x_(t-1) + fresh_t, for all components at once
        wandering = np.empty_like(fresh)
        wandering[0] = fresh[0]
        for index in range(1, frames):
            np.multiply(wandering[index - 1], kept, out=wandering[index])
            wandering[index] += fresh[index]
        constant = rng.standard_normal(count, dtype=np.float32) @ self.clip_factor.T
        return frame_scale * (wandering @ self.frame_factor.T) + clip_scale * constant

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
