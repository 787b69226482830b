"""How many batches, or types, are there around a cell?"""

from __future__ import annotations

import numpy as np

# of the search for each cell's width
_TOLERANCE, _MAX_STEPS = 1e-5, 50
_BLOCK_CELLS = 4096


def lisi(indices_nk: np.ndarray, distances_nk: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the local inverse Simpson's index of each cell: the effective number of groups among its neighbours.

    Korsunsky et al., *Nature Methods* 16 (2019). Neighbours weigh less the farther they are; each cell's weights have the
    perplexity k / 3.

    Parameters
    ----------
    indices_nk, distances_nk
        The nearest cells of each cell and how far they are, each cell being its own first, shape `(n_cells, k)`.
    groups
        Group of each cell as whole numbers from 0, shape `(n_cells,)`.

    Returns
    -------
    Between 1 and the number of groups, shape `(n_cells,)`.
    """
    target = np.log(max(1, indices_nk.shape[1] // 3))
    found = [
        _inverse_simpson(distances_nk[start:stop, 1:].astype(np.float64), groups[indices_nk[start:stop, 1:]], target)
        for start in range(0, len(indices_nk), _BLOCK_CELLS)
        for stop in [start + _BLOCK_CELLS]
    ]
    return np.concatenate(found)


def _inverse_simpson(distances_nk: np.ndarray, groups_nk: np.ndarray, target: float) -> np.ndarray:
    # the same for all distances but rounding, and no weight vanishes
    distances_nk = distances_nk - distances_nk[:, :1]
    rate = np.ones(len(distances_nk))
    low, high = np.zeros_like(rate), np.full_like(rate, np.inf)
    weights_nk = np.exp(-distances_nk)
    todo = np.arange(len(rate))
    for _ in range(_MAX_STEPS):
        total = weights_nk[todo].sum(axis=1)
        entropy = np.log(total) + rate[todo] * (distances_nk[todo] * weights_nk[todo]).sum(axis=1) / total
        wide = entropy > target
        todo, wide = todo[abs(entropy - target) >= _TOLERANCE], wide[abs(entropy - target) >= _TOLERANCE]
        if not todo.size:
            break
        low[todo[wide]], high[todo[~wide]] = rate[todo[wide]], rate[todo[~wide]]
        rate[todo] = np.where(np.isinf(high[todo]), 2 * rate[todo], (low[todo] + high[todo]) / 2)
        weights_nk[todo] = np.exp(-distances_nk[todo] * rate[todo, None])
    weights_nk /= weights_nk.sum(axis=1, keepdims=True)
    # the weight of each group, without an array of cells × groups
    order = np.argsort(groups_nk, axis=1, kind="stable")
    sorted_nk = np.take_along_axis(groups_nk, order, axis=1)
    sums_nk = np.cumsum(np.take_along_axis(weights_nk, order, axis=1), axis=1)
    is_last = np.ones(sorted_nk.shape, dtype=bool)
    is_last[:, :-1] = sorted_nk[:, 1:] != sorted_nk[:, :-1]
    rows, columns = np.nonzero(is_last)
    ends = sums_nk[rows, columns]
    starts = np.concatenate([[0.0], ends[:-1]])
    starts[np.flatnonzero(np.diff(rows, prepend=-1))] = 0.0
    return 1 / np.bincount(rows, weights=(ends - starts) ** 2, minlength=len(rate))
