"""A person's own neutral face, estimated while the stream runs.

Strangers' resting faces differ as much as mild expressions do, so an expression is read best against the face that
shows it at rest. Nobody says when that is; but of all that a face does, rest is what costs least. The estimate is the
mean of the frames so far, each weighted by ``exp(-e / SOFTNESS)`` where ``e`` is its expressiveness, the weighted sum
of its blendshapes, and by the time it lasts. Such a mean is recursive, does not depend on the frame rate, and lets
every calmer frame outweigh the livelier ones before it. The average face of many people counts as ``PRIOR_S`` seconds
of rest, so that a stream that starts in mid-expression is read against that one until the face has come to rest. Some
people look stern or smile a little even at rest; what is calm is therefore measured from the person's own calmest
frames, up to ``LIVELIEST_REST`` above the average face, so that their faces are known as soon as anybody's. Whoever was
never that calm is rather showing something; from there to twice as much the measure falls back to the average face.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stgt.faces.landmarker import BLENDSHAPE_NAMES
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.layout import NodeLayout

#: Seconds of rest that the average face counts for.
PRIOR_S = 0.3
#: Expressiveness of a face at rest: the median of rendered faces (1.0) and photographed ones (1.3) lies about here.
RESTING = 1.0
#: How much more expressive than that a person's calmest frames may be and still be rest; a mild smile is above it.
LIVELIEST_REST = 0.6
#: An expressiveness higher by this makes a frame count e times less. A smile is about 1.7 above rest.
SOFTNESS = 0.4
#: Seconds after which what was seen counts e times less: light, glasses and the person may change.
MEMORY_S = 60.0
#: How long a frame lasts, s: from the one before it, but no longer than this; and the first one of a stream.
LONGEST_FRAME_S, FIRST_FRAME_S = 0.2, 0.04


@cache
def expressiveness_weights() -> NDArray[np.float32]:
    """(52,) what each blendshape counts: lids and gaze nothing, noisy ones less."""
    weights = np.ones(len(BLENDSHAPE_NAMES), np.float32)
    for index, name in enumerate(BLENDSHAPE_NAMES):
        if name.startswith(("_", "eyeBlink", "eyeLook")):
            weights[index] = 0.0
        elif name.startswith("eyeSquint"):
            weights[index] = 0.3
        elif name == "mouthPucker":
            weights[index] = 0.5
    return weights


def expressiveness_of(actions: NDArray[np.floating]) -> NDArray[np.floating]:
    """(N,) how much each of (N, 52) blendshapes shows; unknown ones (NaN) count as rest.

    All frames of a track without blendshapes weigh alike, so the estimate is their mean.
    """
    expressiveness = actions @ expressiveness_weights()
    return np.where(np.isnan(expressiveness), np.asarray(RESTING, expressiveness.dtype), expressiveness)


@dataclass(frozen=True, eq=False)
class NeutralFace:
    """A face at rest.

    Attributes:
        nodes: (V, 3) float32, aligned, in inter-ocular units.
        actions: (52,) float32 blendshapes.
    """

    nodes: NDArray[np.float32]
    actions: NDArray[np.float32]


def average_neutral(layout: NodeLayout) -> NeutralFace:
    """The average face at rest, which every estimate starts from."""
    return NeutralFace(np.asarray(layout.reference, np.float32), load_reference_face().actions)


def frame_weights(
    actions: NDArray[np.floating], times: NDArray[np.floating], valid: NDArray[np.bool_], last_s: float | None = None
) -> NDArray[np.float64]:
    """(N,) what each frame counts in the estimate, in seconds of rest.

    Args:
        actions: (N, 52) blendshapes.
        times: (N,) s, ascending.
        valid: (N,) which frames hold a face; the others count nothing.
        last_s: time of the frame before the first one; none: it is the first of its stream.
    """
    if not len(times):
        return np.zeros(0)
    first = FIRST_FRAME_S if last_s is None else times[0] - last_s
    lasting = np.clip(np.concatenate([[first], np.diff(times)]), 0, LONGEST_FRAME_S)
    expressiveness = expressiveness_of(np.asarray(actions, np.float64))
    return np.where(valid, lasting * np.exp((RESTING - expressiveness) / SOFTNESS), 0.0)


class NeutralEstimator:
    """The estimate of one face's stream, frame by frame; takes the same memory for ever.

    Args:
        layout: whose nodes the faces have.
    """

    def __init__(self, layout: NodeLayout) -> None:
        self._average = average_neutral(layout)
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._weight = self._expressiveness = 0.0
        self._nodes = np.zeros(self._average.nodes.shape)
        self._actions = np.zeros(len(self._average.actions))
        self._last_s: float | None = None

    def update(
        self,
        nodes: NDArray[np.floating],
        actions: NDArray[np.floating],
        times: NDArray[np.floating],
        valid: NDArray[np.bool_],
    ) -> NeutralFace:
        """Take in the next frames, and give the estimate after them.

        Args:
            nodes: (N, V, 3) aligned faces.
            actions: (N, 52) their blendshapes.
            times: (N,) s, ascending, later than those before.
            valid: (N,) which frames hold a face.
        """
        if len(times):
            fading = np.exp((times - times[-1]) / MEMORY_S)
            weights = frame_weights(actions, times, valid, self._last_s) * fading
            start_s = times[0] if self._last_s is None else self._last_s
            kept = float(np.exp((start_s - times[-1]) / MEMORY_S))
            # Chosen, not multiplied by 0: whatever an invalid frame holds, even NaN, ends here.
            seen = np.asarray(valid, bool)
            shown, faces = weights[seen], actions[seen]
            self._weight = self._weight * kept + shown.sum()
            self._expressiveness = self._expressiveness * kept + shown @ expressiveness_of(faces)
            self._nodes = self._nodes * kept + np.tensordot(shown, nodes[seen], 1)
            self._actions = self._actions * kept + shown @ faces
            self._last_s = float(times[-1])
        return self._estimate()

    def _estimate(self) -> NeutralFace:
        """The mean of the person's frames and the average face, which does not fade: a long absence returns to it."""
        share = 0.0
        if self._weight > 0:
            calmest = self._expressiveness / self._weight  # the mean of frames that count the more, the calmer they are
            above = LIVELIEST_REST - abs(calmest - RESTING - LIVELIEST_REST)
            share = float(np.exp(max(above, 0.0) / SOFTNESS))
        total = PRIOR_S + share * self._weight
        nodes = PRIOR_S * self._average.nodes + share * self._nodes
        actions = PRIOR_S * self._average.actions + share * self._actions
        return NeutralFace((nodes / total).astype(np.float32), (actions / total).astype(np.float32))


def resting_mean(
    nodes: NDArray[np.floating], actions: NDArray[np.floating], valid: NDArray[np.bool_]
) -> NeutralFace | None:
    """The mean face of frames in which the person is known to be at rest; None if none of them holds a face."""
    if not valid.any():
        return None
    return NeutralFace(nodes[valid].mean(axis=0).astype(np.float32), actions[valid].mean(axis=0).astype(np.float32))
