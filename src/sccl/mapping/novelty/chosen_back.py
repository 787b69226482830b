"""Does one batch choose the cells of another back? What decides is the choice among those cells, not a distance."""

from typing import Any

import numpy as np

from sccl.graph.averages import mean_over
from sccl.graph.search import Metric
from sccl.mapping.novelty.sides import Side, as_comparable, as_sides, share_of

# At least so many cells are chosen.
FEWEST_NEIGHBORS = 10


def chosen_back(
    x_ref: Any,
    x_query: Any,
    *,
    share: float = 0.03,
    metric: Metric = "cosine",
    n_landmarks: int = 2000,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Score how often the cells of a query are chosen by the reference cells that they choose.

    A query cell chooses the reference cells nearest to it, and those choose the query cells nearest to them: its rivals,
    among which it is if its kind is in the reference. A cell of another kind loses to the cells that the reference
    knows, however far a batch effect has moved them all. The score is how often a cell and its nearest ones are chosen,
    relative to their rivals; so it does not matter how frequent a kind is in either.

    Parameters
    ----------
    x_ref, x_query
        Cells, dense, shapes (n_ref, n_dims) and (n_query, n_dims), in a space in which the two can be compared: see
        `sccl.graph.centered` and `sccl.graph.cca`.
    share
        How many are chosen, as a share of the cells there are, in (0, 1]; at least 10. More show better how the batches
        differ, and kinds that are rarer than this seem to be missing.
    metric
        As in `sccl.graph.knn`.
    n_landmarks
        Cells of each, at least 1, among which is chosen: a random part if there are more. The others are judged by the
        landmarks nearest to them.
    n_jobs
        As in `sccl.graph.knn`.
    seed
        Of the choice of landmarks.

    Returns
    -------
    float64 ≥ 0, shape (n_query,): around one for cells of a kind that the reference holds, near zero for others.

    Raises
    ------
    ValueError
        If an array is empty or not finite, their dims differ, a number is out of range or a name unknown.

    References
    ----------
    Haghverdi et al. (2018), Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest
    neighbors, Nature Biotechnology: that only cells of shared kinds choose each other.
    """
    check_share(share)
    ref, query = as_sides(
        as_comparable(x_ref, x_query), metric=metric, n_landmarks=n_landmarks, n_jobs=n_jobs, seed=seed
    )
    return how_often(query, choices(query, ref, share), choices(ref, query, share))


def check_share(share: float) -> None:
    """Raise unless `share` is one."""
    if not 0 < share <= 1:
        raise ValueError(f"`share` must be in (0, 1], found {share!r}.")


def choices(choosers: Side, chosen: Side, share: float) -> np.ndarray:
    """Return the landmarks of one side, a `share` of them, that each of the other's chooses."""
    k = share_of(chosen.landmarks, share, FEWEST_NEIGHBORS)
    return choosers.search.choose(choosers.landmarks, chosen.landmarks, k)


def how_often(query: Side, chosen_ref: np.ndarray, chosen_query: np.ndarray) -> np.ndarray:
    """Score the cells of the query, given what its landmarks choose and what the reference's do."""
    counts = np.bincount(chosen_query.ravel(), minlength=len(query.landmarks)).astype(float)
    of_rivals = mean_over(mean_over(counts, chosen_query), chosen_ref)
    return mean_over(counts, query.near) / mean_over(of_rivals, query.near)
