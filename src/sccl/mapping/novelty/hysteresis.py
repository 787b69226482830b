"""Hysteresis thresholding: are cells of which it is likely among those of which it is sure?"""

from __future__ import annotations

import numpy as np

from sccl import graph
from sccl.graph.averages import mean_over

# A likely cell needs so many neighbours, of which this share is unknown.
N_NEIGHBORS = 30
FEWEST_UNKNOWN = 0.3


def hysteresis_threshold(sure: np.ndarray, likely: np.ndarray, x_nd: np.ndarray) -> np.ndarray:
    """Say which cells are unknown: the sure ones, and the likely ones that have many unknown ones around them.

    A kind that is not in the reference is many cells in one place, while known cells with low scores are scattered: so
    most cells of the one are found without more of the others.

    Parameters
    ----------
    sure, likely
        Which cells are unknown by a strict and by a loose measure, bool, shape ``(n_cells,)``.
    x_nd
        The cells, cells × dimensions.

    Returns
    -------
    bool, ``(n_cells,)``.

    References
    ----------
    Canny, *A computational approach to edge detection*, IEEE TPAMI 1986 (thresholding with hysteresis).
    """
    n_neighbors = min(N_NEIGHBORS, len(x_nd) - 1)
    if n_neighbors < 1 or not sure.any():
        return sure
    indices, _ = graph.knn(x_nd, k=n_neighbors, metric="euclidean")
    unknown = sure
    while (grown := unknown | (likely & (mean_over(unknown, indices) >= FEWEST_UNKNOWN))).sum() > unknown.sum():
        unknown = grown
    return unknown
