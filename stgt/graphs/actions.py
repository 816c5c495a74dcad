"""The action stream: MediaPipe's 52 blendshapes, themselves and against the person's own face at rest."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stgt.errors import StgtError
from stgt.faces.landmarker import BLENDSHAPE_NAMES

#: Channels of the action stream: every blendshape, and its difference from the person's neutral face.
ACTION_CHANNELS = 2 * len(BLENDSHAPE_NAMES)


def action_stream(
    actions: NDArray[np.floating], neutral: NDArray[np.floating], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Blendshapes of a window as a model reads them.

    Args:
        actions: (T, 52), 0 to 1.
        neutral: (52,) of the person's face at rest.
        valid: (T,) which frames hold a face.

    Returns:
        (T, 104) float32; zeros where invalid.

    Raises:
        StgtError: the blendshapes are unknown (NaN).
    """
    stream = np.concatenate([actions, actions - neutral], axis=1).astype(np.float32)
    stream[~np.asarray(valid, bool)] = 0
    if np.isnan(stream).any():
        raise StgtError(
            "the stream actions needs blendshapes, which landmarks of other programs come without; "
            "use a model that reads geometry alone (model.streams=geometry)"
        )
    return stream


@cache
def mirrored_actions() -> NDArray[np.int64]:
    """(52,) the blendshape of the other side of the face; an involution."""
    number = {name: index for index, name in enumerate(BLENDSHAPE_NAMES)}

    def other(name: str) -> str:
        if name.endswith("Left"):
            return name.removesuffix("Left") + "Right"
        return name.removesuffix("Right") + "Left" if name.endswith("Right") else name

    return np.array([number[other(name)] for name in BLENDSHAPE_NAMES])
