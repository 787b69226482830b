"""How far apart are two batches here, beside what they are apart all around? Averages of cells are compared."""

from typing import Any

import numpy as np

from sccl.graph.averages import mean_over
from sccl.graph.search import Metric, Search
from sccl.graph.witnesses import as_compared, n_smoothed, share_of

# What this share of the cells have in common, those nearest to a cell, is the batch effect on it.
SURROUNDINGS = 0.3


def displacement(
    x_ref: Any,
    x_query: Any,
    *,
    metric: Metric = "cosine",
    n_witnesses: int = 2000,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Measure how far the cells of a query are from the reference, beside what the cells around them are.

    Every cell is averaged with those of its own batch that are nearest to it: noise, by which single cells differ more
    than related kinds do, averages out. The gap between an average of the query and the nearest ones of the reference is
    a vector. Its mean over the surroundings, the 30 % of the query's averages that are nearest to it, is taken for the
    batch effect and subtracted, the nearest ones being looked for once more when it is known. A kind of cells that the
    reference lacks is far even so. The surroundings of a kind that is most of the query are this kind, so that it is not
    recognised.

    Parameters
    ----------
    x_ref, x_query
        Cells, dense, shapes (n_ref, n_dims) and (n_query, n_dims), in a space in which the two can be compared: see
        `centered` and `cca`.
    metric
        As in `knn`, of single cells; averages are compared by their euclidean distance.
    n_witnesses
        Cells of each, at least 1, that are compared: a random part if there are more. The others are as far as the
        witnesses nearest to them.
    n_jobs
        As in `knn`.
    seed
        Of the choice of witnesses.

    Returns
    -------
    float64 ≥ 0, shape (n_query,): in units of the median of the query, so that 1 is usual.

    Raises
    ------
    ValueError
        If an array is empty or not finite, their dims differ, a number is below one or a name unknown.
    """
    search = Search(metric=metric, method="auto", n_trees=50, n_jobs=n_jobs, seed=seed)
    among_means = Search(metric="euclidean", method="auto", n_trees=50, n_jobs=n_jobs, seed=seed)
    ref, witnesses, query = as_compared(x_ref, x_query, n_witnesses, seed)
    mean_ref, mean_query = (_smooth(cells, search) for cells in (ref, witnesses))
    around = _nearest_share(mean_query, SURROUNDINGS)
    shift = np.zeros_like(mean_query)
    for _ in range(2):
        # the mean of half as many of the reference's averages as each is made of
        nearest, _ = among_means.nearest(mean_query + shift, mean_ref, max(n_smoothed(ref) // 2, 1))
        gap = mean_over(mean_ref, nearest) - mean_query
        shift = around @ gap.astype(np.float32)
    lengths = np.linalg.norm(gap - shift, axis=1)
    near, _ = search.nearest(query, witnesses, n_smoothed(witnesses))
    return mean_over(lengths / (np.median(lengths) or 1.0), near)


def _smooth(cells: np.ndarray, search: Search) -> np.ndarray:
    nearest, _ = search.nearest(cells, cells, n_smoothed(cells))
    return mean_over(cells, nearest)


def _nearest_share(cells: np.ndarray, share: float) -> np.ndarray:
    """Weights, float32 (n, n), with which the share of `cells` nearest to each has a mean."""
    centered = (cells - cells.mean(axis=0)).astype(np.float32)
    nearness = centered @ centered.T - (centered**2).sum(axis=1) / 2  # beside what all of a row have in common
    k = share_of(cells, share, 1)
    is_near = nearness >= -np.partition(-nearness, k - 1, axis=1)[:, k - 1 : k]
    return is_near / is_near.sum(axis=1, keepdims=True, dtype=np.float32)
