"""From a way of sampling to the requests of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from torch import distributed
from torch.utils.data import Sampler

from sccl.dataloaders.request import Request
from sccl.dataloaders.sampling import n_minibatches, split_evenly

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
    n_steps
        Number of minibatches of all epochs together: the last one may be a part of one. None: all epochs are whole.
    rank, n_ranks
        Which process of how many this is: each takes its share of every minibatch, so that all of them together go through the
        epoch of a single one. None: what ``torch.distributed`` says when an epoch begins.
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
        n_steps: int | None = None,
        rank: int | None = None,
        n_ranks: int | None = None,
    ) -> None:
        self._rank, self._n_ranks = rank, n_ranks
        self._cells, self._batch = cells, batch
        self.augmentation, self.sampling = augmentation, sampling
        self._batch_size, self._seed, self.n_steps = batch_size, seed, n_steps
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; Lightning calls this at the start of each, also after a resume."""
        self._epoch = epoch if self.sampling else 0

    @cached_property
    def steps_per_epoch(self) -> int:
        """Number of minibatches of a whole epoch, the same in every one; none is sampled to know it."""
        if self.sampling is None:
            return n_minibatches(self._cells.size, self._batch_size)
        return self.sampling.n_minibatches(self._cells, self._batch, batch_size=self._batch_size)

    def __len__(self) -> int:
        if self.n_steps is None:
            return self.steps_per_epoch
        return min(self.steps_per_epoch, max(self.n_steps - self._epoch * self.steps_per_epoch, 0))

    def __iter__(self) -> Iterator[Request]:
        epoch, (rank, n_ranks) = self._epoch, self._place()
        for minibatch in islice(self._minibatches(epoch), len(self)):
            cells = np.array_split(minibatch, n_ranks)[rank]
            steps = (
                self.augmentation.draw(cells, pool=self._cells, seed=self._seed, epoch=epoch, view=view)
                for view in range(N_VIEWS)
            )
            yield Request(cells, tuple(steps))

    def _place(self) -> tuple[int, int]:
        in_group = distributed.is_available() and distributed.is_initialized()
        rank, n_ranks = (distributed.get_rank(), distributed.get_world_size()) if in_group else (0, 1)
        return (
            rank if self._rank is None else self._rank,
            n_ranks if self._n_ranks is None else self._n_ranks,
        )

    def _minibatches(self, epoch: int) -> list[np.ndarray]:
        if self.sampling is None:
            return split_evenly(self._cells, self._batch_size)
        rng = np.random.default_rng([self._seed, epoch])
        return self.sampling.minibatches(self._cells, self._batch, batch_size=self._batch_size, rng=rng)
