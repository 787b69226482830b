"""Was it worth training? What came out, looked at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from sccl.train.diagnostics import effective_rank

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Below this many dimensions in use an embedding cannot tell even a handful of cell types apart.
COLLAPSED_RANK = 2.0
# The last layer of every encoder normalises each axis to mean 0 and spread 1, which learning changes little: 1.1 is usual.
LARGEST_SIZE = 10.0
# Fewer cells than this span too few dimensions for their number to mean anything.
MIN_CELLS_TO_JUDGE = 16
# More cells say the same.
MAX_CELLS_TO_JUDGE = 2000


class TrainingWarning(UserWarning):
    """Training went through, but its result is not what was hoped for."""


def sample_cells(cells: np.ndarray) -> np.ndarray:
    """Return as many of the cells as are judged, in order; the same each time."""
    if cells.size > MAX_CELLS_TO_JUDGE:
        cells = np.random.default_rng(0).choice(cells, MAX_CELLS_TO_JUDGE, replace=False)
    return np.sort(cells)


def judge_embedding(h_nd: np.ndarray, *, lr: float) -> None:
    """Say so if an embedding is useless.

    Parameters
    ----------
    h_nd
        Cells as the encoder represents them when nothing is masked, cells × dimensions.
    lr
        The learning rate they were learned with.

    Raises
    ------
    FloatingPointError
        If values are not finite.

    Warns
    -----
    TrainingWarning
        If the cells use fewer than two dimensions, or if its coordinates are so large that training must have diverged.
    """
    if not np.isfinite(h_nd).all():
        raise FloatingPointError(f"The embedding holds values that are not finite: try a lower `lr`, found {lr:g}.")
    if len(h_nd) < MIN_CELLS_TO_JUDGE:
        return
    size, rank = float(np.sqrt(np.square(h_nd, dtype=np.float64).mean())), float(effective_rank(torch.from_numpy(h_nd)))
    if size > LARGEST_SIZE:
        warnings.warn(
            f"Training has diverged: the embedding's coordinates are of size {size:.3g}, where about 1 is usual. Try a lower "
            f"`lr`, found {lr:g}.",
            TrainingWarning,
            stacklevel=4,
        )
    elif rank < COLLAPSED_RANK:
        warnings.warn(
            f"The embedding has collapsed: its effective rank is {rank:.2f} of {h_nd.shape[1]}, so that it cannot tell cell "
            "types apart. Try weaker augmentations, a lower `lr` or another architecture.",
            TrainingWarning,
            stacklevel=4,
        )


def judge_pairs(n_pairs: int, batch: np.ndarray) -> None:
    """Say so if no cell was shown beside one of another batch, though the augmentation was to do so.

    Parameters
    ----------
    n_pairs
        Number of pairs of cells of two batches that the augmentation found to be alike.
    batch
        Codes of the experimental batches, one for each cell.

    Warns
    -----
    TrainingWarning
        If there are no pairs: whether there is but one batch, and what follows.
    """
    if n_pairs or batch.size < MIN_CELLS_TO_JUDGE:
        return
    n_batches = np.unique(batch).size
    if n_batches == 1:
        warnings.warn(
            "The augmentation takes positives from other batches, but there is one batch only: the model learned from each "
            "cell alone. Name the batches, `setup_anndata(adata, batch_key=...)`; if it is one indeed, "
            '`train(augmentation="mask", sampling="uniform")` says so.',
            TrainingWarning,
            stacklevel=4,
        )
    else:
        warnings.warn(
            f"The augmentation takes positives from other batches, but found none: no cells of two of the {n_batches} batches "
            "are mutual nearest neighbours of one kind, so that nothing was learned of what the batches have in common. "
            "Check that they measure the same genes, under the same names, and are normalised alike; if they share no kind "
            'of cells, there is nothing to integrate, and `train(augmentation="mask", sampling="uniform")` is enough.',
            TrainingWarning,
            stacklevel=4,
        )


def judge_genes(csr: csr_matrix, batch: np.ndarray, names: list[str]) -> None:
    """Say so if a batch expresses no gene that another does.

    Parameters
    ----------
    csr
        Expression of some cells.
    batch
        Codes of their experimental batches.
    names
        What the batches are called, by their codes.

    Warns
    -----
    TrainingWarning
        Naming the batches.
    """
    codes = [code for code, n_cells in enumerate(np.bincount(batch)) if n_cells >= MIN_CELLS_TO_JUDGE]
    expressed_bg = np.array([np.asarray(csr[batch == code].sum(axis=0)).ravel() > 0 for code in codes])
    if len(codes) < 2:
        return
    alone = [
        names[code]
        for i, code in enumerate(codes)
        if expressed_bg[i].any() and not (expressed_bg[i] & np.delete(expressed_bg, i, axis=0).any(axis=0)).any()
    ]
    if alone:
        warnings.warn(
            f"No gene that batch {', '.join(map(repr, alone))} expresses is expressed in another batch: they cannot be "
            "compared. Are the genes named in two ways (symbols and identifiers, upper and lower case)? Name them alike before "
            "the batches are joined.",
            TrainingWarning,
            stacklevel=4,
        )
