"""Rows of expression, one read per batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from torch.utils.data import Dataset

from sccl.dataloaders.request import CellBatch, Request
from sccl.inputs.csr import as_csr

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy.sparse import csr_matrix


class RowReader:
    """Read rows as float32 CSR, from memory or from a backed AnnData's file.

    Parameters
    ----------
    x
        Expression, cells × genes: dense, sparse, or a backed AnnData's ``X``.
    """

    def __init__(self, x: Any) -> None:
        self.in_memory = isinstance(x, np.ndarray) or issparse(x)
        self._x = as_csr(x) if self.in_memory else x
        self.shape: tuple[int, int] = x.shape

    def read(self, rows: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
        """Return a matrix that holds the rows, and where in it each of them stands."""
        if self.in_memory:
            return self._x, rows
        # Files are read in order, and each row once.
        unique_rows, position = np.unique(rows, return_inverse=True)
        return as_csr(self._x[unique_rows]), position


class CellDataset(Dataset):
    """The cells of a matrix; its items are :class:`~sccl.dataloaders.request.Request` s.

    Parameters
    ----------
    x
        Expression, cells × genes: dense, sparse, or a backed AnnData's ``X``.
    batch
        Codes of the experimental batches, shape ``(n_cells,)``.
    proteins
        Proteins of the same cells, cells × proteins; None: there are none.
    """

    def __init__(self, x: Any, batch: ArrayLike, proteins: csr_matrix | None = None) -> None:
        self._reader = RowReader(x)
        self._batch = np.asarray(batch, dtype=np.int64).ravel()
        self._proteins = None if proteins is None else RowReader(proteins)

    def __len__(self) -> int:
        return self._reader.shape[0]

    def __getitem__(self, request: Request) -> CellBatch:
        """Read a batch and all the rows that it borrows, at once."""
        csr, local = request.read(self._reader)
        proteins = None if self._proteins is None else request.read(self._proteins)
        return CellBatch(local, request.cells, self._batch[request.cells], csr, proteins)
