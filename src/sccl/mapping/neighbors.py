"""Values of a cell's neighbours."""

from __future__ import annotations

import numpy as np


def mean_over(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the mean of ``values``, ``(n,)`` or ``(n, d)``, over each row of ``indices``, ``(m, k)``."""
    total = np.zeros((len(indices), *values.shape[1:]))
    for column in indices.T:  # one at a time: cells × neighbours × dimensions need not fit in memory
        total += values[column]
    return total / indices.shape[1]
