"""Would the cells of a new batch get the right label from the others?"""

from __future__ import annotations

import numpy as np

#: Neighbours that vote, as in :func:`sccl.mapping.transfer_labels`.
K = 11


def transfer_across_batches(
    x_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray, indices_nk: np.ndarray
) -> tuple[float, float]:
    """Return how often the nearest cells of all other batches have a cell's label.

    Each batch in turn gets the label of most of the 11 nearest cells (by Euclidean distance) of all others; of equally
    many, the nearer ones decide. Cells whose label the others do not have are left out.

    Parameters
    ----------
    x_nd
        Embedding, `(n_cells, n_dims)`.
    labels, batch
        Type and batch of each cell as whole numbers from 0, shape `(n_cells,)`.
    indices_nk
        The nearest cells of each cell, the nearest first, shape `(n_cells, k)`. Where 11 of them are of other batches, no
        others need to be looked for.

    Returns
    -------
    accuracy
        Share of the cells that got their own label, between 0 and 1.
    macro_f1
        Mean of the labels' F1, so that rare ones count as much as frequent ones, between 0 and 1.

    Both NaN if no label spans batches.
    """
    from sklearn.metrics import f1_score
    from sklearn.neighbors import NearestNeighbors

    true, predicted = [], []
    for name in np.unique(batch):
        is_new = batch == name
        others = labels[~is_new]
        rows = np.flatnonzero(is_new & np.isin(labels, others))
        if rows.size:
            k = min(K, others.size)
            near_rk, is_found = _first_of(~is_new, indices_nk[rows], k)
            labels_rk = labels[near_rk]
            if not is_found.all():
                search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x_nd[~is_new])
                labels_rk[~is_found] = others[search.kneighbors(x_nd[rows[~is_found]], return_distance=False)]
            true.append(labels[rows])
            predicted.append(_most(labels_rk))
    if not true:
        return np.nan, np.nan
    right, found = np.concatenate(true), np.concatenate(predicted)
    return float((right == found).mean()), float(f1_score(right, found, labels=np.unique(right), average="macro"))


def _first_of(wanted: np.ndarray, indices_rk: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `k` of each row that are wanted, shape `(n_rows, k)`, and which rows have so many."""
    if indices_rk.shape[1] < k:
        return np.zeros((len(indices_rk), k), dtype=int), np.zeros(len(indices_rk), dtype=bool)
    is_wanted = wanted[indices_rk]
    first = np.argsort(~is_wanted, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(indices_rk, first, axis=1), is_wanted.sum(axis=1) >= k


def _most(labels_nk: np.ndarray) -> np.ndarray:
    """Return the most frequent value of each row; of equally frequent ones, the one that comes first."""
    votes_nk = (labels_nk[:, :, None] == labels_nk[:, None, :]).sum(axis=2)
    return labels_nk[np.arange(len(labels_nk)), votes_nk.argmax(axis=1)]
