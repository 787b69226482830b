"""Mahalanobis distance: is a cell farther from every label of the reference than the reference's batches are from each other?"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from sccl import graph
from sccl.graph.averages import mean_over
from sccl.mapping.whitening import label_means, within_class_whitening

# Averaged over its nearest cells of the same batch a cell loses most of its noise, and keeps what its kind shares.
N_SMOOTHED = 15
# Of the reference's own cells this share is not far.
NOT_FAR = 0.97


def is_far(z_ref: np.ndarray, z_query: np.ndarray, codes: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Say which query cells are far from the reference, compared with what its own batches are when left out in turn.

    The distance is Mahalanobis' to the nearest label's mean, with the covariance that labels share, of cells averaged with
    their nearest ones of the same batch; a query that is larger than the reference's batches is averaged in random parts of
    their size. For each batch of the reference it is measured from the other batches' labels; 97 % of all those distances
    are not far.

    Parameters
    ----------
    z_ref, z_query
        Embeddings, cells × dimensions.
    codes
        Label of each reference cell as a number.
    batch
        Batch of each reference cell as a number.

    Returns
    -------
    bool, ``(n_query,)``; all False if no batch shares a label with the others: then nothing says how far is far.

    References
    ----------
    Lee et al., *A simple unified framework for detecting out-of-distribution samples and adversarial attacks*, NeurIPS
    2018 (distance to the nearest class with a shared covariance).
    """
    n_smoothed = min(N_SMOOTHED, len(z_query) - 1)
    smooth_ref, smooth_query = np.empty_like(z_ref), np.empty_like(z_query)
    for one in np.unique(batch):
        smooth_ref[batch == one] = _smooth(z_ref[batch == one], n_smoothed)
    usual = [np.empty(0)]
    for one in np.unique(batch):
        others = batch != one
        shared = ~others & np.isin(codes, codes[others])
        if shared.any():
            usual.append(_distance(smooth_ref[others], codes[others], smooth_ref[shared]))
    distances = np.concatenate(usual)
    if not distances.size:
        return np.zeros(len(z_query), dtype=bool)
    # Among more cells the nearest are nearer, and their average keeps more noise: a part is as large as the batch of most cells.
    n_parts = max(round(len(z_query) / np.median(np.bincount(batch)[batch])), 1)
    shuffled = np.random.default_rng(0).permutation(len(z_query))  # their order may say what they are
    for part in np.array_split(shuffled, n_parts):
        rows = np.sort(part)
        smooth_query[rows] = _smooth(z_query[rows], n_smoothed)
    return _distance(smooth_ref, codes, smooth_query) > np.quantile(distances, NOT_FAR)


def _smooth(z_nd: np.ndarray, n_neighbors: int) -> np.ndarray:
    n_neighbors = min(n_neighbors, len(z_nd) - 1)
    if n_neighbors < 1:
        return z_nd
    indices, _ = graph.knn(z_nd, k=n_neighbors + 1, include_self=True)
    return mean_over(z_nd, indices)


def _distance(z_ref: np.ndarray, codes: np.ndarray, z_nd: np.ndarray) -> np.ndarray:
    _, codes = np.unique(codes, return_inverse=True)
    white = within_class_whitening(z_ref, codes)
    return cdist(z_nd @ white, label_means(z_ref, codes) @ white).min(axis=1)
