"""Does the reference choose a cell back, and how far is it; and how is it usually?"""

from __future__ import annotations

import numpy as np

from sccl import graph
from sccl.graph.exact import directions
from sccl.mapping.novelty.chosen_back import chosen_back
from sccl.mapping.novelty.displacement import displacement
from sccl.mapping.novelty.sides import FEWEST_CELLS
from sccl.mapping.whitening import within_class_whitening

# Few are chosen: in this space batches differ less, and rare labels are to be found.
SHARE = 0.01
# Of the reference's own cells these shares are lower than the strict and the loose threshold of each of the two scores.
STRICT = (0.05, 0.02)
LOOSE = (0.25, 0.05)
# However alike the reference's batches are, a new one may be less so: the strict thresholds are not higher than this.
STRICT_AT_MOST = 1 / 3
# For a reference of one batch, where nothing is calibrated.
UNCALIBRATED = 1 / 4


def usual_scores(p_ref: np.ndarray, codes: np.ndarray, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of :func:`reciprocity` that few, and not many, of the reference's own cells fall below.

    Each batch in turn is the query, and the others are its reference; but a strict threshold is a third at most. Without
    other batches all are a quarter.

    Parameters
    ----------
    p_ref
        Principal components of the reference, cells × components.
    codes, batch
        Label and batch of each cell as numbers.

    Returns
    -------
    The strict and the loose thresholds, each float64 ``(2,)``.
    """
    scores = [np.empty((0, 2))]
    for one in np.unique(batch):
        others = batch != one
        shared = ~others & np.isin(codes, codes[others])
        if min(shared.sum(), others.sum()) >= FEWEST_CELLS:
            scores.append(reciprocity(p_ref[others], p_ref[shared], codes[others]))
    known = np.concatenate(scores)
    if not known.size:
        return np.full(2, UNCALIBRATED), np.full(2, UNCALIBRATED)
    strict, loose = (
        np.array([np.quantile(score, share) for score, share in zip(known.T, shares, strict=True)])
        for shares in (STRICT, LOOSE)
    )
    return np.minimum(strict, STRICT_AT_MOST), loose


def reciprocity(p_ref: np.ndarray, p_query: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Score how often query cells are chosen by the reference cells that they choose, and that beside their distance.

    On expression, for an encoder may not see by what a kind that it never met differs: on principal components, centred
    for reference and query, and on the two's shared directions (canonical correlation), both scaled so that cells of one
    label vary alike in all directions (see :func:`sccl.mapping.novelty.chosen_back.chosen_back`). Where the reference has a related kind, that
    one chooses a cell for want of a better; so in the second score the first is divided by the square of the distance,
    where that is more than usual, in the scaled components (see :func:`sccl.mapping.novelty.displacement.displacement`).

    Parameters
    ----------
    p_ref, p_query
        Principal components of both together, cells × components.
    codes
        Label of each reference cell as a number.

    Returns
    -------
    float64 ≥ 0, ``(n_query, 2)``; around one for cells of known kinds, near zero for others.

    References
    ----------
    Butler et al., *Integrating single-cell transcriptomic data across different conditions, technologies, and species*,
    Nature Biotechnology 2018 (shared directions).
    """
    _, codes = np.unique(codes, return_inverse=True)
    alone = _scaled(*graph.centered(p_ref, p_query), codes)
    shared = _scaled(*graph.cca(p_ref, p_query, n_comps=p_ref.shape[1]), codes)
    both = (np.hstack([directions(part) for part in parts]) for parts in zip(alone, shared, strict=True))
    everybody = max(len(p_ref), len(p_query))  # the caller has drawn from what is larger, so that rare labels are there
    back = chosen_back(*both, share=SHARE, n_landmarks=everybody)
    far = displacement(*alone, metric="euclidean")
    return np.column_stack([back, back / np.maximum(far, 1) ** 2])


def _scaled(ref: np.ndarray, query: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    white = within_class_whitening(ref, codes)
    return ref @ white, query @ white
