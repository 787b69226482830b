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

    Alone these spread each batch over the whole space, also to where another batch has a kind of cells that this one lacks.
    Where there are strangers, every second one is the guest of a batch that lacks its kind: it is contrasted with
    that batch's cells, and what tells them apart is not the batch effect alone.

    Parameters
    ----------
    p_intra
        Fraction of each batch's cells, drawn anew in each epoch, that come in minibatches of their own batch, in
        ``[0, 1]``; the others come in mixed ones. Cells of batches with fewer than 16 such cells are mixed, too.
    share
        ``"proportional"``: every cell comes once per epoch. ``"even"``: every batch gets the same number of minibatches,
        about as many altogether; cells of small batches come several times and those of large ones not in every epoch.
    min_kinship
        A cell that has less kinship than this with another batch is a stranger to it (see :func:`sccl.graph.batch_kinship`).
        Each has one host among the batches that it is a stranger to; half of the cells of a batch that have the same host,
        drawn anew in each epoch, count as the host's. At least 0, and 0 knows no strangers.

    References
    ----------
    CONCORD: Zhu et al., *Revealing a coherent cell-state landscape across single-cell datasets with CONCORD*, Nature
    Biotechnology 2025.
    """

    p_intra: float = 1.0
    share: Share = "proportional"
    min_kinship: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p_intra <= 1:
            raise ValueError(f"BatchSampling: `p_intra` must be in [0, 1], found {self.p_intra!r}.")
        if self.share not in get_args(Share):
            raise ValueError(f"BatchSampling: `share` must be one of {get_args(Share)}, found {self.share!r}.")
        if not self.min_kinship >= 0:
            raise ValueError(f"BatchSampling: `min_kinship` must be at least 0, found {self.min_kinship!r}.")

    @property
    def needs_neighbors(self) -> bool:
        """If there are strangers."""
        return self.min_kinship > 0

    def bind(self, space: CellSpace) -> Self:
        """Find the strangers, and a host for each."""
        if not self.min_kinship:
            return self
        lacks = space.kinship_nb < self.min_kinship
        chosen = (np.random.default_rng(0).random(lacks.shape) * lacks).argmax(axis=1)
        bound = copy(self)
        object.__setattr__(bound, "_host", np.where(lacks.any(axis=1), np.unique(space.batch)[chosen], space.batch))
        return bound

    def pools(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return a pool per batch and one of all that are mixed."""
        if self.min_kinship:
            batch = self._with_guests(cells, batch, rng)
        own, mixed = [], []
        for name in np.unique(batch):
            members = rng.permutation(cells[batch == name])
            n_own = round(self.p_intra * members.size)
            n_own = n_own if n_own >= min(SMALLEST_POOL, batch_size) else 0
            own.append(members[:n_own])
            mixed.append(members[n_own:])
        pools = [pool for pool in own if pool.size]
        if self.share == "even":
            pools = _evened(pools, batch_size, rng)
        rest = np.concatenate(mixed)
        if rest.size == 1 and pools:
            # One cell alone cannot be contrasted.
            return [np.append(pools[0], rest), *pools[1:]]
        return [*pools, rest] if rest.size else pools

    def _with_guests(self, cells: np.ndarray, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Whose minibatches the cells join: numbers stay the same in every epoch, whoever the guests are."""
        if not hasattr(self, "_host"):
            raise ValueError(
                "BatchSampling does not know the strangers yet: call `bind(CellSpace(embedding, batch))` first."
            )
        host, joined = self._host[cells], batch.copy()
        for home, other in np.unique(np.column_stack([batch, host]), axis=0):
            members = np.flatnonzero((batch == home) & (host == other))
            joined[rng.permutation(members)[: members.size // 2]] = other
        return joined


def _evened(pools: list[np.ndarray], batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Give every pool the same number of minibatches, none of which holds a cell twice: whole rounds, then a part."""
    numbers = [n_minibatches(pool.size, batch_size) for pool in pools]
    n_each = max(round(sum(numbers) / max(len(pools), 1)), 1)
    evened = []
    for pool, number in zip(pools, numbers, strict=True):
        n_rounds, n_rest = divmod(n_each, number)
        evened += [pool] * n_rounds
        if n_rest:
            evened.append(rng.permutation(pool)[: n_rest * batch_size])
    return evened
