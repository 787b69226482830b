"""What the neighbours of a cell say of its label."""

from __future__ import annotations

import numpy as np


def vote(indices: np.ndarray, codes: np.ndarray, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Let each cell's neighbours vote, one neighbour one vote.

    Parameters
    ----------
    indices
        Neighbours of each cell, nearest first, int, shape ``(n_cells, k)``; -1 is none.
    codes
        Label of each neighbour as a number in ``0..n_labels-1``, shape ``(n_reference,)``.
    n_labels
        Number of labels.

    Returns
    -------
    shares
        Share of the votes that each label got, float32, ``(n_cells, n_labels)``, rows summing to one.
    winners
        Label with the most votes, int, ``(n_cells,)``. Of several, the one whose votes come from nearer neighbours.
    """
    n_cells, k = indices.shape
    cells, ranks = np.nonzero(indices >= 0)
    ballots = cells * n_labels + codes[indices[cells, ranks]]
    size = n_cells * n_labels
    votes_cl = np.bincount(ballots, minlength=size).reshape(n_cells, n_labels)
    # Nearness decides ties and no more: all of a cell's ranks together weigh less than one vote.
    nearness_cl = np.bincount(ballots, weights=(k - ranks) / (k * (k + 1)), minlength=size).reshape(n_cells, n_labels)
    shares = votes_cl / np.maximum(votes_cl.sum(axis=1, keepdims=True), 1)
    return shares.astype(np.float32), (votes_cl + nearness_cl).argmax(axis=1)
