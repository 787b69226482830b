"""A mutual nearest neighbour of another batch in the cell's place."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sccl import graph
from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.neighbors import check_counts, draw_neighbor, only_from, require
from sccl.augment.row import row_function
from sccl.augment.scatter import scatter_row
from sccl.graph.compared import MOST_OTHERS
from sccl.graph.landmarks import MOST_LANDMARKS

if TYPE_CHECKING:
    import torch

    from sccl.graph import CellSpace


# Among few cells many are near for want of nearer ones.
MAX_SHARE = 0.05


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
        Nearest neighbours that two cells must be among, both ways, to be mutual; but no more than a twentieth of a batch.
    min_shared
        Pairs count only where both batches hold the population: each cell's surroundings must be matched in the other's batch
        at least so often as theirs are, see :func:`sccl.graph.shared_populations`. In ``[0, 1]``, and 0 takes all pairs.

    Notes
    -----
    Of a batch with more than 2000 cells so many, its landmarks, have pairs of their own; the others take those of the landmark
    nearest to them. Each batch is paired with eight others at most. So the cost grows with the cells and with the batches, and
    with the square of neither.

    References
    ----------
    Haghverdi et al., Nature Biotechnology 2018.
    """

    p: float = 0.5
    k_anchor: int = 10
    min_shared: float = 0.55

    needs_neighbors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "p", "min_shared")
        check_counts(self, "k_anchor")

    def bind(self, space: CellSpace) -> Self:
        """Find the mutual nearest neighbours of every two batches, and leave out those of populations that one lacks."""
        pairs = graph.mutual_nearest_neighbors(
            space.embedding_nd,
            space.batch,
            k=self.k_anchor,
            max_share=MAX_SHARE,
            n_landmarks=MOST_LANDMARKS,
            n_others=MOST_OTHERS,
        )
        if self.min_shared:
            batch_p2 = space.codes[pairs]
            is_shared = [space.shared.matched(pairs[:, one], batch_p2[:, 1 - one]) >= self.min_shared for one in (0, 1)]
            pairs = pairs[np.logical_and(*is_shared)]
        bound = copy(self)
        object.__setattr__(bound, "_pairs", pairs)
        object.__setattr__(bound, "_anchors", graph.pairs_as_graph(pairs, len(space.codes)))
        object.__setattr__(bound, "_landmark", graph.nearest_landmark(space.embedding_nd, space.batch))
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
        anchors, landmark = require(self, "_anchors"), require(self, "_landmark")
        if view == 0:
            return np.full((1, cells.size), -1)
        return only_from(pool, draw_neighbor(anchors, landmark[cells], keys), anchors.degrees.size)[None]

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Put the neighbours in the cells' place."""
        return partners_png[0]

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(replace_row, (), is_sparse=True)


@row_function
def replace_row(x, row):
    """Put the borrowed row in the place of one."""
    scatter_row(x, row.lent[0], row.data, row.indices, row.indptr)
    return False
