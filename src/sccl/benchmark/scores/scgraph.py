"""Are types as near to each other as they are within the batches?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Cells of a type that a batch, or the embedding, needs to hold, for their centre to count.
MIN_CELLS = 10
#: Types that a type's distances must reach, for a correlation to mean anything.
MIN_OTHERS = 3
# share of a type's cells, the farthest ones from its mean, that its centre leaves out
_TRIMMED = 0.1


def scgraph(before_nd: np.ndarray, after_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> tuple[float, float]:
    """Return how well an embedding keeps the distances between types that the batches agree on.

    Wang et al., *Metric mirages in cell embeddings*, bioRxiv (2024). Within a batch there is no batch effect: the distances
    between the types' centres there, averaged over batches, are what an embedding should keep. It may not draw types apart,
    or into points, without reason, which most other scores reward.

    Differs from the authors' ``scgraph-eval``, which computes principal components within each batch and trims coordinates:
    here the cells of a batch are taken from `before_nd`, and a type's farthest cells are left out, so that nothing depends
    on how an embedding is turned.

    Parameters
    ----------
    before_nd, after_nd
        Embeddings without and with integration, `(n_cells, n_dims)`.
    labels, batch
        Type and batch of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    weighted
        Pearson correlation of each type's distances to the others with those of the batches, near types counting more (by
        1 / distance); mean over types, between −1 and 1. The authors' "Corr-Weighted".
    rank
        Spearman correlation likewise, the authors' "Rank-PCA".

    Both NaN if no type has distances to three others in the batches.
    """
    n_types = int(labels.max()) + 1
    per_batch = [_distances(before_nd[batch == name], labels[batch == name], n_types) for name in np.unique(batch)]
    known = np.isfinite(per_batch)
    sums, counts = np.where(known, per_batch, 0).sum(axis=0), known.sum(axis=0)
    agreed_tt = np.divide(sums, counts, out=np.full((n_types, n_types), np.nan), where=counts > 0)
    found_tt = _distances(after_nd, labels, n_types)
    weighted, ranks = [], []
    for agreed, found in zip(agreed_tt, found_tt, strict=True):
        both = np.isfinite(agreed) & np.isfinite(found) & (agreed > 0)
        if both.sum() >= MIN_OTHERS:
            weighted.append(_correlation(agreed[both], found[both], 1 / agreed[both]))
            ranks.append(_correlation(_ranks(agreed[both]), _ranks(found[both]), np.ones(both.sum())))
    return (float(np.mean(weighted)), float(np.mean(ranks))) if weighted else (np.nan, np.nan)


def _distances(x_nd: np.ndarray, labels: np.ndarray, n_types: int) -> NDArray[np.float64]:
    """Return distances between the centres of types, each row's largest being 1; NaN for a type of too few cells."""
    centers_td = np.full((n_types, x_nd.shape[1]), np.nan)
    for label in np.unique(labels):
        cells = x_nd[labels == label].astype(np.float64)
        if len(cells) >= MIN_CELLS:
            far = np.linalg.norm(cells - cells.mean(axis=0), axis=1)
            kept = np.argsort(far, kind="stable")[: len(cells) - int(_TRIMMED * len(cells))]
            centers_td[label] = cells[kept].mean(axis=0)
    distances = np.linalg.norm(centers_td[:, None] - centers_td, axis=2)
    largest = np.where(np.isfinite(distances), distances, 0).max(axis=1, keepdims=True)
    return np.divide(distances, largest, out=np.full_like(distances, np.nan), where=largest > 0)


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted correlation, 0 where one of both does not vary."""
    weights = weights / weights.sum()
    a, b = a - weights @ a, b - weights @ b
    scale = np.sqrt((weights @ a**2) * (weights @ b**2))
    return float(weights @ (a * b) / scale) if scale > 1e-12 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(values)
