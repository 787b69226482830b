"""Spaces in which the cells of two batches can be compared although the batches differ."""

from typing import Any

import numpy as np

from sccl.graph.inputs import as_matrix
from sccl.inputs import as_count


def centered(x1: Any, x2: Any) -> tuple[np.ndarray, np.ndarray]:
    """Move each batch so that its mean is at the origin: what all its cells share is no reason to be apart.

    Parameters
    ----------
    x1, x2
        Cells of the two batches, shapes (n1, n_dims) and (n2, n_dims).

    Returns
    -------
    float32 arrays of the same shapes.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or their dims differ.
    """
    first, second = _pair(x1, x2)
    return first.astype(np.float32), second.astype(np.float32)


def cca(x1: Any, x2: Any, *, n_comps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Find the directions of two batches that vary together (canonical correlation with unit covariances).

    Both batches are centred and ``x1 @ x2.T = U S V.T`` is split evenly into ``U sqrt(S)`` and ``V sqrt(S)``: products of
    the new coordinates are the best approximation, of that rank, of the products of the old. The cells x cells matrix
    is never formed, its factors are found from those of `x1` and `x2`.

    Parameters
    ----------
    x1, x2
        Cells of the two batches, shapes (n1, n_dims) and (n2, n_dims).
    n_comps
        Dimensions to keep, at least 1; clipped to the smallest of n1, n2 and n_dims.

    Returns
    -------
    float32 arrays of shapes (n1, n_comps) and (n2, n_comps), strongest dimension first, each up to a common sign.

    Raises
    ------
    ValueError
        If an array is empty or not finite, their dims differ, or `n_comps` is below one.

    References
    ----------
    Butler et al. (2018), Integrating single-cell transcriptomic data across different conditions, technologies, and
    species, Nature Biotechnology; Stuart et al. (2019), Comprehensive integration of single-cell data, Cell.
    """
    n_comps = as_count(n_comps, "n_comps")
    first, second = _pair(x1, x2)
    q1, r1 = np.linalg.qr(first)
    q2, r2 = np.linalg.qr(second)
    u, s, vt = np.linalg.svd(r1 @ r2.T, full_matrices=False)
    weights = np.sqrt(s[:n_comps])
    return (q1 @ u[:, :n_comps] * weights).astype(np.float32), (q2 @ vt[:n_comps].T * weights).astype(np.float32)


def _pair(x1: Any, x2: Any) -> tuple[np.ndarray, np.ndarray]:
    first, second = as_matrix(x1, "x1"), as_matrix(x2, "x2")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"`x1` has {first.shape[1]} dims and `x2` has {second.shape[1]}; they must agree.")
    return center(first), center(second)


def center(x: np.ndarray) -> np.ndarray:
    """Move cells so that their mean, in float64, is at the origin."""
    x = x.astype(np.float64)
    return x - x.mean(axis=0)
