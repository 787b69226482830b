"""Counts of surface proteins for simulated cells."""

from __future__ import annotations

import numpy as np

BACKGROUND = 1.5
"""Mean of the log counts of a protein that a cell does not bear: antibodies that stick to anything."""
SHARE_OF_TYPES = 0.25
"""Chance that a type bears a protein."""


def draw_proteins(
    batch_n: np.ndarray, type_n: np.ndarray, *, n_proteins: int, batch_strength: float, seed: int
) -> np.ndarray:
    """Draw counts of proteins, which types bear or do not, over a background that every cell has.

    Parameters
    ----------
    batch_n, type_n
        Batch and type of each cell as a number.
    n_proteins
        Number of proteins.
    batch_strength
        Standard deviation of a protein's log fold change between a batch and the average.
    seed
        Seed. The draws are independent of those of expression with the same seed.

    Returns
    -------
    float32, cells × proteins.
    """
    rng = np.random.default_rng([seed, n_proteins])
    n_types, n_batches = int(type_n.max()) + 1, int(batch_n.max()) + 1
    bears_tp = rng.random((n_types, n_proteins)) < SHARE_OF_TYPES
    log_tp = rng.normal(BACKGROUND, 0.5, n_proteins) + bears_tp * rng.gamma(4.0, 0.5, (n_types, n_proteins))
    log_bp = rng.normal(0, batch_strength, (n_batches, n_proteins))
    depth_n1 = rng.normal(0, 0.3, (batch_n.size, 1))
    mu_np = np.exp(log_tp[type_n] + log_bp[batch_n] + depth_n1)
    # gamma-Poisson: with an overdispersion of 0.2, cells of one type differ
    return rng.poisson(mu_np * rng.standard_gamma(5.0, mu_np.shape) / 5.0).astype(np.float32)
