"""Classification EM: cells of a query that are of one kind are either known or not, all of them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from sccl.mapping.whitening import label_means, within_class_whitening

# A group of fewer cells has no mean to speak of: its cells stay what they are, and no others join.
FEWEST_IN_GROUP = 5
# After so many less than 1 % of the cells move, if any.
MAX_ROUNDS = 10


def classification_em(unknown: np.ndarray, codes: np.ndarray, x_nd: np.ndarray) -> np.ndarray:
    """Compare the cells that are called unknown with the known ones of the same query, and call each what it is more like.

    Between cells of one query there is no batch effect, so that what is hard to see beside the reference is easy to see
    here: the unknown cells of a label and its known ones, of every label, are groups, of which each cell joins the one that
    makes it most likely, and so on until none moves. The groups are normal with one covariance and as frequent as they are
    large. A cell is compared with its own group without itself, for few cells would else hold on to each other.

    Parameters
    ----------
    unknown
        Which cells are called unknown so far, bool, shape ``(n_cells,)``.
    codes
        Label of each cell as a number: the one that it has if it is known. Labels are not changed.
    x_nd
        The cells, cells × dimensions.

    Returns
    -------
    bool, ``(n_cells,)``.

    References
    ----------
    Celeux & Govaert, *A classification EM algorithm for clustering and two stochastic versions*, Computational Statistics &
    Data Analysis 1992.
    """
    groups = 2 * codes + unknown
    placed = np.bincount(groups)[groups] >= FEWEST_IN_GROUP
    settled = unknown.copy()
    settled[placed] = _settled(unknown[placed], codes[placed], x_nd[placed].astype(np.float64))
    return settled


def _settled(unknown: np.ndarray, codes: np.ndarray, x_nd: np.ndarray) -> np.ndarray:
    for _ in range(MAX_ROUNDS):
        if unknown.all() or not unknown.any():
            break
        joined = _joined(unknown, 2 * codes + unknown, x_nd)
        if np.array_equal(joined, unknown):
            break
        unknown = joined
    return unknown


def _joined(unknown: np.ndarray, groups: np.ndarray, x_nd: np.ndarray) -> np.ndarray:
    """Return whether the group is unknown that makes a cell most likely, of those that are large enough."""
    members = np.flatnonzero(np.bincount(groups)[groups] >= FEWEST_IN_GROUP)
    if not members.size:
        return unknown
    _, first, groups, sizes = np.unique(groups[members], return_index=True, return_inverse=True, return_counts=True)
    white = within_class_whitening(x_nd[members], groups)
    white_nd = x_nd @ white
    squared_ng = cdist(white_nd, label_means(white_nd[members], groups), "sqeuclidean")
    squared_ng[members, groups] *= (sizes / (sizes - 1))[groups] ** 2
    return unknown[members[first]][(squared_ng / 2 - np.log(sizes)).argmin(axis=1)]
