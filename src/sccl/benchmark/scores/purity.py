"""Does a type that one batch alone has stay with its own?"""

from __future__ import annotations

import numpy as np

#: Nearest cells that are looked at.
K = 15
#: Cells that a type needs.
MIN_CELLS = 5


def one_batch_purity(indices_nk: np.ndarray, before_nk: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return how pure the neighbourhoods of types of one batch are, as a share of what they were before integration.

    Such a type has no counterpart: a method that mixes all batches lays it on another type.

    Parameters
    ----------
    indices_nk, before_nk
        The nearest cells of each cell in the embedding and in the unintegrated one, each cell being its own first, shape
        `(n_cells, k)`, k > 15 where there are as many cells.
    labels, batch
        Type and batch of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    0 and up, the mean over types; 1: as pure as before. NaN if no type of five cells or more is of one batch, or if none is
    near its own kind before integration.
    """
    ratios = []
    for label in one_batch_types(labels, batch):
        rows = np.flatnonzero(labels == label)
        k = min(K, rows.size - 1)
        after, before = ((labels[near[rows, 1 : k + 1]] == label).mean() for near in (indices_nk, before_nk))
        if before > 0:
            ratios.append(after / before)
    return float(np.mean(ratios)) if ratios else np.nan


def one_batch_types(labels: np.ndarray, batch: np.ndarray) -> list[int]:
    """Return the types of five cells or more that a single batch has."""
    return [
        label
        for label, size in enumerate(np.bincount(labels))
        if size >= MIN_CELLS and np.unique(batch[labels == label]).size == 1
    ]
