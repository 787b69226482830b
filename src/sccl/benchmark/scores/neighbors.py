"""The nearest cells of every cell, found exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scib_metrics.nearest_neighbors import NeighborsResults


def exact_neighbors(x_nd: np.ndarray, k: int) -> NeighborsResults:
    """Find the `k` nearest cells of each cell (all cells where there are fewer), each cell being its own first."""
    from scib_metrics.nearest_neighbors import NeighborsResults
    from sklearn.neighbors import NearestNeighbors

    n_cells = len(x_nd)
    # called without cells, kneighbors leaves out each cell itself, whose distance would not be exactly 0
    distances, indices = NearestNeighbors(n_neighbors=min(k, n_cells) - 1, algorithm="brute").fit(x_nd).kneighbors()
    return NeighborsResults(
        indices=np.column_stack([np.arange(n_cells), indices]).astype(np.int32),
        distances=np.column_stack([np.zeros(n_cells), distances]).astype(np.float32),
    )
