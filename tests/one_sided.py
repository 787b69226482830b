"""Two batches, one of which has a population alone."""

import numpy as np


def one_sided(n=600, seed=0):
    """Cells of five types in two batches that are far apart; type 4 is in the second alone."""
    rng = np.random.default_rng(seed)
    types = rng.integers(5, size=2 * n)
    batch = np.repeat([0, 1], n)
    types[(batch == 0) & (types == 4)] = 0
    x = rng.normal(0, 1, (5, 12))[types] + rng.normal(0, 0.8, (2 * n, 12)) + batch[:, None] * rng.normal(0, 3, 12)
    return x.astype(np.float32), batch, types
