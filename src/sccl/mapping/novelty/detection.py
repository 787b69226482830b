"""The steps of novelty detection, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData
from scipy import sparse

from sccl import graph
from sccl.mapping.novelty.classification_em import classification_em
from sccl.mapping.novelty.hysteresis import hysteresis_threshold
from sccl.mapping.novelty.mahalanobis import is_far
from sccl.mapping.novelty.reciprocity import reciprocity, usual_scores
from sccl.mapping.novelty.sides import FEWEST_CELLS

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# So many cells show what there is in a reference, and in a query.
N_CELLS = 10_000
# A cell that is not judged is like so many that are: fewer than classification EM takes for a group.
N_LIKE = 5
# But of each label so many are kept, if there are.
FEWEST_OF_LABEL = 100


def sample_reference(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw cells that show what there is: row numbers in ascending order, all of them if there are few.

    Parameters
    ----------
    codes
        Label of each cell as a number ``0..n_labels-1``. The frequent ones keep their proportions, rare ones stay.
    rng
        Where the randomness comes from.
    """
    if codes.size <= N_CELLS:
        return np.arange(codes.size)
    shuffled = rng.permutation(codes.size)
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.arange(codes.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    most = np.maximum(np.ceil(sizes * (N_CELLS / codes.size)), FEWEST_OF_LABEL)
    return np.sort(order[rank < most[codes[order]]])


def is_unknown(
    z_ref: np.ndarray,
    z_query: np.ndarray,
    x_ref: csr_matrix,
    x_query: csr_matrix,
    codes: np.ndarray,
    batch: np.ndarray,
    winners: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Say which query cells are far from the reference in the embedding, or not chosen back by it in expression.

    How far is far and how rarely is too rarely is learned from the reference: from its batches, each left out in turn.
    Among unknown cells the same holds for less rarely, see :func:`~sccl.mapping.novelty.hysteresis.hysteresis_threshold`. Then the query's cells are
    compared with each other, see :func:`~sccl.mapping.novelty.classification_em.classification_em`. Of a large query 10 000 cells are
    judged; the others are what most of those are that they are most alike.

    Parameters
    ----------
    z_ref, z_query
        Embeddings, cells × dimensions.
    x_ref, x_query
        Log-expression, cells × the genes that both have.
    codes, batch
        Label and batch of each reference cell as numbers.
    winners
        Label of each query cell, if it is known, as a number.
    rng
        Decides which of more than 10 000 query cells are judged.

    Returns
    -------
    bool, ``(n_query,)``.
    """
    judged = np.sort(rng.permutation(len(z_query))[:N_CELLS])
    x_judged = x_query[judged]
    verdict = is_far(z_ref, z_query[judged], codes, batch)
    if min(codes.size, judged.size) >= FEWEST_CELLS and x_ref.shape[1] > 1:
        both = AnnData(sparse.vstack([x_ref, x_judged], format="csr"))
        p_ref, p_query = np.split(graph.representation(both), [codes.size])
        scores = reciprocity(p_ref, p_query, codes)
        strict, loose = usual_scores(p_ref, codes, batch)
        sure, likely = ((scores < threshold).any(axis=1) for threshold in (strict, loose))
        p_cells = graph.representation(AnnData(x_judged))  # among themselves, where no batch effect is
        verdict = classification_em(hysteresis_threshold(verdict | sure, likely, p_cells), winners[judged], p_cells)
    return verdict if judged.size == len(z_query) else _like_the_judged(verdict, judged, x_query)


def _like_the_judged(verdict: np.ndarray, judged: np.ndarray, x_query: csr_matrix) -> np.ndarray:
    """Say what the verdict on most of the judged cells is that are nearest to each cell, among themselves."""
    unknown = np.zeros(x_query.shape[0], dtype=bool)
    unknown[judged] = verdict
    if verdict.any() and x_query.shape[1] > 1:
        others = np.setdiff1d(np.arange(unknown.size), judged, assume_unique=True)
        p_cells = graph.principal_components(x_query)
        nearest, _ = graph.knn(p_cells[judged], k=N_LIKE, query=p_cells[others], metric="euclidean")
        unknown[others] = verdict[nearest].mean(axis=1) > 0.5
    return unknown
