"""Cells of one experimental batch together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sccl.dataloaders.sampling.base import Sampling, n_minibatches

Share = Literal["proportional", "even"]

# Fewer cells than this have too few others to be contrasted with: they join the mixed minibatches.
SMALLEST_POOL = 16


@dataclass(frozen=True)
class BatchSampling(Sampling):
    """Minibatches from a single experimental batch, so that contrasts cannot use the batch effect.

    Parameters
    ----------
    p_intra
        Fraction of each batch's cells, drawn anew in each epoch, that come in minibatches of their own batch, in
        ``[0, 1]``; the others come in mixed ones. Cells of batches with fewer than 16 such cells are mixed, too.
    share
        ``"proportional"``: every cell comes once per epoch. ``"even"``: every batch gets the same number of minibatches,
        about as many altogether; cells of small batches come several times and those of large ones not in every epoch.

    References
    ----------
    CONCORD: Zhu et al., *Revealing a coherent cell-state landscape across single-cell datasets with CONCORD*, Nature
    Biotechnology 2025.
    """

    p_intra: float = 1.0
    share: Share = "proportional"

    def __post_init__(self) -> None:
        if not 0 <= self.p_intra <= 1:
            raise ValueError(f"BatchSampling: `p_intra` must be in [0, 1], found {self.p_intra!r}.")
        if self.share not in get_args(Share):
            raise ValueError(f"BatchSampling: `share` must be one of {get_args(Share)}, found {self.share!r}.")

    def pools(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return a pool per batch and one of all that are mixed."""
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
