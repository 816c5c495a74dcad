"""The order of training clips: a function of seed and epoch alone, shared out among devices."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, ...]]):
    """Yields ``(epoch, index)`` in an order that depends only on the seed and the epoch.

    Lightning calls ``set_epoch`` before each epoch. The epoch travels with the index, so that loader processes draw the
    same augmentation as the main process would. Under distributed training each rank takes every n-th of the order.

    With weights, an epoch has as many visits as before, but an index is drawn as often as its share of the weights
    says, rounded up or down by chance (systematic sampling: nothing is left to chance beyond the rounding). It yields
    ``(epoch, index, visit)`` then, because two visits of one clip should not show the same window.

    Args:
        length: number of indices.
        seed: of the order.
        weights: (length,) not negative; none: every index once.
    """

    def __init__(self, length: int, seed: int, weights: NDArray[np.floating] | None = None) -> None:
        if weights is not None and len(weights) != length:
            raise ValueError(f"{len(weights)} weights for {length} indices")
        self.length = length
        self.seed = seed
        self.weights = weights
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def _share(self) -> tuple[int, int]:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(self.length)
        visits = [()] * self.length
        if self.weights is not None:
            times = drawn(self.weights[order], generator)
            visits = [(visit,) for count in times for visit in range(count)]
            order = np.repeat(order, times)
            shuffled = generator.permutation(self.length)
            order, visits = order[shuffled], [visits[number] for number in shuffled]
        rank, world = self._share()
        # Every rank must take the same number of steps, or the others wait for ever: wrap around to fill up.
        places = np.resize(np.arange(self.length), len(self) * world)
        return ((self.epoch, int(order[place]), *visits[place]) for place in places[rank::world])

    def __len__(self) -> int:
        return -(-self.length // self._share()[1])


def drawn(weights: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each of N is drawn in N draws: its expected number, rounded up or down by one random offset."""
    reached = np.floor(np.cumsum(weights) * (len(weights) / weights.sum()) + generator.random()).astype(np.int64)
    reached[-1] = len(weights)  # a sum that is rounded down must not lose a draw
    return np.diff(reached, prepend=0)
