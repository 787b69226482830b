"""Is a cell's kind in another batch? What the other batch's cells choose, and how far from them the cell is."""

from typing import Any

import numpy as np

from sccl.graph.displacement import displacement
from sccl.graph.reciprocity import chosen_back
from sccl.graph.search import Metric


def kinship(
    x_ref: Any,
    x_query: Any,
    *,
    share: float = 0.08,
    metric: Metric = "cosine",
    n_witnesses: int = 2000,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Score whether the reference has cells of a query cell's kind.

    How often the cell is chosen back (see `chosen_back`), divided by the square of its distance from the reference (see
    `displacement`). The first alone does not recognise a kind beside which the reference has a related one, whose cells
    choose it for want of a better; the second alone takes rare kinds and large kinds for one another's.

    Parameters
    ----------
    x_ref, x_query
        Cells, dense, shapes (n_ref, n_dims) and (n_query, n_dims), in a space in which the two can be compared: see
        `centered` and `cca`.
    share
        As in `chosen_back`; more are chosen than there, which tells changed kinds from missing ones.
    metric, n_witnesses, n_jobs, seed
        As in `chosen_back`.

    Returns
    -------
    float64 ≥ 0, shape (n_query,): around one for cells of a kind that the reference holds, near zero for others.

    Raises
    ------
    ValueError
        If an array is empty or not finite, their dims differ, a number is out of range or a name unknown.
    """
    back = chosen_back(x_ref, x_query, share=share, metric=metric, n_witnesses=n_witnesses, n_jobs=n_jobs, seed=seed)
    far = displacement(x_ref, x_query, metric=metric, n_witnesses=n_witnesses, n_jobs=n_jobs, seed=seed)
    return np.divide(back, far**2, out=np.full_like(back, np.inf), where=far > 0)
