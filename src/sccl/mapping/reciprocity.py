"""Does the reference choose a cell back? What decides is the choice among the query's cells, not a distance."""

from __future__ import annotations

import numpy as np

from sccl import graph
from sccl.graph.exact import directions
from sccl.mapping.neighbors import mean_over
from sccl.mapping.whiten import whitening

# Neighbours are so many per cent of the cells, so that the number of cells does not matter, but at least so many.
NEIGHBORS = 0.01
FEWEST_NEIGHBORS = 10
# A cell and so many of its nearest, at least, are judged together.
FEWEST_SMOOTHED = 15
# With fewer cells there are no others that the reference could choose in their place.
FEWEST_CELLS = 30
# Of the reference's own cells this share scores lower.
USUALLY_LOWER = 0.08
# For a reference of one batch. Those of several gave .32 to .50 on real data; one that cannot be calibrated is to be careful.
UNCALIBRATED = 0.35


def usual_score(p_ref: np.ndarray, codes: np.ndarray, batch: np.ndarray) -> float:
    """Return the score of :func:`chosen_back` that few of the reference's own cells fall below.

    Each batch in turn is the query, and the others are its reference. Without other batches it is 0.35.

    Parameters
    ----------
    p_ref
        Principal components of the reference, cells × components.
    codes, batch
        Label and batch of each cell as numbers.
    """
    scores = [np.empty(0)]
    for one in np.unique(batch):
        others = batch != one
        shared = ~others & np.isin(codes, codes[others])
        if min(shared.sum(), others.sum()) >= FEWEST_CELLS:
            scores.append(chosen_back(p_ref[others], p_ref[shared], codes[others]))
    known = np.concatenate(scores)
    return float(np.quantile(known, USUALLY_LOWER)) if known.size else UNCALIBRATED


def chosen_back(p_ref: np.ndarray, p_query: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Score how often query cells are chosen by the reference cells that they choose.

    A query cell chooses its nearest reference cells, and those choose their nearest query cells: its rivals, among which it
    is if its kind is in the reference. A cell of another kind loses to the cells that the reference knows, however far
    a batch effect has moved them all. The score is how often a cell and its nearest ones are chosen, relative to their
    rivals; so it does not matter how frequent a kind is in either.

    All this happens on expression, for an encoder may not see by what a kind that it never met differs: on principal
    components, centred for reference and query, and on the two's shared directions (canonical correlation), both scaled
    so that cells of one label vary alike in all directions.

    Parameters
    ----------
    p_ref, p_query
        Principal components of both together, cells × components; at least 30 cells each.
    codes
        Label of each reference cell as a number.

    Returns
    -------
    float64 ≥ 0, ``(n_query,)``; around one for cells of known kinds, near zero for others.

    References
    ----------
    Haghverdi et al., *Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest neighbors*,
    Nature Biotechnology 2018 (that only cells of shared kinds choose each other); Butler et al., *Integrating single-cell
    transcriptomic data across different conditions, technologies, and species*, Nature Biotechnology 2018 (shared
    directions).
    """
    n_ref, n_query = len(p_ref), len(p_query)
    space_ref, space_query = _common_space(p_ref, p_query, codes)
    chosen_ref, _ = graph.knn(space_ref, k=_share(n_ref, FEWEST_NEIGHBORS), query=space_query)
    chosen_query, _ = graph.knn(space_query, k=_share(n_query, FEWEST_NEIGHBORS), query=space_ref)
    near, _ = graph.knn(space_query, k=_share(n_query, FEWEST_SMOOTHED) + 1, include_self=True)
    counts = np.bincount(chosen_query.ravel(), minlength=n_query).astype(float)
    of_rivals = mean_over(mean_over(mean_over(counts, chosen_query), chosen_ref), near)
    return mean_over(counts, near) / of_rivals


def _share(n_cells: int, fewest: int) -> int:
    return max(fewest, round(NEIGHBORS * n_cells))


def _common_space(p_ref: np.ndarray, p_query: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, codes = np.unique(codes, return_inverse=True)
    parts_ref, parts_query = [], []
    for ref, query in (graph.centered(p_ref, p_query), graph.cca(p_ref, p_query, n_comps=p_ref.shape[1])):
        white = whitening(ref, codes)
        parts_ref.append(directions(ref @ white))
        parts_query.append(directions(query @ white))
    return np.hstack(parts_ref), np.hstack(parts_query)
