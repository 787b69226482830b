"""The neighbour augmentations with the errors of the reference's released code, to measure what they cost.

In the released code partners are looked up under the wrong row numbers. These classes choose partners as that code does
and are otherwise the corrected ones; nothing but :func:`sccl.augment.from_config` with ``semantics="released"`` makes
them.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from sccl import graph
from sccl.augment.bbknn import BBKNN
from sccl.augment.keys import derive, integers
from sccl.augment.mnn import MNN
from sccl.augment.neighbors import require

if TYPE_CHECKING:
    from sccl.graph import CellSpace


@dataclass(frozen=True)
class ReleasedBBKNN(BBKNN):
    """BBKNN that takes the *position* in the neighbour list for the neighbour: always one of the first rows."""

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose positions."""
        degrees = require(self, "_neighbors").degrees[cells]
        return np.stack([integers(derive(keys, i), degrees) for i in range(self.n_mixed)])


@dataclass(frozen=True)
class ReleasedMNN(MNN):
    """MNN that takes row numbers *within a batch* for row numbers of the data, and positions for neighbours in view 1."""

    def bind(self, space: CellSpace) -> Self:
        """Find the mutual neighbours, and misread their numbers."""
        bound = super().bind(space)
        within_batch = np.empty(len(space.codes), np.int64)
        for batch in range(space.n_batches):
            members = np.flatnonzero(space.codes == batch)
            within_batch[members] = np.arange(members.size)
        misread = copy(bound)
        object.__setattr__(
            misread, "_anchors", graph.pairs_as_graph(within_batch[require(bound, "_pairs")], len(within_batch))
        )
        return misread

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose as the released code does."""
        if view == 1:
            return super().partners(cells, keys, view=view, pool=pool)
        degrees = np.maximum(require(self, "_within").degrees[cells], 1)
        return np.stack([cells, *(integers(derive(keys, 1 + i), degrees) for i in range(self.n_mixed))])
