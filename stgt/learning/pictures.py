"""What training does to the crops of a window: turned, moved, scaled, lit otherwise, and partly hidden.

Landmarks are aligned and know nothing of light; crops are learned by heart without this, as a few hundred clips are few
for the millions of parameters of an image encoder.
"""

import numpy as np
from numpy.typing import NDArray

from stgt.config import AugmentationConfig

#: Share of a crop that is hidden, and the ratio of its sides (Zhong et al., "Random Erasing", AAAI 2020).
ERASED_SHARE, ERASED_RATIO = (0.02, 0.2), (0.4, 2.5)


def augment_pictures(
    frames: NDArray[np.uint8],
    shown: NDArray[np.bool_],
    config: AugmentationConfig,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """The crops of a window, all changed alike: what moves between them is the face alone.

    Args:
        frames: (F, 3, S, S).
        shown: (F,) which of them show a face; others stay as they are.
        config: how much of what.
        generator: of all randomness.

    Returns:
        (F, 3, S, S), a new array.
    """
    import cv2

    side = frames.shape[-1]
    turn = cv2.getRotationMatrix2D(
        ((side - 1) / 2, (side - 1) / 2),
        generator.normal(0.0, config.rotation_deg),
        float(np.exp(generator.normal(0.0, config.scale))),
    )
    turn[:, 2] += generator.normal(0.0, config.shift * side, 2)
    # The light as a whole, and its colour to a lesser degree.
    gain = np.exp(generator.normal(0.0, config.light) + generator.normal(0.0, config.light / 3, 3))
    levels = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)[None]
    hidden = hidden_box(side, generator) if generator.random() < config.erase else None
    changed = frames.copy()
    for index in np.flatnonzero(shown):
        picture = np.ascontiguousarray(frames[index].transpose(1, 2, 0))
        picture = cv2.warpAffine(picture, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
        picture = cv2.LUT(picture, levels)
        if hidden is not None:
            picture[hidden] = picture.mean(axis=(0, 1))
        changed[index] = picture.transpose(2, 0, 1)
    return changed


def hidden_box(side: int, generator: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a box somewhere in a crop."""
    area = generator.uniform(*ERASED_SHARE) * side * side
    ratio = np.exp(generator.uniform(*np.log(ERASED_RATIO)))
    high, wide = (int(np.clip(round(length), 1, side)) for length in (np.sqrt(area * ratio), np.sqrt(area / ratio)))
    top, left = generator.integers(0, side - high + 1), generator.integers(0, side - wide + 1)
    return slice(top, top + high), slice(left, left + wide)
