"""Local binary patterns: texture that light does not change, computed from the pixels."""

import torch
from torch import Tensor
from torch.nn import functional as F

#: The eight neighbours as (row, column) in a 3x3 window, clockwise from the top left; the first is the highest bit.
_NEIGHBOURS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def grey_levels(pixels: Tensor) -> Tensor:
    """(N, 3, S, S) from 0 to 1 -> (N, 1, S, S) whole numbers from 0 to 255, luma of ITU-R BT.601.

    In whole numbers, so that a rounding error of the pixels can never turn a comparison of grey levels.
    """
    levels = (pixels * 255).round().to(torch.int32)
    weights = torch.tensor([4899, 9617, 1868], dtype=torch.int32, device=pixels.device)  # they sum to 2 ** 14
    return ((levels * weights[:, None, None]).sum(dim=1, keepdim=True, dtype=torch.int32) + (1 << 13)) >> 14


def local_binary_patterns(pixels: Tensor) -> Tensor:
    """The pattern of every pixel with its eight neighbours (Ojala et al., Pattern Recognition 29(1), 1996).

    A neighbour that is at least as bright as the pixel sets its bit. Beyond the border lies the border's own value.

    Args:
        pixels: (N, 3, S, S) from 0 to 1; grey faces have three equal channels.

    Returns:
        (N, 1, S, S), codes from 0 to 255 over 255.
    """
    grey = grey_levels(pixels)
    height, width = grey.shape[2:]
    padded = F.pad(grey.to(pixels.dtype), (1, 1, 1, 1), mode="replicate").to(torch.int32)
    codes = torch.zeros_like(grey)
    for row, column in _NEIGHBOURS:
        neighbour = padded[:, :, row : row + height, column : column + width]
        codes = 2 * codes + (neighbour >= grey).to(torch.int32)
    return codes.to(pixels.dtype) / 255
