"""Do clusters of the embedding agree with cell types?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MAX_ITERATIONS = 300


def cluster_agreement(x_nd: np.ndarray, labels: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Return how well clusters of k-means, as many as there are types, agree with the types.

    The start and the result are those of scib-metrics' ``KMeans``; it compiles anew at each call, and moves the cells that
    it is given.

    Parameters
    ----------
    x_nd
        Embedding, float32, `(n_cells, n_dims)`; left as it is.
    labels
        Cell type of each cell as whole numbers from 0, shape `(n_cells,)`.
    seeds
        Seed of each start.

    Returns
    -------
    Normalised mutual information and adjusted Rand index of each start, shape `(n_seeds, 2)`.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    centred_nd = x_nd - x_nd.mean(axis=0)
    found = []
    for seed in seeds:
        clusters = _kmeans(centred_nd, int(labels.max()) + 1, seed)
        found.append((normalized_mutual_info_score(labels, clusters), adjusted_rand_score(labels, clusters)))
    return np.array(found)


def _kmeans(centred_nd: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the cluster of each cell once no cell changes it."""
    import jax
    from scib_metrics.utils import KMeans

    start = KMeans(k)._initialize  # k-means++, compiled once for all data of one shape
    centers_kd = np.asarray(start(centred_nd, k, jax.random.split(jax.random.PRNGKey(seed), 1)[0]), dtype=np.float64)
    x_nd = centred_nd.astype(np.float64)
    clusters = np.full(len(x_nd), -1)
    for _ in range(_MAX_ITERATIONS):
        nearest = np.argmin((centers_kd**2).sum(axis=1) - x_nd @ (2 * centers_kd).T, axis=1)
        if np.array_equal(nearest, clusters):
            break
        clusters = nearest
        of_cluster = clusters == np.arange(k)[:, None]
        # a cluster that lost all cells goes to the middle of the data
        centers_kd = of_cluster @ x_nd / np.maximum(of_cluster.sum(axis=1), 1)[:, None]
    return clusters
