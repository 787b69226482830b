"""Neighbour lists of unequal length, from which a partner is drawn in constant time."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sccl.graph.inputs import as_pairs, as_rows
from sccl.inputs import as_count


class Adjacency(NamedTuple):
    """Neighbours of each cell, in the layout of a compressed sparse row matrix; numba takes it as it is.

    Attributes
    ----------
    indptr
        int64, shape (n_cells + 1,). The neighbours of cell i are ``indices[indptr[i] : indptr[i + 1]]``.
    indices
        int32, shape (n_edges,): row numbers, ascending within a cell, each at most once.
    """

    indptr: np.ndarray
    indices: np.ndarray

    @property
    def degrees(self) -> np.ndarray:
        """Number of neighbours of each cell, int64, shape (n_cells,)."""
        return np.diff(self.indptr)


def as_graph(indices: Any, n: int, *, symmetric: bool = True) -> Adjacency:
    """Turn a table of neighbours, as `knn` and `batch_balanced_knn` return it, into an `Adjacency`.

    Parameters
    ----------
    indices
        Integers, shape (n, n_neighbors): the neighbours of each cell; -1 is none.
    n
        Number of cells.
    symmetric
        Count each edge in both directions: if j is a neighbour of i, i is one of j. Otherwise as in the table.

    Raises
    ------
    ValueError
        If `indices` does not have `n` rows or names a cell outside -1..n-1.
    """
    n = as_count(n, "n")
    table = as_rows(indices, n, "indices", lowest=-1)
    if len(table) != n:
        raise ValueError(f"`indices` has {len(table)} rows; expected one for each of the `n` = {n} cells.")
    source, column = np.nonzero(table >= 0)
    return _from_edges(source, table[source, column], n, symmetric=symmetric)


def pairs_as_graph(pairs: Any, n: int) -> Adjacency:
    """Turn pairs, as `mutual_nearest_neighbors` returns them, into an `Adjacency`; a pair counts in both directions.

    Parameters
    ----------
    pairs
        Integers, shape (n_pairs, 2): row numbers in 0..n-1.
    n
        Number of cells. A cell in no pair has no neighbours.

    Raises
    ------
    ValueError
        If `pairs` has another shape or names a cell outside 0..n-1.
    """
    n = as_count(n, "n")
    rows = as_pairs(pairs, n)
    return _from_edges(rows[:, 0], rows[:, 1], n, symmetric=True)


def draw(graph: Adjacency, cells: Any, *, rng: np.random.Generator) -> np.ndarray:
    """Draw for each of `cells` one of its neighbours, all with equal chances.

    Parameters
    ----------
    graph
        Neighbours of each cell.
    cells
        Integers, shape (n,): row numbers.
    rng
        Where the randomness comes from.

    Returns
    -------
    int32, shape (n,): row numbers; -1 for a cell without neighbours.
    """
    cells = np.asarray(cells)
    degrees = graph.degrees[cells]
    partners = np.full(cells.shape, -1, dtype=np.int32)
    some = degrees > 0
    partners[some] = graph.indices[graph.indptr[cells[some]] + rng.integers(degrees[some])]
    return partners


def _from_edges(source: np.ndarray, target: np.ndarray, n: int, *, symmetric: bool) -> Adjacency:
    if symmetric:
        source, target = np.concatenate([source, target]), np.concatenate([target, source])
    matrix = sparse.coo_array((np.ones(len(source), dtype=bool), (source, target)), shape=(n, n)).tocsr()
    matrix.sum_duplicates()  # sorts, too
    return Adjacency(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))
