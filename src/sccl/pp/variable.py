"""The genes that vary more than others of their expression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sccl.inputs.blocks import as_dense, blocks

MIN_CELLS = 10
"""Batches with fewer cells have no say: a variance over a handful of cells ranks noise."""


def highly_variable(logged: Any, *, n_top_genes: int, batches: np.ndarray | None = None) -> np.ndarray:
    """Choose the genes with the highest normalised dispersion, per batch if there are batches.

    The choice is that of ``scanpy.pp.highly_variable_genes(flavor="seurat", n_top_genes=..., batch_key=...)``: in every
    batch the genes are scored and the best `n_top_genes` get that batch's vote; genes are kept by votes, then by mean
    score. It is written out here for two reasons: it reads the matrix once in blocks where scanpy copies it several
    times, and it is defined where scanpy stops with an error or a warning. Batches with fewer than 10 cells have no
    vote; if all are that small, all cells are ranked together. Genes that cannot be scored (a gene that does not vary,
    or any gene of a single cell) come last, in order of mean expression.

    Parameters
    ----------
    logged
        log1p of normalised counts, cells × genes: a NumPy array or a ``csr_matrix``.
    n_top_genes
        How many genes to choose, at least 1; exactly so many are, fewer only if there are fewer.
    batches
        Batch of each cell as an integer from 0, ``(n_cells,)``.

    Returns
    -------
    Mask of the chosen genes, bool ``(n_genes,)``.

    References
    ----------
    Satija et al., Spatial reconstruction of single-cell gene expression data, Nature Biotechnology 2015.
    """
    codes = voting_batches(batches)
    moments = Moments(logged.shape[1], codes)
    for start, _, block in blocks(logged):
        moments.add(block, slice(start, start + block.shape[0]))
    return choose_genes(moments, n_top_genes)


def choose_genes(moments: Moments, n_top_genes: int) -> np.ndarray:
    """Choose genes by what was summed up, see :func:`highly_variable`."""
    mean_bg, variance_bg, n_b = moments.mean_bg, moments.variance_bg, moments.n_b
    votes = np.zeros(mean_bg.shape[1], dtype=int)
    scores_bg = np.zeros_like(mean_bg)
    for mean, variance, score in zip(mean_bg, variance_bg, scores_bg, strict=True):
        # As in scanpy, genes without expression stretch the bins only where there are no batches.
        scored = np.ones(mean.size, dtype=bool) if moments.codes is None else mean > 0
        if not scored.any():
            continue
        score[scored] = normalized_dispersion(mean[scored], variance[scored])
        ranked = np.sort(score[scored & ~np.isnan(score)])
        if ranked.size:
            votes += scored & (score >= ranked[-min(n_top_genes, ranked.size)])

    score = pd.DataFrame(scores_bg).mean().fillna(-np.inf).to_numpy()  # pandas skips NaN and does not warn of all-NaN
    order = np.lexsort((-(n_b @ mean_bg), -score, -votes))
    chosen = np.zeros(mean_bg.shape[1], dtype=bool)
    chosen[order[:n_top_genes]] = True
    return chosen


def normalized_dispersion(mean: np.ndarray, variance: np.ndarray, *, n_bins: int = 20) -> np.ndarray:
    """Z-score of log(variance / mean) among genes of similar mean; NaN for genes that do not vary.

    `mean` and `variance`, ``(n_genes,)``, are those of normalised counts, before the logarithm. A gene alone in its
    bin scores 1.
    """
    dispersion = np.full(mean.shape, np.nan)
    varies = variance > 1e-10 * mean**2  # what is below is rounding
    dispersion[varies] = np.log(variance[varies] / mean[varies])
    by_bin = pd.Series(dispersion).groupby(pd.cut(np.log1p(mean), bins=n_bins, labels=False))
    centre, spread = by_bin.transform("mean").to_numpy(), by_bin.transform("std").to_numpy()
    alone = np.isnan(spread)
    spread, centre = np.where(alone, centre, spread), np.where(alone, 0, centre)
    out = np.full(mean.shape, np.nan)
    return np.divide(dispersion - centre, spread, out=out, where=spread != 0)


def voting_batches(batches: np.ndarray | None) -> np.ndarray | None:
    """Renumber the batches that are large enough, -1 for cells of the others; None if no batch has a vote."""
    if batches is None:
        return None
    large = np.bincount(batches, minlength=1) >= MIN_CELLS
    if not large.any():
        return None
    return np.where(large, np.cumsum(large) - 1, -1)[batches]


class Moments:
    """Mean and variance of normalised counts in each batch, from one block of cells after the other.

    Parameters
    ----------
    n_genes
        Number of genes.
    codes
        What :func:`voting_batches` gave for all cells: None puts them all together.

    Attributes
    ----------
    n_b
        Cells of each batch, ``(n_batches,)``.
    """

    def __init__(self, n_genes: int, codes: np.ndarray | None) -> None:
        self.codes = codes
        self.n_b = np.zeros(1 if codes is None else codes.max() + 1)
        self._sum_bg = np.zeros((self.n_b.size, n_genes))
        self._square_bg = np.zeros_like(self._sum_bg)

    def add(self, logged: Any, cells: slice | np.ndarray) -> None:
        """Add cells × genes, log1p of normalised counts; ``cells`` says which of all they are."""
        code = np.zeros(logged.shape[0], dtype=int) if self.codes is None else self.codes[cells]
        cell = np.flatnonzero(code >= 0)
        member_bn = sparse.csr_matrix((np.ones(cell.size), (code[cell], cell)), shape=(self.n_b.size, code.size))
        x_ng = (logged.expm1() if sparse.issparse(logged) else np.expm1(logged)).astype(np.float64)
        squared_ng = x_ng.power(2) if sparse.issparse(x_ng) else x_ng**2
        self._sum_bg += as_dense(member_bn @ x_ng)
        self._square_bg += as_dense(member_bn @ squared_ng)
        self.n_b += np.bincount(code[cell], minlength=self.n_b.size)

    @property
    def mean_bg(self) -> np.ndarray:
        """Means, ``(n_batches, n_genes)``."""
        return self._sum_bg / self.n_b[:, None]

    @property
    def variance_bg(self) -> np.ndarray:
        """Variances; 0 of a single cell, so that none of its genes can be scored."""
        n_b1 = self.n_b[:, None]
        return (self._square_bg / n_b1 - self.mean_bg**2) * (n_b1 / np.maximum(n_b1 - 1, 1))
