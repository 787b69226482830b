"""How strongly are cells connected, by the distances of their neighbours?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# of the search for each cell's width
_TOLERANCE, _MAX_STEPS = 1e-5, 64
# a width is not smaller than this part of the mean distance
_NARROWEST = 1e-3


def connectivities(indices_nk: np.ndarray, distances_nk: np.ndarray) -> csr_matrix:
    """Return the graph of neighbours, an edge being the probability that at least one of two cells reaches the other.

    McInnes et al., *UMAP*, arXiv (2018). A cell reaches its nearest neighbour for certain, the others the less the farther
    they are, log2(k) of them in all. That is what scib-metrics takes from the package umap, which compiles for ten
    seconds in every process; here nothing is compiled.

    Parameters
    ----------
    indices_nk, distances_nk
        The nearest cells of each cell and how far they are, each cell being its own first, shape `(n_cells, k)`.

    Returns
    -------
    Symmetric, float32, `(n_cells, n_cells)`, values above 0 and up to 1, nothing on the diagonal.
    """
    from scipy.sparse import csr_matrix

    n_cells, k = indices_nk.shape
    distances_nk = distances_nk.astype(np.float64)
    is_apart = distances_nk > 0
    nearest = np.where(is_apart.any(axis=1), np.where(is_apart, distances_nk, np.inf).min(axis=1), 0.0)
    beyond_nk = np.maximum(distances_nk - nearest[:, None], 0)
    width = _widths(beyond_nk[:, 1:], np.log2(k))
    mean = np.where(nearest > 0, distances_nk.mean(axis=1), distances_nk.mean())
    width = np.maximum(width, _NARROWEST * mean)
    reached_nk = np.exp(-np.divide(beyond_nk, width[:, None], out=np.zeros_like(beyond_nk), where=width[:, None] > 0))
    reached_nk[indices_nk == np.arange(n_cells)[:, None]] = 0
    indptr = np.arange(0, n_cells * k + 1, k)
    directed = csr_matrix(
        (reached_nk.astype(np.float32).ravel(), indices_nk.flatten(), indptr), shape=(n_cells, n_cells)
    )
    directed.eliminate_zeros()
    back = directed.T.tocsr()
    graph = (directed + back - directed.multiply(back)).tocsr()
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def _widths(beyond_nk: np.ndarray, target: float) -> np.ndarray:
    """Return for each row the width by which its distances give weights of the sum `target`."""
    width = np.ones(len(beyond_nk))
    low, high = np.zeros_like(width), np.full_like(width, np.inf)
    todo = np.arange(len(width))
    for _ in range(_MAX_STEPS):
        total = np.exp(-beyond_nk[todo] / width[todo, None]).sum(axis=1)
        is_off = abs(total - target) >= _TOLERANCE
        todo, is_wide = todo[is_off], (total > target)[is_off]
        if not todo.size:
            break
        high[todo[is_wide]], low[todo[~is_wide]] = width[todo[is_wide]], width[todo[~is_wide]]
        width[todo] = np.where(np.isinf(high[todo]), 2 * width[todo], (low[todo] + high[todo]) / 2)
    return width
