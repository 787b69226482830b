"""Cells of one experimental batch together."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np

from sccl.dataloaders.sampling.base import Sampling, n_minibatches

if TYPE_CHECKING:
    from sccl.graph import CellSpace

Share = Literal["proportional", "even"]

# Fewer cells than this have too few others to be contrasted with: they join the mixed minibatches.
SMALLEST_POOL = 16


@dataclass(frozen=True)
class BatchSampling(Sampling):
    """Minibatches from a single experimental batch, so that contrasts cannot use the batch effect.

    Alone these spread each batch over the whole space, also to where another batch has a population that this one lacks.
    Cells of a population that is their batch's alone are therefore contrasted with other batches, too: every second time they
    come in a minibatch of a batch without it, and what tells them apart there is not the batch effect alone.

    Parameters
    ----------
    p_intra
        Fraction of each batch's cells, drawn anew in each epoch, that come in minibatches of their own batch, in
        ``[0, 1]``; the others come in mixed ones. Cells of batches with fewer than 16 such cells are mixed, too.
    share
        ``"proportional"``: every cell comes once per epoch. ``"even"``: every batch gets the same number of minibatches,
        about as many altogether; cells of small batches come several times and those of large ones not in every epoch.
    min_shared
        A cell's population is its batch's alone if its surroundings are matched less than this in other batches, on average
        over those compared (see :func:`sccl.graph.shared_populations`). Half of such cells, drawn anew in each epoch, come in
        minibatches of another batch, always the same, in which they are matched less than this. In ``[0, 1]``; 0: none do.

    References
    ----------
    CONCORD: Zhu et al., *Revealing a coherent cell-state landscape across single-cell datasets with CONCORD*, Nature
    Biotechnology 2025.
    """

    p_intra: float = 1.0
    share: Share = "proportional"
    min_shared: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p_intra <= 1:
            raise ValueError(f"BatchSampling: `p_intra` must be in [0, 1], found {self.p_intra!r}.")
        if self.share not in get_args(Share):
            raise ValueError(f"BatchSampling: `share` must be one of {get_args(Share)}, found {self.share!r}.")
        if not 0 <= self.min_shared <= 1:
            raise ValueError(f"BatchSampling: `min_shared` must be in [0, 1], found {self.min_shared!r}.")

    @property
    def needs_neighbors(self) -> bool:
        """If it must know which populations are one batch's alone."""
        return self.min_shared > 0

    def bind(self, space: CellSpace) -> Self:
        """Find the cells whose population is their batch's alone, and for each another batch to be contrasted with."""
        if not self.min_shared:
            return self
        shared, inner = space.shared, np.asarray(space.inner)
        other = inner.copy()
        alone = np.flatnonzero(shared.mean_matched < self.min_shared)
        if alone.size:
            rng = np.random.default_rng(0)
            lacks = shared.matched_no[alone] < self.min_shared
            lacking = shared.others_bo[shared.codes[alone], (rng.random(lacks.shape) * lacks).argmax(axis=1)]
            within = [np.unique(inner[space.codes == code]) for code in range(space.n_batches)]
            other[alone] = [rng.choice(within[code]) for code in lacking]
        bound = copy(self)
        object.__setattr__(bound, "_other", other)
        return bound

    def for_cells(self, standing: np.ndarray) -> Self:
        """Return this way of sampling for other cells: they are contrasted with what those are that stand for them."""
        if not self.min_shared:
            return self
        bound = copy(self)
        object.__setattr__(bound, "_other", vars(self)["_other"][standing])
        return bound

    def pools(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return a pool per batch and one of all that are mixed."""
        if self.min_shared:
            batch = self._joined(cells, batch, rng)
        own, mixed = [], []
        for members in _grouped(batch, rng):
            n_own = self._n_own(members.size, batch_size)
            own.append(cells[members[:n_own]])
            mixed.append(cells[members[n_own:]])
        pools = [pool for pool in own if pool.size]
        if self.share == "even":
            pools = _evened(pools, batch_size, rng)
        rest = np.concatenate(mixed)
        if rest.size == 1 and pools:
            # One cell alone cannot be contrasted.
            return [np.append(pools[0], rest), *pools[1:]]
        return [*pools, rest] if rest.size else pools

    def n_minibatches(self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int) -> int:
        """Count the minibatches that :meth:`pools` give, whose sizes follow from those of the batches."""
        if self.min_shared:
            batch = self._joined(cells, batch, np.random.default_rng(0))
        sizes = np.unique(batch, return_counts=True)[1]
        own = [n_own for size in sizes if (n_own := self._n_own(int(size), batch_size))]
        rest = int(sizes.sum()) - sum(own)
        if self.share == "even":
            own = _evened_sizes(own, batch_size)
        if rest == 1 and own:
            own[0], rest = own[0] + 1, 0
        return sum(n_minibatches(size, batch_size) for size in [*own, rest] if size)

    def _n_own(self, size: int, batch_size: int) -> int:
        """How many of a batch's cells come in minibatches of their own."""
        n_own = round(self.p_intra * size)
        return n_own if n_own >= min(SMALLEST_POOL, batch_size) else 0

    def _joined(self, cells: np.ndarray, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Whose minibatches the cells come in: their numbers are the same in every epoch, whichever cells they are."""
        if not hasattr(self, "_other"):
            raise ValueError(
                "BatchSampling does not know the cells' populations yet: call `bind(CellSpace(embedding, batch))` first."
            )
        other, joined = self._other[cells], batch.copy()
        guests = np.flatnonzero(other != batch)
        _, homes = np.unique(batch[guests], return_inverse=True)
        _, aways = np.unique(other[guests], return_inverse=True)
        for members in _grouped(homes * (aways.max(initial=0) + 1) + aways, rng):
            chosen = guests[members[: members.size // 2]]
            joined[chosen] = other[chosen]
        return joined


def _grouped(group: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the positions of each group's members, in random order, from one sort."""
    order = rng.permutation(group.size)
    order = order[np.argsort(group[order], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if group.size else []


def _evened(pools: list[np.ndarray], batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Give every pool the same number of minibatches, none of which holds a cell twice: whole rounds, then a part."""
    evened = []
    for pool, (n_rounds, n_last) in zip(pools, _rounds([pool.size for pool in pools], batch_size), strict=True):
        evened += [pool] * n_rounds
        if n_last:
            evened.append(rng.permutation(pool)[:n_last])
    return evened


def _evened_sizes(sizes: list[int], batch_size: int) -> list[int]:
    """Return the sizes of evened pools."""
    rounds = zip(sizes, _rounds(sizes, batch_size), strict=True)
    return [part for size, (n_rounds, n_last) in rounds for part in ([size] * n_rounds + [n_last] * (n_last > 0))]


def _rounds(sizes: list[int], batch_size: int) -> list[tuple[int, int]]:
    """Say of each pool how many whole rounds it makes, and how many of its cells come once more."""
    numbers = [n_minibatches(size, batch_size) for size in sizes]
    n_each = max(round(sum(numbers) / max(len(sizes), 1)), 1)
    return [
        (n_each // number, min(n_each % number * batch_size, size)) for size, number in zip(sizes, numbers, strict=True)
    ]
