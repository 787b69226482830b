"""A part of the cells that stands for all of them, and how many of its cells are asked."""

from typing import Any

import numpy as np

from sccl.graph.inputs import as_count, as_matrix

# A cell is judged together with this share of the cells, those nearest to it, at least with so many.
SMOOTHED = 0.015
FEWEST_SMOOTHED = 15
# With fewer cells there are no others that could be chosen in a cell's place.
FEWEST_CELLS = 30


def as_compared(x_ref: Any, x_query: Any, n_witnesses: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the witnesses of the reference, those of the query, and the whole query, or say what is wrong with them."""
    n_witnesses = as_count(n_witnesses, "n_witnesses")
    ref, query = as_matrix(x_ref, "x_ref"), as_matrix(x_query, "x_query")
    if ref.shape[1] != query.shape[1]:
        raise ValueError(f"`x_ref` has {ref.shape[1]} dims and `x_query` has {query.shape[1]}; they must agree.")
    rng = np.random.default_rng(seed)
    return _draw(ref, n_witnesses, rng), _draw(query, n_witnesses, rng), query


def share_of(cells: np.ndarray, share: float, fewest: int) -> int:
    """Return a share of the number of rows of `cells`, at least `fewest` of them if there are so many."""
    return min(max(fewest, round(share * len(cells))), len(cells))


def n_smoothed(cells: np.ndarray) -> int:
    """Return how many of the rows of `cells` each is judged together with."""
    return share_of(cells, SMOOTHED, FEWEST_SMOOTHED)


def _draw(cells: np.ndarray, n_witnesses: int, rng: np.random.Generator) -> np.ndarray:
    if len(cells) <= n_witnesses:
        return cells
    return cells[np.sort(rng.choice(len(cells), n_witnesses, replace=False))]
