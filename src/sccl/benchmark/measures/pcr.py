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
