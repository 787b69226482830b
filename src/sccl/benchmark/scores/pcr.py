"""How much of the variance do batches explain?"""

from __future__ import annotations

import numpy as np


def pcr_comparison(before_nd: np.ndarray, after_nd: np.ndarray, batch: np.ndarray) -> float:
    """Return the share of the variance explained by batches that an embedding has lost (principal component regression).

    Büttner et al., *Nature Methods* 16 (2019). Regression on all principal components, weighted by their variance, is the
    variance between the batches' means as a share of all variance, which needs no components.

    Parameters
    ----------
    before_nd, after_nd
        Embeddings without and with integration, `(n_cells, n_dims)`.
    batch
        Batch of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    Between 0 (nothing, or less than nothing) and 1; NaN if batches explain nothing of `before_nd`.
    """
    before, after = explained(before_nd, batch), explained(after_nd, batch)
    return max(0.0, (before - after) / before) if before > 0 else np.nan


def pcr_within_types(before_nd: np.ndarray, after_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return the share of the variance that batches explain within types that an embedding has lost.

    Batches of different composition differ truly, and :func:`pcr_comparison` takes that for a batch effect that an
    embedding should lose. Here each type is centred first, types that are in one batch alone are left out, and what batches
    of so many cells explain by chance is subtracted (adjusted R²).

    Parameters
    ----------
    before_nd, after_nd
        Embeddings without and with integration, `(n_cells, n_dims)`.
    labels, batch
        Type and batch of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    Between 0 (nothing, or less than nothing) and 1; NaN if no type spans batches, or if batches explain nothing of types in
    `before_nd`.
    """
    before, after = (explained_within_types(x_nd, labels, batch) for x_nd in (before_nd, after_nd))
    return float(np.clip((before - after) / before, 0, 1)) if before > 0 else np.nan


def explained_within_types(x_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return the variance between batches of one type as a share of all variance within types, less what chance explains.

    0 and below: nothing. NaN if no type spans batches, or none varies; see :func:`pcr_within_types`.
    """
    _, groups = np.unique(labels * (batch.max() + 1) + batch, return_inverse=True)
    n_batches = np.bincount(labels[np.unique(groups, return_index=True)[1]], minlength=labels.max() + 1)
    rows = n_batches[labels] > 1
    if not rows.any():
        return np.nan
    _, types = np.unique(labels[rows], return_inverse=True)
    _, groups = np.unique(groups[rows], return_inverse=True)
    x_nd = x_nd[rows].astype(np.float64)
    x_nd -= x_nd.mean(axis=0)
    of_types, of_groups, total = between(x_nd, types), between(x_nd, groups), float((x_nd**2).sum())
    within = total - of_types
    free, free_within = len(x_nd) - groups.max() - 1, len(x_nd) - types.max() - 1
    if free <= 0 or within <= 1e-12 * total:
        return np.nan
    return 1 - ((total - of_groups) / free) / (within / free_within)


def explained(x_nd: np.ndarray, groups: np.ndarray) -> float:
    """Return the variance between the means of groups as a share of all variance, NaN if there is none.

    Parameters
    ----------
    x_nd
        Embedding, `(n_cells, n_dims)`.
    groups
        Group of each cell as whole numbers from 0, shape `(n_cells,)`.
    """
    x_nd = x_nd - x_nd.mean(axis=0, dtype=np.float64)
    total = float((x_nd**2).sum())
    return between(x_nd, groups) / total if total > 0 else np.nan


def between(x_nd: np.ndarray, groups: np.ndarray) -> float:
    """Return the sum of squares of each cell's group mean; `x_nd` is centred, float64."""
    sizes = np.bincount(groups)
    sums = np.zeros((sizes.size, x_nd.shape[1]))
    np.add.at(sums, groups, x_nd)
    return float((sums[sizes > 0] ** 2 / sizes[sizes > 0, None]).sum())
