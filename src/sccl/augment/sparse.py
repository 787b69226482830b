"""Views of which only the values other than zero are kept: the same pass over the rows, and then each is packed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sccl.augment.fused import as_compiled, pack, run_row
from sccl.augment.scatter import scatter_row
from sccl.storage.compiled import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.augment.base import Operation
    from sccl.augment.plan import Step


class SparseRows(NamedTuple):
    """Rows of expression, of which only some values are kept; the others are zero.

    Attributes
    ----------
    values, genes
        The values, float32, and the genes that they are of, int32.
    starts, stops
        Where in these each row begins and ends, int64, shape ``(n_rows,)``; what lies between rows means nothing.
    n_genes
        Width of the rows.
    """

    values: np.ndarray
    genes: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    n_genes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows × genes."""
        return self.starts.size, self.n_genes

    def to_dense(self) -> np.ndarray:
        """Return the rows with their zeros, float32."""
        dense = np.zeros(self.shape, np.float32)
        for row, start, stop in zip(dense, self.starts, self.stops, strict=True):
            row[self.genes[start:stop]] = self.values[start:stop]
        return dense


def rows_of(csr: csr_matrix, rows: np.ndarray) -> SparseRows:
    """Return rows of a matrix, which they share memory with."""
    starts, stops = (csr.indptr[ends].astype(np.int64) for ends in (rows, rows + 1))
    return SparseRows(csr.data, csr.indices, starts, stops, csr.shape[1])


def run_sparse(csr: csr_matrix, rows: np.ndarray, programs: list[list[tuple[Operation, Step]]]) -> SparseRows:
    """Run a program per view on every row.

    Parameters
    ----------
    csr
        Float32 matrix that holds the cells and the rows they borrow.
    rows
        Rows of ``csr`` that the cells are, shape ``(n_cells,)``.
    programs
        For each view the instructions with what was drawn for them.

    Returns
    -------
    The first view's rows, then the second's, and so on.

    Raises
    ------
    ValueError
        If a view has more values than the cell and the rows that it borrows have together.
    """
    n_genes = csr.shape[1]
    most = np.concatenate([_most_values(csr.indptr, rows, [step for _, step in program]) for program in programs])
    np.minimum(most, n_genes, out=most)
    stops = np.cumsum(most)
    starts = stops - most
    values, genes = np.empty(most.sum(), np.float32), np.empty(most.sum(), np.int32)
    matrix = as_compiled(csr)
    for i, program in enumerate(programs):
        of_view = slice(i * rows.size, (i + 1) * rows.size)
        packed = pack(program, rows.size)
        if not _run_sparse(*matrix, rows, *packed, n_genes, starts[of_view], stops[of_view], values, genes):
            raise ValueError(
                f"An augmentation of {[operation.function.__name__ for operation, _ in program]} declares `is_sparse`, but makes "
                "values where neither the cell nor the rows that it borrows have any."
            )
    return SparseRows(values, genes, starts, stops, n_genes)


def _most_values(indptr: np.ndarray, rows: np.ndarray, steps: list[Step]) -> np.ndarray:
    """How many values each row can have: its own and those of all rows that it borrows."""
    most = (indptr[rows + 1] - indptr[rows]).astype(np.int64)
    for step in steps:
        for lent in step.partners:
            most += np.where(lent >= 0, indptr[lent + 1] - indptr[lent], 0)
    return most


@compiled()
def _run_sparse(
    data, indices, indptr, rows, functions, parameters, applied, keys, partners, n_genes, starts, stops, values, genes
):
    """Write each row's values from its start on, and where they stop; False if there are too many."""
    x = np.empty(n_genes, np.float32)
    bits = np.empty((n_genes + 1) // 2, np.uint64)
    order = np.arange(n_genes, dtype=np.int32)
    other = np.empty(n_genes, np.float32)
    for i in range(rows.size):
        first, last = indptr[rows[i]], indptr[rows[i] + 1]
        at, limit = starts[i], stops[i]
        if not applied[:, i].any():
            for k in range(first, last):
                # written in any case, and kept if it is no zero: which the processor need not guess
                values[at], genes[at] = data[k], indices[k]
                at += data[k] != 0
            stops[i] = at
            continue
        scatter_row(x, rows[i], data, indices, indptr)
        nonzero = indices[first:last]
        is_known = run_row(
            x, i, nonzero, functions, parameters, applied, keys, partners, data, indices, indptr, bits, order, other
        )
        if is_known:
            for gene in nonzero:
                values[at], genes[at] = x[gene], gene
                at += x[gene] != 0
        else:
            for gene in range(n_genes):
                if x[gene] != 0:
                    if at == limit:
                        return False
                    values[at], genes[at] = x[gene], gene
                    at += 1
        stops[i] = at
    return True
