"""Counts to log1p of counts per `target_sum`."""

from typing import Any

import numpy as np
from scipy import sparse

from sccl.inputs.blocks import blocks


def log_normalize(counts: Any, *, target_sum: float) -> tuple[Any, np.ndarray]:
    """Scale every cell to the same total and take the logarithm, ``log1p(counts / total * target_sum)``.

    Parameters
    ----------
    counts
        Counts, cells × genes: a NumPy array or a canonical ``csr_matrix``. Not changed.
    target_sum
        The total every cell is scaled to, > 0. Cells without counts stay zero.

    Returns
    -------
    The float32 logarithm in the format of `counts`, whose index arrays it shares, and the totals, float64 ``(n_cells,)``.
    """
    # One output, written block by block in float64: rounded once, and no second full-size temporary.
    is_sparse = sparse.issparse(counts)
    out = np.empty(counts.nnz if is_sparse else counts.shape, dtype=np.float32)
    totals = np.empty(counts.shape[0])
    for start, _, block in blocks(counts):
        stop = start + block.shape[0]
        if is_sparse:
            values = block.data.astype(np.float64)
            cell = np.repeat(np.arange(stop - start), np.diff(block.indptr))
            total = np.bincount(cell, weights=values, minlength=stop - start)
            values *= _scale(total, target_sum)[cell]
            out[counts.indptr[start] : counts.indptr[stop]] = np.log1p(values, out=values)
        else:
            values = block.astype(np.float64)
            total = values.sum(axis=1)
            values *= _scale(total, target_sum)[:, None]
            out[start:stop] = np.log1p(values, out=values)
        totals[start:stop] = total
    if is_sparse:
        out = with_structure_of(counts, out)
    return out, totals


def with_structure_of(x: sparse.csr_matrix, data: np.ndarray) -> sparse.csr_matrix:
    """Give other values to the entries of a matrix; the arrays that say where these are stay one copy."""
    return sparse.csr_matrix((data, x.indices, x.indptr), shape=x.shape)


def _scale(total: np.ndarray, target_sum: float) -> np.ndarray:
    return np.divide(target_sum, total, out=np.zeros(total.shape), where=total > 0)
