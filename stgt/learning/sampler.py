"""The order of training clips: a function of seed and epoch alone, shared out among devices."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields ``(epoch, index)`` pairs in an order that depends only on the seed and the epoch.

    Lightning calls ``set_epoch`` before each epoch. The epoch travels with the index, so that loader processes draw the
    same augmentation as the main process would. Under distributed training each rank takes every n-th of the order.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def _share(self) -> tuple[int, int]:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        rank, world = self._share()
        # Every rank must take the same number of steps, or the others wait for ever: wrap around to fill up.
        order = np.resize(order, len(self) * world)
        return ((self.epoch, int(index)) for index in order[rank::world])

    def __len__(self) -> int:
        return -(-self.length // self._share()[1])
