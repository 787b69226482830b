"""Walk a matrix in blocks small enough that no temporary grows with the number of cells."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

BLOCK_ELEMENTS = 2**22
"""Elements of a block, zeros included: 32 MB if it is dense and float64."""


def blocks(x: Any) -> Iterator[tuple[int, int, Any]]:
    """Cut a matrix along the axis it is stored by: genes for CSC, cells for everything else.

    Parameters
    ----------
    x
        Cells × genes: a NumPy array, a CSR or CSC matrix, or their on-disk counterparts (a 2-dimensional
        ``h5py.Dataset``, or what ``adata.X`` is for a backed AnnData).

    Yields
    ------
    The position of the block's first cell, that of its first gene, and the block.
    """
    n_cells, n_genes = x.shape
    if getattr(x, "format", None) == "csc":
        step = max(1, BLOCK_ELEMENTS // max(1, n_cells))
        for gene in range(0, n_genes, step):
            yield 0, gene, x[:, gene : gene + step]
    else:
        step = max(1, BLOCK_ELEMENTS // max(1, n_genes))
        for cell in range(0, n_cells, step):
            yield cell, 0, x[cell : cell + step]


def as_dense(block: Any) -> np.ndarray:
    """Give a block as a NumPy array, whatever its format."""
    return block.toarray() if sparse.issparse(block) else np.asarray(block)
