"""How much nearer are a cell's own kind than the others?"""

from __future__ import annotations

from typing import Literal

import numpy as np

# distances of so many cells to as many, float64, stay in the cache
_BLOCK_CELLS = 256


def silhouettes(
    x_nd: np.ndarray,
    groups: np.ndarray,
    *,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    others: Literal["nearest", "all"] = "nearest",
) -> np.ndarray:
    """Return the silhouette width of each cell: (b − a) / max(a, b).

    Parameters
    ----------
    x_nd
        Embedding, `(n_cells, n_dims)`.
    groups
        Group of each cell as whole numbers from 0, shape `(n_cells,)`; at least two different ones.
    metric
        Distance between cells.
    others
        `a` is the mean distance to the other cells of the group, `b` that to the ``"nearest"`` other group, or to the cells
        of ``"all"`` other groups.

    Returns
    -------
    Between −1 and 1, shape `(n_cells,)`; 0 for the only cell of a group.
    """
    order = np.argsort(groups, kind="stable")  # cells of a block are then of few groups
    own, x_nd = groups[order], _prepared(x_nd[order].astype(np.float64), metric)
    sizes = np.bincount(groups)
    sums_nk = _sums_of_distances(x_nd, own, len(sizes), metric)
    cells = np.arange(len(own))
    sum_within, size = sums_nk[cells, own], sizes[own]
    within = sum_within / np.maximum(size - 1, 1)
    if others == "nearest":
        means_nk = np.divide(sums_nk, sizes, out=np.full_like(sums_nk, np.inf), where=sizes > 0)
        means_nk[cells, own] = np.inf
        between = means_nk.min(axis=1)
    else:
        between = (sums_nk.sum(axis=1) - sum_within) / (len(own) - size)
    larger = np.maximum(within, between)
    widths = np.empty(len(own))
    widths[order] = np.divide(between - within, larger, out=np.zeros_like(larger), where=(larger > 0) & (size > 1))
    return widths


def _prepared(x_nd: np.ndarray, metric: str) -> np.ndarray:
    """Return the cells where the products of their coordinates give their distances."""
    if metric == "euclidean":
        return x_nd - x_nd.mean(axis=0)
    norms = np.linalg.norm(x_nd, axis=1, keepdims=True)
    return np.divide(x_nd, norms, out=np.zeros_like(x_nd), where=norms > 0)


def _sums_of_distances(x_nd: np.ndarray, groups: np.ndarray, n_groups: int, metric: str) -> np.ndarray:
    """Sum the distances of each cell to the cells of each group, each pair of cells being computed once.

    `groups` is in ascending order.
    """
    n_cells = len(x_nd)
    squares = (x_nd**2).sum(axis=1)
    is_member_nk = np.eye(n_groups)[groups]
    sums_nk = np.zeros((n_cells, n_groups))
    blocks = [slice(start, min(start + _BLOCK_CELLS, n_cells)) for start in range(0, n_cells, _BLOCK_CELLS)]
    present = [slice(groups[block.start], groups[block.stop - 1] + 1) for block in blocks]
    for i, rows in enumerate(blocks):
        for j, columns in enumerate(blocks[i:], start=i):
            distances = x_nd[rows] @ x_nd[columns].T
            if metric == "cosine":
                np.clip(np.subtract(1, distances, out=distances), 0, 2, out=distances)
            else:
                distances *= -2
                distances += squares[rows, None]
                distances += squares[columns]
                np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
            if i == j:
                np.fill_diagonal(distances, 0)
            else:
                sums_nk[columns, present[i]] += distances.T @ is_member_nk[rows, present[i]]
            sums_nk[rows, present[j]] += distances @ is_member_nk[columns, present[j]]
    return sums_nk


def bras(x_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return how well batches mix within types, by silhouettes of batches (batch removal adapted silhouette).

    Rautenstrauch and Ohler, *Nature Biotechnology* (2025): one less the absolute silhouette, by the cosine distance to the
    cells of all other batches; mean over a type's cells, then over types.

    Parameters
    ----------
    x_nd
        Embedding, `(n_cells, n_dims)`.
    labels, batch
        Type and batch of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    Between 0 and 1; NaN if no type has several batches, and more cells than batches.
    """
    means = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        names, codes = np.unique(batch[rows], return_inverse=True)
        if 1 < names.size < rows.size:
            means.append(1 - np.abs(silhouettes(x_nd[rows], codes, metric="cosine", others="all")).mean())
    return float(np.mean(means)) if means else np.nan
