"""What the augmentations that borrow from neighbours have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sccl.augment.keys import integers

if TYPE_CHECKING:
    from sccl.augment.base import Augmentation
    from sccl.graph import Adjacency


def check_counts(augmentation: Augmentation, *names: str) -> None:
    """Raise a ValueError unless the named fields are at least 1."""
    for name in names:
        value = getattr(augmentation, name)
        if value < 1:
            raise ValueError(f"{type(augmentation).__name__}: `{name}` must be at least 1, found {value!r}.")


def require(augmentation: Augmentation, name: str) -> Any:
    """Return what ``bind`` stored under a name.

    Raises
    ------
    ValueError
        If ``bind`` was not called.
    """
    if not hasattr(augmentation, name):
        raise ValueError(
            f"{type(augmentation).__name__} does not know the cells' neighbours yet: models do that when they train; "
            "elsewhere call `augmentation.bind(sccl.graph.CellSpace(embedding, batch))` and use what it returns."
        )
    return getattr(augmentation, name)


def only_from(pool: np.ndarray, rows: np.ndarray, n_cells: int) -> np.ndarray:
    """Put -1 in the place of rows outside of the pool.

    Parameters
    ----------
    pool
        Row numbers that may be borrowed from, each once.
    rows
        Row numbers; -1 stays.
    n_cells
        Number of cells that the neighbours were looked for among.
    """
    if pool.size == n_cells:
        return rows
    may_lend = np.zeros(n_cells + 1, bool)  # the last one is that of row -1
    may_lend[pool] = True
    return np.where(may_lend[rows], rows, -1)


def draw_neighbor(neighbors: Adjacency, cells: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Draw one neighbour per cell, all with equal chances.

    Parameters
    ----------
    neighbors
        Neighbours of all cells.
    cells
        Row numbers, shape ``(n_cells,)``.
    keys
        One key per cell.

    Returns
    -------
    int64, shape ``(n_cells,)``; -1 for a cell without neighbours.
    """
    start, degree = neighbors.indptr[cells], neighbors.indptr[cells + 1] - neighbors.indptr[cells]
    drawn = np.full(cells.size, -1, np.int64)
    some = degree > 0
    drawn[some] = neighbors.indices[start[some] + integers(keys[some], degree[some])]
    return drawn
