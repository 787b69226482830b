"""Is a cell's kind in another batch? What the other batch's cells choose, and how far from them the cell is."""

from itertools import combinations
from typing import Any

import numpy as np

from sccl.graph.displacement import distance_between
from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.reciprocity import check_share, choices, how_often
from sccl.graph.search import Metric
from sccl.graph.spaces import center
from sccl.graph.witnesses import FEWEST_CELLS, Side, as_comparable, as_sides


def kinship(
    x_ref: Any,
    x_query: Any,
    *,
    share: float = 0.08,
    metric: Metric = "cosine",
    n_witnesses: int = 2000,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Score whether the reference has cells of a query cell's kind.

    How often the cell is chosen back (see `chosen_back`), divided by the square of its distance from the reference (see
    `displacement`). The first alone does not recognise a kind beside which the reference has a related one, whose cells
    choose it for want of a better; the second alone takes rare kinds and large kinds for one another's.

    Parameters
    ----------
    x_ref, x_query
        Cells, dense, shapes (n_ref, n_dims) and (n_query, n_dims), in a space in which the two can be compared: see
        `centered` and `cca`.
    share
        As in `chosen_back`; more are chosen than there, which tells changed kinds from missing ones.
    metric, n_witnesses, n_jobs, seed
        As in `chosen_back`.

    Returns
    -------
    float64 ≥ 0, shape (n_query,): around one for cells of a kind that the reference holds, near zero for others.

    Raises
    ------
    ValueError
        If an array is empty or not finite, their dims differ, a number is out of range or a name unknown.
    """
    check_share(share)
    ref, query = as_sides(
        as_comparable(x_ref, x_query), metric=metric, n_witnesses=n_witnesses, n_jobs=n_jobs, seed=seed
    )
    return _kinship(ref, query, choices(query, ref, share), choices(ref, query, share))


def batch_kinship(
    x: Any,
    batches: Any,
    *,
    share: float = 0.08,
    metric: Metric = "cosine",
    n_witnesses: int = 2000,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Score for every batch whether it has cells of the kinds of the others'.

    The `kinship` of every two batches, each moved to its own mean. Some rare kinds, and some of those that differ strongly
    between the batches, seem to be missing, too; a kind that hardly differs from one which the batch holds is not
    recognised.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batches
        Label of each cell's batch, shape (n_cells,).
    share, metric, n_witnesses, n_jobs, seed
        As in `kinship`.

    Returns
    -------
    float32 ≥ 0, shape (n_cells, n_batches): the cell's kinship with the batch of that column (labels in sorted order).
    Infinite with its own batch, and wherever one of the two has less than 30 cells.

    Raises
    ------
    ValueError
        If an array is empty or not finite, if a label is missing, lengths differ, a number is out of range or a name
        unknown.
    """
    check_share(share)
    cells = as_matrix(x)
    codes, n_batches = as_codes(batches, len(cells))
    members = [np.flatnonzero(codes == batch) for batch in range(n_batches)]
    moved = (center(cells[rows]).astype(np.float32) for rows in members)
    sides = as_sides(moved, metric=metric, n_witnesses=n_witnesses, n_jobs=n_jobs, seed=seed)
    kin = np.full((len(cells), n_batches), np.inf, dtype=np.float32)
    enough = [batch for batch in range(n_batches) if members[batch].size >= FEWEST_CELLS]
    for a, b in combinations(enough, 2):
        by_a, by_b = choices(sides[a], sides[b], share), choices(sides[b], sides[a], share)
        kin[members[a], b] = _kinship(sides[b], sides[a], by_a, by_b)
        kin[members[b], a] = _kinship(sides[a], sides[b], by_b, by_a)
    return kin


def _kinship(ref: Side, query: Side, chosen_ref: np.ndarray, chosen_query: np.ndarray) -> np.ndarray:
    back, far = how_often(query, chosen_ref, chosen_query), distance_between(ref, query)
    return np.divide(back, far**2, out=np.full_like(back, np.inf), where=far > 0)
