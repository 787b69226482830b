"""Values of a cell's neighbours."""

import numpy as np


def mean_over(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the mean of `values`, shape (n,) or (n, n_dims), over each row of `indices`, shape (m, k)."""
    total = np.zeros((len(indices), *values.shape[1:]))
    for column in indices.T:  # one at a time: cells x neighbours x dims need not fit in memory
        total += values[column]
    return total / indices.shape[1]
