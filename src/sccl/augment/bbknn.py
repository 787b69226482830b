"""Mixing with neighbours from all batches."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sccl import graph
from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.keys import derive, integers
from sccl.augment.mix import Mode, as_modes, mix, mix_operation
from sccl.augment.neighbors import check_counts, only_from, require

if TYPE_CHECKING:
    import torch

    from sccl.graph import CellSpace


@dataclass(frozen=True)
class BBKNN(Augmentation):
    """Mix a cell with a neighbour from the batch-balanced kNN graph.

    A batch is drawn first, all with equal chances, then one of the cell's neighbours in it. An edge of the graph counts
    in both directions.

    Parameters
    ----------
    alpha
        Weight of the cell itself, in ``[0, 1]``.
    k
        Neighbours per cell and batch.
    mode
        ``"interpolate"``: ``λ·x + (1-λ)·y``. Zeros of one cell become values where the other has some.
        ``"geometric"``: ``x^λ · y^(1-λ)``; zero where one of them is zero, and negative values count as zero.
        ``"exchange"``: each gene from the cell itself with chance ``alpha``, otherwise from the neighbour.
        Several: one is drawn per cell.
    p
        Chance that a cell is mixed, in ``[0, 1]``.
    draw_alpha
        Draw λ from the uniform distribution on ``[alpha, 1]`` per cell, as CLAIRE does; otherwise it is ``alpha``.
    n_mixed
        Number of neighbours, drawn independently, whose mean the cell is mixed with (``nsize`` in the reference).

    References
    ----------
    Polański et al., *BBKNN: fast batch alignment of single cell transcriptomes*, Bioinformatics 2020; CLAIRE: Yan et al.,
    Bioinformatics 2023.
    """

    alpha: float = 0.5
    k: int = 5
    mode: Mode | Sequence[Mode] = "exchange"
    p: float = 0.5
    draw_alpha: bool = True
    n_mixed: int = 1

    needs_neighbors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "alpha", "p")
        check_counts(self, "k", "n_mixed")
        as_modes(self.mode, owner="BBKNN")

    @property
    def n_partners(self) -> int:
        """As many as are mixed in."""
        return self.n_mixed

    def bind(self, space: CellSpace) -> Self:
        """Build the graph."""
        table = graph.batch_balanced_knn(space.embedding_nd, space.batch, k=self.k)
        neighbors = graph.as_graph(table, len(table))
        n_batches = space.n_batches
        # Within a cell's list the batches stand one after the other, so that one can be drawn and then one of its cells.
        cell = np.repeat(np.arange(len(table)), neighbors.degrees)
        of_batch = space.codes[neighbors.indices]
        order = np.lexsort((of_batch, cell))
        counts_nb = np.bincount(cell * n_batches + of_batch, minlength=len(table) * n_batches)
        bound = copy(self)
        object.__setattr__(bound, "_neighbors", neighbors._replace(indices=neighbors.indices[order]))
        object.__setattr__(bound, "_counts_nb", counts_nb.reshape(len(table), n_batches).astype(np.int32))
        return bound

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose neighbours, batches first."""
        neighbors, counts_nb = require(self, "_neighbors"), self._counts_nb[cells]  # type: ignore[attr-defined]
        has_some_nb = counts_nb > 0
        drawn = np.full((self.n_mixed, cells.size), -1)
        some = np.flatnonzero(has_some_nb.any(axis=1))
        for i in range(self.n_mixed):
            key = derive(keys[some], i)
            nth = integers(derive(key, 0), has_some_nb[some].sum(axis=1)) + 1
            batch = (has_some_nb[some].cumsum(axis=1) == nth[:, None]).argmax(axis=1)
            before = counts_nb[some].cumsum(axis=1)[np.arange(some.size), batch] - counts_nb[some, batch]
            within = integers(derive(key, 1), counts_nb[some, batch])
            drawn[i, some] = neighbors.indices[neighbors.indptr[cells[some]] + before + within]
        return only_from(pool, drawn, len(self._counts_nb))  # type: ignore[attr-defined]

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mix every cell."""
        return mix(x_ng, partners_png.mean(0), self.alpha, self.draw_alpha, self.mode, generator)

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return mix_operation(self.alpha, self.draw_alpha, self.mode, replaces=False)
