"""Within-class whitening: a space in which what cells of one label differ by counts little, and what tells labels apart counts much."""

from __future__ import annotations

import numpy as np

# Part of the covariance that is made equal in all directions: few cells do not determine it.
SHRINKAGE = 0.1


def label_means(x_nd: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the mean of each label, ``(n_labels, n_dims)``; ``codes`` are numbers ``0..n_labels-1``, each in use."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    sums_ld = np.add.reduceat(x_nd[order].astype(np.float64), starts)
    return sums_ld / np.bincount(codes)[:, None]


def within_class_whitening(x_nd: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the matrix ``(n_dims, n_dims)`` after which the covariance within labels is about the identity.

    Parameters
    ----------
    x_nd
        Cells × dimensions.
    codes
        Label of each cell as a number ``0..n_labels-1``.
    """
    residual_nd = x_nd.astype(np.float64) - label_means(x_nd, codes)[codes]
    covariance = residual_nd.T @ residual_nd / len(residual_nd)
    n_dims = len(covariance)
    even = np.trace(covariance) / n_dims or 1.0
    values, vectors = np.linalg.eigh((1 - SHRINKAGE) * covariance + SHRINKAGE * even * np.eye(n_dims))
    return vectors / np.sqrt(values) @ vectors.T
