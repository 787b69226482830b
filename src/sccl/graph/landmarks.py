"""Some cells of each batch that stand for all of it, so that what is compared does not grow with the batch."""

from typing import Any

import numpy as np

from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.search import Search
from sccl.inputs import as_count

# As many of a batch show what there is, rare populations among it.
MOST_LANDMARKS = 2000


def choose_landmarks(codes: np.ndarray, n_batches: int, n_landmarks: int, *, seed: int = 0) -> list[np.ndarray]:
    """Draw the landmarks of each batch: row numbers in ascending order, all of a batch that has no more cells."""
    rng = np.random.default_rng(seed)
    # one draw for all, so that fewer landmarks are some of the more
    order = rng.permutation(codes.size)
    order = order[np.argsort(codes[order], kind="stable")]
    parts = np.split(order, np.searchsorted(codes[order], np.arange(1, n_batches)))
    return [np.sort(part[:n_landmarks]) for part in parts]


def nearest_landmark(
    x: Any, batches: Any, *, n_landmarks: int = MOST_LANDMARKS, n_jobs: int = -1, seed: int = 0
) -> np.ndarray:
    """Find the landmark of its batch that stands for each cell.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims).
    batches
        Label of each cell's batch, shape (n_cells,).
    n_landmarks
        Landmarks of a batch at most, at least 1; the cells of a batch with no more than these stand for themselves.
    n_jobs
        As in `knn`.
    seed
        Of the choice of landmarks.

    Returns
    -------
    int32, shape (n_cells,): row numbers of `x`; that of a landmark is its own.

    Raises
    ------
    ValueError
        If `x` is empty or not finite, if a label is missing, lengths differ or a number is below one.
    """
    search = Search(metric="euclidean", method="auto", n_trees=50, n_jobs=n_jobs, seed=seed)
    cells = as_matrix(x)
    codes, n_batches = as_codes(batches, len(cells))
    nearest = np.arange(len(cells), dtype=np.int32)
    for batch, landmarks in enumerate(
        choose_landmarks(codes, n_batches, as_count(n_landmarks, "n_landmarks"), seed=seed)
    ):
        others = np.setdiff1d(np.flatnonzero(codes == batch), landmarks, assume_unique=True)
        if others.size:
            found, _ = search.nearest(cells[others], cells[landmarks], 1)
            nearest[others] = landmarks[found[:, 0]]
    return nearest
