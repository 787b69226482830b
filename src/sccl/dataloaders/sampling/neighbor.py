"""Neighbours together: hard negatives."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from sccl import graph
from sccl.dataloaders.sampling.base import Sampling, n_minibatches
from sccl.dataloaders.sampling.uniform import UniformSampling
from sccl.storage.compiled import compiled

if TYPE_CHECKING:
    from sccl.graph import CellSpace


@dataclass(frozen=True)
class NeighborSampling(Sampling):
    """Neighbours share a minibatch, so that a cell is contrasted with those that are hardest to tell from it.

    A part of each minibatch is filled with random cells and their nearest neighbours, the rest with random cells. Every
    cell comes as often per epoch as it does in ``within``.

    Parameters
    ----------
    p_knn
        Fraction of a minibatch that is filled with neighbourhoods, in ``[0, 1]``.
    k
        Size of a neighbourhood, at least 1.
    within
        Which cells may share a minibatch at all, for example :class:`BatchSampling`.
    refresh_every
        Look for neighbours anew, in the embedding that is being learned, every so many epochs. None: never.

    References
    ----------
    CONCORD: Zhu et al., Nature Biotechnology 2025.
    """

    p_knn: float = 0.3
    k: int = 15
    within: Sampling = field(default_factory=UniformSampling)
    refresh_every: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.p_knn <= 1:
            raise ValueError(f"NeighborSampling: `p_knn` must be in [0, 1], found {self.p_knn!r}.")
        for name, value in (("k", self.k), ("refresh_every", self.refresh_every)):
            if value is not None and value < 1:
                raise ValueError(f"NeighborSampling: `{name}` must be at least 1, found {value!r}.")

    @property
    def needs_neighbors(self) -> bool:
        """Always."""
        return True

    def bind(self, space: CellSpace) -> Self:
        """Find the nearest neighbours of all cells."""
        return replace(self, within=self.within.bind(space)).refresh(space.embedding_nd)

    def refresh(self, latent_nd: np.ndarray) -> Self:
        """Find the nearest neighbours anew."""
        neighbors, _ = graph.knn(latent_nd, k=self.k)
        bound = copy(self)
        object.__setattr__(bound, "_neighbors", neighbors)
        return bound

    def for_cells(self, standing: np.ndarray) -> Self:
        """Refuse other cells, whose neighbours it does not know."""
        raise ValueError("NeighborSampling needs the neighbours of all cells, in memory: bind it to these cells.")

    def pools(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return the pools of ``within``."""
        return self.within.pools(cells, batch, batch_size=batch_size, rng=rng)

    def n_minibatches(self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int) -> int:
        """Return the number of minibatches of ``within``."""
        return self.within.n_minibatches(cells, batch, batch_size=batch_size)

    def arrange(self, pool: np.ndarray, *, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """Order the pool so that each minibatch begins with neighbourhoods."""
        if not hasattr(self, "_neighbors"):
            raise ValueError(
                "NeighborSampling does not know the cells' neighbours yet: call `bind(CellSpace(embedding, batch))` first."
            )
        order = rng.permutation(pool)
        sizes = np.array([part.size for part in np.array_split(order, n_minibatches(order.size, batch_size))])
        place = np.full(len(self._neighbors), -1)
        # A cell that comes twice is found at its last place only; at the others it counts as any random cell.
        place[order] = np.arange(order.size)
        return order[_group(order, place, self._neighbors, sizes, np.round(self.p_knn * sizes).astype(np.int64))]


@compiled()
def _group(order, place, neighbors, sizes, n_grouped):
    """Return positions in ``order``: for each minibatch first neighbourhoods, then whatever is next."""
    is_taken = np.zeros(order.size, np.bool_)
    arranged = np.empty(order.size, np.int64)
    n_placed, upcoming = 0, 0
    for i in range(sizes.size):
        stop = n_placed + sizes[i]
        stop_grouped = n_placed + n_grouped[i]
        while n_placed < stop:
            while is_taken[upcoming]:
                upcoming += 1
            is_taken[upcoming] = True
            arranged[n_placed] = upcoming
            n_placed += 1
            if n_placed >= stop_grouped:
                continue
            for neighbor in neighbors[order[upcoming]]:
                if neighbor < 0 or n_placed >= stop_grouped:
                    break
                at = place[neighbor]
                if at >= 0 and not is_taken[at]:
                    is_taken[at] = True
                    arranged[n_placed] = at
                    n_placed += 1
    return arranged
