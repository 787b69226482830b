"""Neighbours as one would find them with pencil and paper."""

import numpy as np


def distances_by_hand(a: np.ndarray, b: np.ndarray, metric: str) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    lengths = np.sqrt((a**2).sum(axis=1))[:, None] * np.sqrt((b**2).sum(axis=1))
    return 1 - np.divide(a @ b.T, lengths, out=np.zeros(lengths.shape), where=lengths > 0)


def nearest_by_hand(distances: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(distances, axis=1, kind="stable")[:, :k]
