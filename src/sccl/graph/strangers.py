"""Cells of a kind that another batch seems to lack."""

from itertools import permutations
from typing import Any

import numpy as np

from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.reciprocity import FEWEST_CELLS, chosen_back
from sccl.graph.search import Metric
from sccl.graph.spaces import centered


def strangers(
    x: Any,
    batches: Any,
    *,
    max_reciprocity: float = 0.4,
    share: float = 0.08,
    metric: Metric = "cosine",
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Find for every batch the cells of the others whose kind it seems to lack.

    Two batches are compared with each moved to its own mean. A cell is a stranger to a batch that chooses it back less
    often than `max_reciprocity` (see `chosen_back`). Kinds that are much rarer than `share` in either, and some of those
    that differ strongly between the batches, seem to be missing, too; a kind that resembles one which the batch holds is
    not recognised.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batches
        Label of each cell's batch, shape (n_cells,).
    max_reciprocity
        Cells that are chosen back less often are strangers. At least 0; 0 finds none.
    share, metric, n_jobs, seed
        As in `chosen_back`; more are chosen than there, which tells changed kinds from missing ones.

    Returns
    -------
    bool, shape (n_cells, n_batches): whether the batch of that column (labels in sorted order) seems to lack the cell's
    kind. False for a cell's own batch, and wherever one of the two has less than 30 cells.

    Raises
    ------
    ValueError
        If an array is empty or not finite, if a label is missing, lengths differ, a number is out of range or a name
        unknown.
    """
    if not max_reciprocity >= 0:
        raise ValueError(f"`max_reciprocity` must be at least 0, found {max_reciprocity!r}.")
    cells = as_matrix(x)
    codes, n_batches = as_codes(batches, len(cells))
    members = [np.flatnonzero(codes == batch) for batch in range(n_batches)]
    lacks = np.zeros((len(cells), n_batches), dtype=bool)
    for home, other in permutations(range(n_batches), 2):
        if min(members[home].size, members[other].size) >= FEWEST_CELLS:
            there, here = centered(cells[members[other]], cells[members[home]])
            back = chosen_back(there, here, share=share, metric=metric, n_jobs=n_jobs, seed=seed)
            lacks[members[home], other] = back < max_reciprocity
    return lacks
