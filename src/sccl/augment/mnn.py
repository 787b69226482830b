"""Mixing within batches, and mutual nearest neighbours between them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sccl import graph
from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.keys import derive
from sccl.augment.mix import Mode, as_modes, mix, mix_operation
from sccl.augment.neighbors import check_counts, draw_neighbor, only_from, require

if TYPE_CHECKING:
    import torch

    from sccl.graph import CellSpace


@dataclass(frozen=True)
class MNN(Augmentation):
    """Show a cell beside its mutual nearest neighbour in another batch, each mixed with a cell of its own batch.

    View 1 is the cell mixed with one of its nearest neighbours in its batch. View 2 is one of its mutual nearest
    neighbours in another batch (the cell itself if it has none), mixed with one of that cell's nearest neighbours in
    *its* batch. Put it first: what was done to a view before is lost.

    Parameters
    ----------
    alpha
        Weight of the cell, or of its mutual neighbour, in ``[0, 1]``.
    k
        Nearest neighbours within a batch.
    k_anchor
        Nearest neighbours between batches that two cells must be among, both ways, to be mutual.
    mode
        How they are mixed, see :class:`BBKNN`.
    p
        Chance that a view of a cell is made so, in ``[0, 1]``.
    draw_alpha
        Draw the weight from the uniform distribution on ``[alpha, 1]`` per cell, as CLAIRE does.
    n_mixed
        Number of neighbours, drawn independently, whose mean is mixed in (``nsize`` in the reference).
    refine
        Keep only the mutual pairs that a two-component mixture calls similar, see :func:`sccl.graph.refine_pairs`.
    refresh_every
        Refine the pairs anew, on the embedding that is being learned, every so many epochs. None: never.

    References
    ----------
    CLAIRE: Yan et al., *CLAIRE: contrastive learning-based batch correction framework for better balance between batch
    mixing and preservation of cellular heterogeneity*, Bioinformatics 2023; Haghverdi et al., Nature Biotechnology 2018.
    """

    alpha: float = 0.5
    k: int = 5
    k_anchor: int = 5
    mode: Mode | Sequence[Mode] = "interpolate"
    p: float = 0.5
    draw_alpha: bool = True
    n_mixed: int = 1
    refine: bool = False
    refresh_every: int | None = None

    needs_neighbors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "alpha", "p")
        check_counts(self, "k", "k_anchor", "n_mixed", *(["refresh_every"] if self.refresh_every is not None else []))
        as_modes(self.mode, owner="MNN")

    @property
    def n_partners(self) -> int:
        """The cell that the view starts from, and as many as are mixed in."""
        return 1 + self.n_mixed

    @property
    def n_pairs(self) -> int:
        """Number of mutual nearest neighbours."""
        return len(getattr(self, "_pairs", ()))

    def bind(self, space: CellSpace) -> Self:
        """Find the neighbours within batches and the mutual ones between them."""
        pairs = graph.mutual_nearest_neighbors(space.embedding_nd, space.batch, k=self.k_anchor, refine=self.refine)
        n_cells = len(space.codes)
        within = np.full((n_cells, self.k), -1)
        for batch in range(space.n_batches):
            members = np.flatnonzero(space.codes == batch)
            nearest, _ = graph.knn(space.embedding_nd[members], k=self.k)
            # From positions among the members to row numbers.
            within[members] = np.where(nearest >= 0, members[nearest], -1)
        bound = copy(self)
        object.__setattr__(bound, "_within", graph.as_graph(within, n_cells, symmetric=False))
        object.__setattr__(bound, "_pairs", pairs)
        object.__setattr__(bound, "_anchors", graph.pairs_as_graph(pairs, n_cells))
        return bound

    def refresh(self, latent_nd: np.ndarray) -> Self:
        """Keep those of the mutual pairs that are similar in the learned embedding, too."""
        kept = graph.refine_pairs(latent_nd, require(self, "_pairs"))
        refreshed = copy(self)
        object.__setattr__(refreshed, "_anchors", graph.pairs_as_graph(kept, len(latent_nd)))
        return refreshed

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose the cell that the view starts from, and the ones that are mixed into it."""
        within, anchors, start = require(self, "_within"), require(self, "_anchors"), cells
        if view == 1:
            anchor = only_from(pool, draw_neighbor(anchors, cells, derive(keys, 0)), anchors.degrees.size)
            start = np.where(anchor >= 0, anchor, cells)
        drawn = np.stack([draw_neighbor(within, start, derive(keys, 1 + i)) for i in range(self.n_mixed)])
        mixed = only_from(pool, drawn, within.degrees.size)
        # A cell without a neighbour to borrow from is mixed with itself.
        return np.stack([start, *(np.where(rows >= 0, rows, start) for rows in mixed)])

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Make every view."""
        start_ng, mixed_ng = partners_png[0], partners_png[1:].mean(0)
        return mix(start_ng, mixed_ng, self.alpha, self.draw_alpha, self.mode, generator)

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return mix_operation(self.alpha, self.draw_alpha, self.mode, replaces=True)
