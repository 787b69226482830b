"""Does the reference choose a cell back? What decides is the choice among the query's cells, not a distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData
from scipy import sparse

from sccl import graph
from sccl.augment.csr import as_csr
from sccl.graph.exact import directions
from sccl.mapping.neighbors import mean_over
from sccl.mapping.whiten import whitening

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

N_NEIGHBORS = 10
# A cell and so many of its nearest are judged together.
N_SMOOTHED = 15
# With fewer cells there are no others that the reference could choose in their place.
FEWEST_CELLS = 30
# Chosen less than this often, compared with its rivals, a cell is not of the reference's kinds. See `transfer_labels` for
# what was measured.
CHOSEN_BACK = 0.4


def is_not_chosen(x_ref: csr_matrix, x_query: csr_matrix, codes: np.ndarray) -> np.ndarray:
    """Say which query cells are hardly ever chosen by the reference cells that they choose.

    A query cell chooses its nearest reference cells, and those choose their nearest query cells: its rivals, among which it
    is if its kind is in the reference. A cell of another kind loses to the cells that the reference knows, however far
    a batch effect has moved them all. Counted is how often a cell and its nearest ones are chosen, relative to their
    rivals; so it does not matter how frequent a kind is in either.

    All this happens on expression, for an encoder may not see by what a kind that it never met differs: on principal
    components of both, each centred, and on their shared directions (canonical correlation), both scaled so that cells of
    one label vary alike in all directions.

    Parameters
    ----------
    x_ref, x_query
        Log-expression, cells × the genes that both have.
    codes
        Label of each reference cell as a number ``0..n_labels-1``.

    Returns
    -------
    bool, ``(n_query,)``; all False for fewer than 30 cells, or if nothing varies.

    References
    ----------
    Haghverdi et al., *Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest neighbors*,
    Nature Biotechnology 2018 (that only cells of shared kinds choose each other); Butler et al., *Integrating single-cell
    transcriptomic data across different conditions, technologies, and species*, Nature Biotechnology 2018 (shared
    directions).
    """
    if min(len(codes), x_query.shape[0]) < FEWEST_CELLS or x_ref.shape[1] < 2:
        return np.zeros(x_query.shape[0], dtype=bool)
    space_ref, space_query = _common_space(x_ref, x_query, codes)
    chosen_ref, _ = graph.knn(space_ref, k=N_NEIGHBORS, query=space_query)
    chosen_query, _ = graph.knn(space_query, k=N_NEIGHBORS, query=space_ref)
    near, _ = graph.knn(space_query, k=N_SMOOTHED + 1, include_self=True)
    counts = np.bincount(chosen_query.ravel(), minlength=len(space_query)).astype(float)
    of_rivals = mean_over(mean_over(counts, chosen_query), chosen_ref)
    return mean_over(counts, near) < CHOSEN_BACK * mean_over(of_rivals, near)


def _common_space(x_ref: csr_matrix, x_query: csr_matrix, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n_ref = x_ref.shape[0]
    stacked = sparse.vstack([as_csr(x_ref), as_csr(x_query)], format="csr")
    components = graph.representation(AnnData(stacked))
    first, second = components[:n_ref], components[n_ref:]
    parts_ref, parts_query = [], []
    for ref, query in (graph.centered(first, second), graph.cca(first, second, n_comps=components.shape[1])):
        white = whitening(ref, codes)
        parts_ref.append(directions(ref @ white))
        parts_query.append(directions(query @ white))
    return np.hstack(parts_ref), np.hstack(parts_query)
