"""kBET of each cell type, the same number every time.

The definition is that of scib-metrics. Its own function looks for neighbours with an approximate search and for
eigenvectors from a start drawn anew at each call, and compiles for half a minute in every process, and again for each
size of a cell type. Here the search is exact, the start is fixed, and nothing is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sccl.benchmark.scores.connectivities import connectivities
from sccl.benchmark.scores.neighbors import exact_neighbors

if TYPE_CHECKING:
    from scib_metrics.nearest_neighbors import NeighborsResults
    from scipy.sparse import csr_matrix

#: Cells that a type needs to be tested.
MIN_CELLS = 10
#: Level of the test.
_ALPHA = 0.05
#: Components of the diffusion map, at most.
_N_COMPS = 100
#: Up to so many cells all eigenvectors are computed, which needs no start.
_ALL_EIGENVECTORS = 500
#: The smallest and the largest number of neighbours of which the batches are tested.
_K_RANGE = (10, 70)
#: Parts of a type's graph with fewer cells than this many neighbourhoods are left out, ...
_PART_NEIGHBORHOODS = 3
#: ... and the type counts as rejected unless the others hold this share of its cells.
_SHARE_TESTED = 0.75


def kbet_per_label(neighbors: NeighborsResults, batch: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over cell types of the share of cells whose neighbourhood has the type's mix of batches.

    Büttner et al., *Nature Methods* 16 (2019), per type as in Luecken et al., *Nature Methods* 19 (2022).

    Parameters
    ----------
    neighbors
        Nearest cells of each cell, 50 in scib-metrics' default set.
    batch, labels
        Batch and cell type of each cell as whole numbers, shape `(n_cells,)`.

    Returns
    -------
    Between 0 and 1; NaN if no type with ten cells or more spans batches.
    """
    graph = connectivities(neighbors.indices, neighbors.distances)
    rates = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if rows.size >= MIN_CELLS and np.unique(batch[rows]).size > 1:
            part = graph[rows, :][:, rows]
            part.sort_indices()
            rates.append(_acceptance(part, batch[rows]))
    return float(np.mean(rates)) if rates else np.nan


def _acceptance(graph: csr_matrix, batch: np.ndarray) -> float:
    """Return the share of cells of one type that the test accepts; 0 where the type's graph is in pieces."""
    from scipy.sparse.csgraph import connected_components
    from scipy.special import chdtrc

    low, high = _K_RANGE
    k = min(high, max(low, int(np.bincount(batch)[np.unique(batch)].mean() / 4)))
    n_parts, parts = connected_components(graph, connection="strong")
    if n_parts > 1:
        sizes = np.bincount(parts)
        kept = np.flatnonzero(sizes[parts] >= _PART_NEIGHBORHOODS * k)
        if kept.size < _SHARE_TESTED * len(batch):
            return 0.0
        graph, batch = graph[kept, :][:, kept], batch[kept]
        graph.sort_indices()
    _, batch = np.unique(batch, return_inverse=True)
    if len(batch) <= k or batch.max() == 0:
        return 0.0
    found_nk = batch[exact_neighbors(_diffusion_map(graph), k + 1).indices]
    expected_b = np.bincount(batch) * found_nk.shape[1] / len(batch)
    observed_nb = np.stack([(found_nk == code).sum(axis=1) for code in range(len(expected_b))], axis=1)
    statistic_n = ((observed_nb - expected_b) ** 2 / expected_b).sum(axis=1)
    return float((chdtrc(len(expected_b) - 1, statistic_n) >= _ALPHA).mean())


def _diffusion_map(graph: csr_matrix) -> np.ndarray:
    """Return coordinates, shape `(n_cells, n_comps)`, whose distances are those of diffusion on the graph."""
    from scipy.linalg import eigh
    from scipy.sparse import diags
    from scipy.sparse.linalg import eigsh

    per_density = diags(1.0 / np.asarray(graph.sum(axis=0)).ravel())
    kernel = per_density @ graph @ per_density
    per_degree = diags(1.0 / np.sqrt(np.asarray(kernel.sum(axis=0)).ravel()))
    transitions = (per_degree @ kernel @ per_degree).astype(np.float64)
    n_cells = graph.shape[0]
    n_comps = min(_N_COMPS, n_cells - 1)
    if n_cells <= _ALL_EIGENVECTORS:
        values, vectors = eigh(transitions.toarray())
        largest = np.sort(np.argsort(-np.abs(values), kind="stable")[:n_comps])
        values, vectors = values[largest], vectors[:, largest]
    else:
        start = np.random.default_rng(0).uniform(-1, 1, n_cells)
        values, vectors = eigsh(transitions, k=n_comps, which="LM", v0=start)
    values, vectors = values[::-1].astype(np.float32) + np.float32(1e-8), vectors[:, ::-1].astype(np.float32)
    # each step of the diffusion counts: 1 + λ + λ² + ..., all of them at once; the constant first vector stays as it is
    scale = np.where(values == 1, values, values / np.where(values == 1, 1, 1 - values))
    return vectors * scale.astype(np.float32)
