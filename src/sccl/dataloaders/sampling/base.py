"""The contract of a way to sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from sccl.graph import CellSpace


class Sampling(ABC):
    """A way to divide the cells of an epoch into minibatches; subclasses are frozen dataclasses.

    Attributes
    ----------
    refresh_every
        Number of epochs after which it wants to see the embedding that is being learned (:meth:`refresh`), or None.
    """

    refresh_every: int | None = None

    @property
    def needs_neighbors(self) -> bool:
        """Whether it must know who is near whom (:meth:`bind`) before it can sample."""
        return False

    @abstractmethod
    def pools(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Say which cells may share a minibatch.

        Parameters
        ----------
        cells
            Row numbers of the cells to train on, shape ``(n_cells,)``.
        batch
            Codes of their experimental batches, shape ``(n_cells,)``.
        batch_size
            Size that minibatches do not exceed.
        rng
            The epoch's source of randomness.

        Returns
        -------
        Row numbers, one array per pool, each of at least two cells if there are two. Their sizes are the same in every
        epoch.
        """

    def arrange(self, pool: np.ndarray, *, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """Put a pool in the order in which it is cut into minibatches; at random unless there is a reason."""
        return rng.permutation(pool)

    def minibatches(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Divide one epoch, arguments as for :meth:`pools`; minibatches come in random order.

        Returns
        -------
        Row numbers, one array per minibatch, each of at least two cells if there are two.
        """
        parts = [
            part
            for pool in self.pools(cells, batch, batch_size=batch_size, rng=rng)
            for part in split_evenly(self.arrange(pool, batch_size=batch_size, rng=rng), batch_size)
        ]
        return [parts[i] for i in rng.permutation(len(parts))]

    def n_minibatches(self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int) -> int:
        """Return the number of minibatches of every epoch, arguments as for :meth:`pools`.

        Here the pools of one epoch are drawn to be counted; where their sizes are known without that, a subclass says so.
        """
        pools = self.pools(cells, batch, batch_size=batch_size, rng=np.random.default_rng(0))
        return sum(n_minibatches(pool.size, batch_size) for pool in pools)

    def bind(self, space: CellSpace) -> Self:
        """Return this way of sampling with the neighbours of all cells.

        Parameters
        ----------
        space
            All registered cells, where they can be compared, and the codes of their batches.
        """
        return self

    def for_cells(self, standing: np.ndarray) -> Self:
        """Return this way of sampling for other cells than those it was bound to: which of these stands for each."""
        return self

    def refresh(self, latent_nd: np.ndarray) -> Self:
        """Return this way of sampling with what the embedding that is being learned, cells × dimensions, says."""
        return self


def split_evenly(cells: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Divide cells into the fewest minibatches of at most ``batch_size``, of sizes that differ by at most one.

    None holds a single cell unless there is only one: then they are a little larger than ``batch_size``.
    """
    return np.array_split(cells, n_minibatches(cells.size, batch_size))


def n_minibatches(n_cells: int, batch_size: int) -> int:
    """Return into how many minibatches a pool of ``n_cells`` is divided."""
    return max(min(-(-n_cells // batch_size), n_cells // 2), 1)
