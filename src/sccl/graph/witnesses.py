"""A part of the cells that stands for all of them, and how many of its cells are asked."""

import numpy as np

# A cell is judged together with this share of the cells, those nearest to it, at least with so many.
SMOOTHED = 0.015
FEWEST_SMOOTHED = 15
# With fewer cells there are no others that could be chosen in a cell's place.
FEWEST_CELLS = 30


def draw_witnesses(cells: np.ndarray, n_witnesses: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a random part of the rows of `cells`, in their order; all of them if there are not more."""
    if len(cells) <= n_witnesses:
        return cells
    return cells[np.sort(rng.choice(len(cells), n_witnesses, replace=False))]


def share_of(cells: np.ndarray, share: float, fewest: int) -> int:
    """Return a share of the number of rows of `cells`, at least `fewest` of them if there are so many."""
    return min(max(fewest, round(share * len(cells))), len(cells))


def n_smoothed(cells: np.ndarray) -> int:
    """Return how many of the rows of `cells` each is judged together with."""
    return share_of(cells, SMOOTHED, FEWEST_SMOOTHED)
