"""The form in which the fused pass reads expression."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse


def as_csr(x: Any) -> csr_matrix:
    """Return a matrix as float32 CSR without duplicates, sharing memory with ``x`` where it is that already.

    Parameters
    ----------
    x
        Dense array, or any scipy sparse matrix or array, cells × genes.
    """
    if not issparse(x):
        return csr_matrix(np.asarray(x), dtype=np.float32)
    csr = x.tocsr()
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr_matrix((csr.data.astype(np.float32, copy=False), csr.indices, csr.indptr), shape=csr.shape)
