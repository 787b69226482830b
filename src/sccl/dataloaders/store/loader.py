"""Two views per batch, of cells on disk."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import distributed

from sccl.augment.plan import draw_steps
from sccl.dataloaders.collate import TwoViewCollate
from sccl.dataloaders.request import CellBatch, Request
from sccl.dataloaders.requests import N_VIEWS
from sccl.dataloaders.sampling import BatchSampling, n_minibatches, split_evenly
from sccl.dataloaders.store.residents import Residents
from sccl.dataloaders.store.runs import rows_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.augment import Augmentation, Compose
    from sccl.dataloaders.sampling import Sampling
    from sccl.inputs.store import CellStore

# Cells that are in memory at a time, and of which minibatches are drawn, about ...
BUFFER_CELLS = 16_384
# ... in runs of which so many are of one batch, where minibatches are: then these are full, however many batches there are.
RUNS_TOGETHER = 2


@dataclass(frozen=True, eq=False)
class Buffer:
    """Cells that were read together.

    Attributes
    ----------
    rows
        Row numbers in the store.
    codes
        Codes of their batches.
    csr
        Their expression, and behind it that of the residents.
    standing
        Which resident stands for each of them; None if nobody asks.
    """

    rows: np.ndarray
    codes: np.ndarray
    csr: csr_matrix
    standing: np.ndarray | None


class StoreLoader:
    """Minibatches of two views, of cells that lie in runs on disk.

    Runs are read in random order, some at a time, and the cells of these are divided into minibatches as ``sampling`` says. Who
    borrows from neighbours borrows those of the resident that stands for it. One thread reads ahead and another makes the next
    views. That is what annbatch's own loader cannot do: it hands out minibatches of single cells as they come, with no say in which
    share one, and no second cell beside each.

    Parameters
    ----------
    store
        The cells.
    runs
        Those to load, see :func:`runs_of`.
    residents
        Cells in memory, if augmentation or sampling need neighbours.
    augmentation
        What the views are, bound to the space of the residents.
    sampling
        Which cells share a minibatch, bound likewise. None: the cells keep their order, and all epochs are alike.
    batch_size
        Size that minibatches do not exceed.
    seed
        With the epoch it determines everything.
    n_steps
        Number of minibatches of all epochs together. None: all epochs are whole.
    sparse
        See :class:`~sccl.dataloaders.collate.TwoViewCollate`.
    """

    # where the trainer looks whether cells are shuffled
    batch_sampler = None

    def __init__(
        self,
        store: CellStore,
        runs: np.ndarray,
        *,
        residents: Residents | None,
        augmentation: Compose,
        sampling: Sampling | None,
        batch_size: int,
        seed: int,
        n_steps: int | None = None,
        sparse: bool = False,
    ) -> None:
        self.store, self.runs, self.residents = store, runs, residents
        self.augmentation, self.sampling = augmentation, sampling
        self.batch_size, self.seed, self.n_steps = batch_size, seed, n_steps
        self._collate = TwoViewCollate(augmentation, sparse=sparse)
        self._epoch = 0

    @property
    def sampler(self) -> StoreLoader:
        """Itself: the trainer tells it the epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch."""
        self._epoch = epoch if self.sampling else 0

    @cached_property
    def steps_per_epoch(self) -> int:
        """Number of minibatches of a whole epoch: as many as full ones need, so that there are as many in each."""
        if self.sampling is None:
            return sum(n_minibatches(int(np.diff(runs).sum()), self.batch_size) for runs in self._plan(0, 0))
        return -(-int(np.diff(self.runs).sum()) // self.batch_size)

    def __len__(self) -> int:
        if self.n_steps is None:
            return self.steps_per_epoch
        return min(self.steps_per_epoch, max(self.n_steps - self._epoch * self.steps_per_epoch, 0))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read the next buffer, and make the next minibatch, while the network learns from this one."""
        batches = islice(self._batches(self._epoch), len(self))
        # a torch function would share the generator of the network
        yield from one_ahead(batches) if self.augmentation.is_fused else batches

    def _batches(self, epoch: int) -> Generator[dict[str, Any]]:
        in_group = distributed.is_available() and distributed.is_initialized()
        rank, n_ranks = (distributed.get_rank(), distributed.get_world_size()) if in_group else (0, 1)
        for turn, buffer in one_ahead(self._buffers(epoch)):
            for minibatch in self._minibatches(buffer, np.random.default_rng([self.seed, epoch, turn, 1])):
                yield self._views(np.array_split(minibatch, n_ranks)[rank], buffer, epoch)

    def _plan(self, epoch: int, turn: int) -> list[np.ndarray]:
        """Divide the runs among buffers."""
        runs = self.runs
        if self.sampling is not None:
            rng = np.random.default_rng([self.seed, epoch, turn, 0])
            order = rng.permutation(len(runs))
            if isinstance(self.sampling, BatchSampling):
                order = order[np.argsort(self.store.codes[runs[order, 0]], kind="stable")]
                together = np.array_split(order, -(-len(order) // RUNS_TOGETHER))
                order = np.concatenate([together[i] for i in rng.permutation(len(together))])
            runs = runs[order]
        return np.array_split(runs, -(-int(np.diff(runs).sum()) // BUFFER_CELLS))

    def _buffers(self, epoch: int) -> Generator[tuple[int, Buffer]]:
        """Read buffers, the cells anew in another order when all were read."""
        for turn in count() if self.sampling is not None else [0]:
            requests = [rows_of(runs) for runs in self._plan(epoch, turn)]
            for number, (rows, csr) in enumerate(zip(requests, self.store.stream(requests), strict=True)):
                yield turn * len(requests) + number, self._buffer(rows, csr)

    def _buffer(self, rows: np.ndarray, csr: csr_matrix) -> Buffer:
        codes = self.store.codes[rows].astype(np.int64)
        if self.residents is None:
            return Buffer(rows, codes, csr, None)
        standing = self.residents.standing_for(csr, self.store.outer_codes[rows])
        return Buffer(rows, codes, _below(csr, self.residents.csr), standing)

    def _minibatches(self, buffer: Buffer, rng: np.random.Generator) -> list[np.ndarray]:
        places = np.arange(buffer.rows.size)
        if self.sampling is None:
            return split_evenly(places, self.batch_size)
        sampling = self.sampling if buffer.standing is None else self.sampling.for_cells(buffer.standing)
        return sampling.minibatches(places, buffer.codes, batch_size=self.batch_size, rng=rng)

    def _views(self, places: np.ndarray, buffer: Buffer, epoch: int) -> dict[str, Any]:
        cells = buffer.rows[places]
        lenders = [_Lender(augmentation, places, buffer) for augmentation in self.augmentation.augmentations]
        steps = (
            draw_steps(lenders, cells, pool=cells, seed=self.seed, epoch=epoch, view=view) for view in range(N_VIEWS)
        )
        return self._collate([CellBatch(Request(places, tuple(steps)), cells, buffer.codes[places], buffer.csr)])


class _Lender:
    """Choose partners as an augmentation does, among the residents or in the buffer: as rows of the buffer's matrix."""

    def __init__(self, augmentation: Augmentation, places: np.ndarray, buffer: Buffer) -> None:
        self.p, self.n_partners = augmentation.p, augmentation.n_partners
        self._augmentation, self._places, self._buffer = augmentation, places, buffer

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        n_read = self._buffer.rows.size
        if not self._augmentation.needs_neighbors:
            return self._augmentation.partners(self._places, keys, view=view, pool=np.arange(n_read))
        assert self._buffer.standing is not None
        everyone = np.arange(self._buffer.csr.shape[0] - n_read)
        rows = self._augmentation.partners(self._buffer.standing[self._places], keys, view=view, pool=everyone)
        return np.where(rows >= 0, rows + n_read, -1)


def one_ahead[Item](items: Iterator[Item]) -> Generator[Item]:
    """Go through items, the next of which a thread gets while the present one is used."""
    with ThreadPoolExecutor(max_workers=1) as ahead:
        upcoming = ahead.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = ahead.submit(next, items, None)
            yield item


def _below(first: csr_matrix, second: csr_matrix) -> csr_matrix:
    from scipy.sparse import csr_matrix, vstack

    return csr_matrix(vstack([first, second], format="csr"))
