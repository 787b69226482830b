"""Harmony."""

from __future__ import annotations

import numpy as np

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding


def embed(data: Data, *, seed: int, n_comps: int = 50, theta: float = 2.0, max_iter_harmony: int = 10) -> Embedding:
    """Correct principal components (Korsunsky et al., Nature Methods 2019), with the authors' settings."""
    return Embedding(correct(data.pca[:, :n_comps], data, seed=seed, theta=theta, max_iter_harmony=max_iter_harmony))


def correct(x_nd: np.ndarray, data: Data, *, seed: int, theta: float = 2.0, max_iter_harmony: int = 10) -> np.ndarray:
    """Return principal components of the cells of `data` without what tells its batches apart, shape `(n_cells, n_comps)`."""
    import harmonypy

    result = harmonypy.run_harmony(
        x_nd,
        data.adata.obs,
        data.batch_key,
        theta=theta,
        max_iter_harmony=max_iter_harmony,
        random_state=seed,
        verbose=False,
    )
    z = np.asarray(result.Z_corr)
    # older versions return dimensions × cells
    return z if len(z) == data.adata.n_obs else z.T
