"""From a way of sampling to the requests of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
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
    ) -> None:
        self._cells, self._batch = cells, batch
        self._augmentation, self._sampling = augmentation, sampling
        self._batch_size, self._seed = batch_size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; Lightning calls this at the start of each, also after a resume."""
        self._epoch = epoch if self._sampling else 0

    def __len__(self) -> int:
        return len(self._minibatches(0))

    def __iter__(self) -> Iterator[Request]:
        epoch = self._epoch
        for cells in self._minibatches(epoch):
            steps = (
                self._augmentation.draw(cells, pool=self._cells, seed=self._seed, epoch=epoch, view=view)
                for view in range(N_VIEWS)
            )
            yield Request(cells, tuple(steps))

    def _minibatches(self, epoch: int) -> list[np.ndarray]:
        if self._sampling is None:
            return split_evenly(self._cells, self._batch_size)
        rng = np.random.default_rng([self._seed, epoch])
        return self._sampling.minibatches(self._cells, self._batch, batch_size=self._batch_size, rng=rng)
