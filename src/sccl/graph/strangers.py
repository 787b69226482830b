"""Cells of a kind that another batch seems to lack."""

from itertools import permutations
from typing import Any

import numpy as np

from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.kinship import kinship
from sccl.graph.search import Metric
from sccl.graph.spaces import centered
from sccl.graph.witnesses import FEWEST_CELLS


def strangers(
    x: Any,
    batches: Any,
    *,
    max_kinship: float = 0.3,
    metric: Metric = "cosine",
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Find for every batch the cells of the others whose kind it seems to lack.

    Two batches are compared with each moved to its own mean. A cell is a stranger to a batch with which it has less than
    `max_kinship` (see `kinship`). Some rare kinds, and some of those that differ strongly between the batches, seem to be
    missing, too; a kind that hardly differs from one which the batch holds is not recognised.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batches
        Label of each cell's batch, shape (n_cells,).
    max_kinship
        Cells with less are strangers. At least 0; 0 finds none.
    metric, n_jobs, seed
        As in `kinship`.

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
    if not max_kinship >= 0:
        raise ValueError(f"`max_kinship` must be at least 0, found {max_kinship!r}.")
    cells = as_matrix(x)
    codes, n_batches = as_codes(batches, len(cells))
    members = [np.flatnonzero(codes == batch) for batch in range(n_batches)]
    lacks = np.zeros((len(cells), n_batches), dtype=bool)
    for home, other in permutations(range(n_batches), 2):
        if min(members[home].size, members[other].size) >= FEWEST_CELLS:
            there, here = centered(cells[members[other]], cells[members[home]])
            kin = kinship(there, here, metric=metric, n_jobs=n_jobs, seed=seed)
            lacks[members[home], other] = kin < max_kinship
    return lacks
