"""Keep the pairs of cells that belong to the more similar of two kinds."""

from typing import Any

import numpy as np

from sccl.graph.exact import directions
from sccl.graph.inputs import as_matrix, as_pairs
from sccl.graph.search import Metric
from sccl.inputs import check_choice

# A mixture of two normal distributions has five parameters: fewer pairs than this say nothing about it.
FEWEST_PAIRS = 10


def refine_pairs(x: Any, pairs: Any, *, metric: Metric = "cosine", seed: int = 0) -> np.ndarray:
    """Fit a mixture of two normal distributions to the pairs' similarities and keep those of the higher one.

    A pair is kept from the similarity on, counted from the lower mean upwards, at which the higher component has a
    posterior probability of at least one half. With fewer than 10 pairs or equal similarities all are kept.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims).
    pairs
        Integers, shape (n_pairs, 2): row numbers.
    metric
        Similarity: the cosine of the angle, or the negative euclidean distance.
    seed
        Seed of the fit's start.

    Returns
    -------
    int32, shape (n_kept, 2): the kept pairs in their order.

    Raises
    ------
    ValueError
        If `x` is empty or not finite, `pairs` names a cell outside `x`, or `metric` is unknown.

    References
    ----------
    Yan et al. (2023), CLAIRE: contrastive learning-based batch correction framework for better balance between batch
    mixing and preservation of cellular heterogeneity, Bioinformatics.
    """
    from sklearn.mixture import GaussianMixture

    check_choice(metric, "metric", ("cosine", "euclidean"))
    cells = as_matrix(x)
    rows = as_pairs(pairs, len(cells)).astype(np.int32)
    if metric == "cosine":
        unit = directions(cells)
        similarity = np.einsum("nd,nd->n", unit[rows[:, 0]], unit[rows[:, 1]], dtype=np.float64)
    else:
        similarity = -np.linalg.norm(cells[rows[:, 0]].astype(np.float64) - cells[rows[:, 1]], axis=1)
    if len(rows) < FEWEST_PAIRS or np.ptp(similarity) < 1e-6 * max(1, np.abs(similarity).max()):
        return rows
    standard = ((similarity - similarity.mean()) / similarity.std())[:, None]
    mixture = GaussianMixture(n_components=2, max_iter=1000, random_state=seed).fit(standard)
    low, high = np.argsort(mixture.means_[:, 0])
    # The wider component wins at both ends; what is more alike than a kept pair is kept too, and the other way round.
    belongs = (mixture.predict_proba(standard)[:, high] >= 0.5) & (standard[:, 0] > mixture.means_[low, 0])
    return rows[similarity >= similarity[belongs].min()] if belongs.any() else rows
