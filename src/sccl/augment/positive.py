"""A mutual nearest neighbour of another batch in the cell's place."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sccl import graph
from sccl.augment.base import Augmentation, Operation, check_unit_interval
from sccl.augment.neighbors import check_counts, draw_neighbor, only_from, require

if TYPE_CHECKING:
    import torch

    from sccl.graph import CellSpace

REPLACE = 5


@dataclass(frozen=True)
class CrossBatchPositive(Augmentation):
    """Let the second view start from a mutual nearest neighbour in another batch instead of the cell itself.

    The two views then are two cells that the batches agree to be alike, and the batch effect is part of what the
    model learns to ignore. Put it first: what was done to the view before is lost. Cells without such a neighbour
    keep their place.

    Parameters
    ----------
    p
        Chance that the second view of a cell starts from its neighbour, in ``[0, 1]``.
    k_anchor
        Nearest neighbours that two cells must be among, both ways, to be mutual.
    min_kinship
        Pairs with a cell that has less kinship than this with the other's batch do not count, see
        :func:`sccl.graph.batch_kinship`: cells of a kind that the other batch lacks keep to themselves. At least 0, and
        0 takes all.

    References
    ----------
    Haghverdi et al., Nature Biotechnology 2018.
    """

    p: float = 0.5
    k_anchor: int = 5
    min_kinship: float = 0.3

    needs_neighbors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_unit_interval(self, "p")
        check_counts(self, "k_anchor")
        if not self.min_kinship >= 0:
            raise ValueError(f"CrossBatchPositive: `min_kinship` must be at least 0, found {self.min_kinship!r}.")

    def bind(self, space: CellSpace) -> Self:
        """Find the mutual nearest neighbours of every two batches, and leave out those without kinship."""
        pairs = graph.mutual_nearest_neighbors(space.embedding_nd, space.batch, k=self.k_anchor)
        if self.min_kinship:
            kin_p2 = space.kinship_nb[pairs, space.codes[pairs[:, ::-1]]]
            pairs = pairs[(kin_p2 >= self.min_kinship).all(axis=1)]
        bound = copy(self)
        object.__setattr__(bound, "_pairs", pairs)
        object.__setattr__(bound, "_anchors", graph.pairs_as_graph(pairs, len(space.codes)))
        return bound

    @property
    def n_partners(self) -> int:
        """One."""
        return 1

    @property
    def pairs(self) -> np.ndarray:
        """The mutual nearest neighbours."""
        return getattr(self, "_pairs", super().pairs)

    @property
    def n_pairs(self) -> int:
        """Number of mutual nearest neighbours."""
        return len(self.pairs)

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose a random one of each cell's mutual nearest neighbours, for the second view."""
        anchors = require(self, "_anchors")
        if view == 0:
            return np.full((1, cells.size), -1)
        return only_from(pool, draw_neighbor(anchors, cells, keys), anchors.degrees.size)[None]

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Put the neighbours in the cells' place."""
        return partners_png[0]

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(REPLACE, ())
