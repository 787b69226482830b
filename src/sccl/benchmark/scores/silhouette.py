"""How much nearer are a cell's own kind than the others?"""

from __future__ import annotations

from typing import Literal

import numpy as np

_BLOCK_ELEMENTS = 2**22


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
    n_cells = len(x_nd)
    x_nd = x_nd.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(x_nd, axis=1, keepdims=True)
        x_nd = np.divide(x_nd, norms, out=np.zeros_like(x_nd), where=norms > 0)
    else:
        x_nd -= x_nd.mean(axis=0)
    sizes = np.bincount(groups)
    is_member_nk = np.eye(len(sizes))[groups]
    squares = (x_nd**2).sum(axis=1)
    widths = np.zeros(n_cells)
    step = max(1, _BLOCK_ELEMENTS // n_cells)
    for start in range(0, n_cells, step):
        rows = np.arange(start, min(start + step, n_cells))
        products = x_nd[rows] @ x_nd.T
        if metric == "cosine":
            distances = np.clip(1 - products, 0, 2)
        else:
            distances = np.sqrt(np.maximum(squares[rows, None] + squares - 2 * products, 0))
        distances[np.arange(rows.size), rows] = 0
        sums = distances @ is_member_nk
        own = groups[rows]
        within = sums[np.arange(rows.size), own] / np.maximum(sizes[own] - 1, 1)
        if others == "nearest":
            means = np.divide(sums, sizes, out=np.full_like(sums, np.inf), where=sizes > 0)
            means[np.arange(rows.size), own] = np.inf
            between = means.min(axis=1)
        else:
            between = (sums.sum(axis=1) - sums[np.arange(rows.size), own]) / (n_cells - sizes[own])
        larger = np.maximum(within, between)
        widths[rows] = np.divide(
            between - within, larger, out=np.zeros(rows.size), where=(larger > 0) & (sizes[own] > 1)
        )
    return widths


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
