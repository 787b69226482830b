"""Runs: cells that lie in a row on disk, a random part of all, and are read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sccl.inputs.store import CellStore

# Longer runs are read faster, and mixed less; of few cells there are to be several runs, all the same.
RUN_CELLS, FEWEST_RUNS, SHORTEST_RUN = 1024, 64, 16


def runs_of(store: CellStore) -> np.ndarray:
    """Return the first row of each run and the one behind its last, int64, shape ``(n_runs, 2)``."""
    size = int(np.clip(store.n_obs // FEWEST_RUNS, SHORTEST_RUN, RUN_CELLS))
    runs = [
        (start, min(start + size, last))
        for first, last in zip(store.starts[:-1], store.starts[1:], strict=True)
        for start in range(first, last, size)
    ]
    return np.array(runs, dtype=np.int64)


def rows_of(runs: np.ndarray) -> np.ndarray:
    """Return the row numbers of runs, one run after the other."""
    return np.concatenate([np.arange(first, last) for first, last in runs]) if len(runs) else np.empty(0, np.int64)


def draw_runs(runs: np.ndarray, n_cells: int, rng: np.random.Generator) -> np.ndarray:
    """Draw runs, in ascending order, that have as many cells together, or all there are."""
    order = rng.permutation(len(runs))
    n_before = np.cumsum(np.diff(runs[order], axis=1)) - np.diff(runs[order], axis=1)[:, 0]
    return runs[np.sort(order[n_before < n_cells])]
