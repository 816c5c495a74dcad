"""Encoders have up to a hundred million parameters; drawing them all at random would be half of what the tests cost."""

import pytest
import torch

#: So many numbers are drawn, and repeated in tensors that are larger. A prime: no two rows of a layer are the same.
DRAWN = 65_537


@pytest.fixture(scope="session", autouse=True)
def quick_random_weights():
    """Large layers repeat a few random numbers, and what has no memory needs none."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal_", "uniform_"):
            patch.setattr(torch.Tensor, name, _quick(getattr(torch.Tensor, name)))
        yield


def _quick(draw):
    def fill(tensor, *args, **settings):
        if tensor.is_meta:
            return tensor
        if tensor.numel() <= DRAWN or not tensor.is_contiguous():
            return draw(tensor, *args, **settings)
        drawn, rest = draw(tensor.new_empty(DRAWN), *args, **settings), tensor.detach().view(-1)
        for part in rest.split(DRAWN):
            part.copy_(drawn[: len(part)])
        return tensor

    return fill
