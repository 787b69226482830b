"""How far apart are two batches here, beside what they are apart all around? Averages of cells are compared."""

from dataclasses import replace
from typing import Any

import numpy as np

from sccl.graph.averages import mean_over
from sccl.graph.search import Metric
from sccl.mapping.novelty.sides import Side, as_comparable, as_sides


def displacement(
    x_ref: Any,
    x_query: Any,
    *,
    metric: Metric = "cosine",
    n_landmarks: int = 2000,
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
        `sccl.graph.centered` and `sccl.graph.cca`.
    metric
        As in `knn`, of single cells; averages are compared by their euclidean distance.
    n_landmarks
        Cells of each, at least 1, that are compared: a random part if there are more. The others are as far as the
        landmarks nearest to them.
    n_jobs
        As in `knn`.
    seed
        Of the choice of landmarks.

    Returns
    -------
    float64 ≥ 0, shape (n_query,): in units of the median of the query, so that 1 is usual.

    Raises
    ------
    ValueError
        If an array is empty or not finite, their dims differ, a number is below one or a name unknown.
    """
    ref, query = as_sides(
        as_comparable(x_ref, x_query), metric=metric, n_landmarks=n_landmarks, n_jobs=n_jobs, seed=seed
    )
    return distance_between(ref, query)


def distance_between(ref: Side, query: Side) -> np.ndarray:
    """Measure how far the cells of the query are from the reference."""
    among_averages = replace(query.search, metric="euclidean")
    around = query.around.astype(np.float32)
    n_around = around.sum(axis=1, keepdims=True)
    shift = np.zeros_like(query.averages)
    for _ in range(2):
        # the mean of half as many of the reference's averages as each is made of
        nearest, _ = among_averages.nearest(query.averages + shift, ref.averages, max(ref.n_smoothed // 2, 1))
        gap = mean_over(ref.averages, nearest) - query.averages
        shift = around @ gap.astype(np.float32) / n_around
    lengths = np.linalg.norm(gap - shift, axis=1)
    return mean_over(lengths / (np.median(lengths) or 1.0), query.near)
