"""The nearest cells of each cell in every batch."""

from typing import Any

import numpy as np

from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.search import Method, Metric, Search
from sccl.inputs import as_count


def batch_balanced_knn(
    x: Any,
    batches: Any,
    *,
    k: int = 3,
    metric: Metric = "cosine",
    method: Method = "auto",
    n_trees: int = 50,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Find the `k` nearest cells of each cell in every batch, its own included.

    The table has a direction: that j is among the neighbours of i does not make i one of j. Where an edge must count
    both ways, use ``as_graph(table, n_cells)``. To draw partners with equal chances for all batches, draw a column.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batches
        Label of each cell's batch, shape (n_cells,).
    k
        Neighbours per cell and batch, at least 1.
    metric, method, n_trees, n_jobs, seed
        As in `knn`.

    Returns
    -------
    int32, shape (n_cells, n_batches * k): row numbers of `x`. Columns ``b * k`` to ``(b + 1) * k`` hold the neighbours
    in the b-th batch in sorted order of the labels, nearest first; a cell is never its own neighbour. -1 ends the
    columns of a batch with fewer than `k` other cells.

    Raises
    ------
    ValueError
        If `x` is empty or not finite, if a label is missing, lengths differ, a number is below one or a name unknown.

    References
    ----------
    Polański et al. (2020), BBKNN: fast batch alignment of single cell transcriptomes, Bioinformatics.
    """
    search = Search(metric=metric, method=method, n_trees=n_trees, n_jobs=n_jobs, seed=seed)
    k = as_count(k, "k")
    cells = as_matrix(x)
    codes, n_batches = as_codes(batches, len(cells))
    table = np.empty((len(cells), n_batches * k), dtype=np.int32)
    for batch in range(n_batches):
        members = np.flatnonzero(codes == batch).astype(np.int32)
        own = np.full(len(cells), -1)
        own[members] = np.arange(len(members))
        found, _ = search.nearest(cells, cells[members], k, own=own)
        # From the position among the members to the row of `x`: the one must never be used for the other.
        table[:, batch * k : (batch + 1) * k] = np.where(found >= 0, members[found], -1)
    return table
