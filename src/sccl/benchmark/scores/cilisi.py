"""Do batches mix within each cell type?"""

from __future__ import annotations

import numpy as np

from sccl.benchmark.scores.lisi import lisi
from sccl.benchmark.scores.neighbors import exact_neighbors

#: Cells that a type needs.
MIN_CELLS = 10
_K = 90


def cilisi(x_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return the mixing of batches among the neighbours of the same type (cell-type aware iLISI).

    Andreatta et al., *Nature Communications* 15 (2024). iLISI rewards an embedding in which types lie on each other; here
    each type is looked at alone. A cell's LISI is scaled by the number of batches that hold its type.

    Parameters
    ----------
    x_nd
        Embedding, `(n_cells, n_dims)`.
    labels, batch
        Type and batch of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    Between 0 and 1, the mean over the cells of all types that span batches and have ten cells; 1 needs batches of equal size.
    NaN if there is no such type.
    """
    found = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        names, codes = np.unique(batch[rows], return_inverse=True)
        if names.size > 1 and rows.size >= MIN_CELLS:
            near = exact_neighbors(x_nd[rows], _K)
            found.append((lisi(near.indices, near.distances, codes) - 1) / (names.size - 1))
    return float(np.concatenate(found).mean()) if found else np.nan
