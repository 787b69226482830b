"""From a way of sampling to the requests of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
from torch import distributed
from torch.utils.data import Sampler

from sccl.dataloaders.request import Request
from sccl.dataloaders.sampling import split_evenly

if TYPE_CHECKING:
    from sccl.augment import Compose
    from sccl.dataloaders.sampling import Sampling

N_VIEWS = 2


class RequestSampler(Sampler[Request]):
    """Draw the requests of one epoch after the other.

    Parameters
    ----------
    cells
        Row numbers of the cells, shape ``(n_cells,)``. They borrow only from each other.
    batch
        Codes of their experimental batches.
    augmentation
        What the views are.
    sampling
        Which cells share a minibatch. None: the cells keep their order, and all epochs are alike.
    batch_size
        Size that minibatches do not exceed.
    seed
        With the epoch it determines everything.
    rank, n_ranks
        Which process of how many this is: each takes every ``n_ranks``-th minibatch of the epoch. Where they do not come
        out even, the first ones are repeated. Taken from ``torch.distributed`` if None.
    """

    def __init__(
        self,
        cells: np.ndarray,
        batch: np.ndarray,
        *,
        augmentation: Compose,
        sampling: Sampling | None,
        batch_size: int,
        seed: int,
        rank: int | None = None,
        n_ranks: int | None = None,
    ) -> None:
        in_group = distributed.is_available() and distributed.is_initialized()
        self._rank = rank if rank is not None else distributed.get_rank() if in_group else 0
        self._n_ranks = n_ranks if n_ranks is not None else distributed.get_world_size() if in_group else 1
        self._cells, self._batch = cells, batch
        self.augmentation, self.sampling = augmentation, sampling
        self._batch_size, self._seed = batch_size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; Lightning calls this at the start of each, also after a resume."""
        self._epoch = epoch if self.sampling else 0

    def __len__(self) -> int:
        return len(self._minibatches(0))

    def __iter__(self) -> Iterator[Request]:
        epoch = self._epoch
        for cells in self._minibatches(epoch):
            steps = (
                self.augmentation.draw(cells, pool=self._cells, seed=self._seed, epoch=epoch, view=view)
                for view in range(N_VIEWS)
            )
            yield Request(cells, tuple(steps))

    def _minibatches(self, epoch: int) -> list[np.ndarray]:
        if self.sampling is None:
            everything = split_evenly(self._cells, self._batch_size)
        else:
            rng = np.random.default_rng([self._seed, epoch])
            everything = self.sampling.minibatches(self._cells, self._batch, batch_size=self._batch_size, rng=rng)
        n_each = -(-len(everything) // self._n_ranks)
        return list(islice(cycle(everything), n_each * self._n_ranks))[self._rank :: self._n_ranks]
