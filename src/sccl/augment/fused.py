"""The fused CPU pass: each row is scattered into the view once, and a short program runs on it while it is in cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sccl.augment.row import Row, address_of, call
from sccl.augment.scatter import scatter_row
from sccl.storage.compiled import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.augment.base import Operation
    from sccl.augment.plan import Step


def run_fused(csr: csr_matrix, rows: np.ndarray | None, program: list[tuple[Operation, Step]], out: np.ndarray) -> None:
    """Run a program on every row of a view.

    Parameters
    ----------
    csr
        Float32 matrix that holds the cells and the rows they borrow.
    rows
        Rows of ``csr`` to write to ``out`` first, shape ``(n_cells,)``. None: run on what ``out`` holds.
    program
        The instructions with what was drawn for them.
    out
        The view, float32, cells × genes; overwritten.
    """
    _run(
        *as_compiled(csr),
        np.empty(0, np.int64) if rows is None else rows,
        *pack(program, out.shape[0]),
        out,
    )


def as_compiled(csr: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, genes and where rows begin as compiled code reads them; what that takes is done once for each matrix."""
    arrays = (csr.data, csr.indices, csr.indptr)
    known, converted = vars(csr).get("_as_compiled", (None, None))
    if known is None or any(one is not other for one, other in zip(known, arrays, strict=True)):
        types = (np.float32, np.int32, np.int64)
        converted = tuple(np.ascontiguousarray(one, dtype) for one, dtype in zip(arrays, types, strict=True))
        csr._as_compiled = (arrays, converted)
    return converted


def pack(program: list[tuple[Operation, Step]], n_cells: int) -> tuple[np.ndarray, ...]:
    """Return a program as compiled code reads it: functions, parameters, applied, keys and partners, see :func:`run_row`."""
    width = max([1, *(step.partners.shape[0] for _, step in program)])
    partners = np.full((len(program), n_cells, width), -1, np.int64)
    for i, (_, step) in enumerate(program):
        partners[i, :, : step.partners.shape[0]] = step.partners.T
    parameters = np.zeros((len(program), max([1, *(len(operation.parameters) for operation, _ in program)])))
    for i, (operation, _) in enumerate(program):
        parameters[i, : len(operation.parameters)] = operation.parameters
    return (
        np.array([address_of(operation.function) for operation, _ in program], np.int64),
        parameters,
        np.array([step.applied for _, step in program], bool).reshape(len(program), n_cells),
        np.array([step.keys for _, step in program], np.uint64).reshape(len(program), n_cells),
        partners,
    )


@compiled()
def run_row(x, i, nonzero, functions, parameters, applied, keys, partners, data, indices, indptr, bits, order, other):
    """Run a program on one row in place.

    ``nonzero`` are the genes that may differ from zero, or empty: any may. Returns whether that is still so.
    """
    none, is_known = indices[:0], True
    for step in range(functions.size):
        if not applied[step, i]:
            continue
        known = nonzero if is_known else none
        row = Row(keys[step, i], parameters[step], known, partners[step, i], data, indices, indptr, bits, order, other)
        if not call(functions[step], x, row):
            is_known = False
    return is_known


@compiled()
def _run(data, indices, indptr, rows, functions, parameters, applied, keys, partners, out):
    n_genes = out.shape[1]
    bits = np.empty((n_genes + 1) // 2, np.uint64)
    order = np.arange(n_genes, dtype=np.int32)
    other = np.empty(n_genes, np.float32)
    for i in range(out.shape[0]):
        nonzero = indices[:0]
        if rows.size:
            scatter_row(out[i], rows[i], data, indices, indptr)
            nonzero = indices[indptr[rows[i]] : indptr[rows[i] + 1]]
        run_row(
            out[i],
            i,
            nonzero,
            functions,
            parameters,
            applied,
            keys,
            partners,
            data,
            indices,
            indptr,
            bits,
            order,
            other,
        )
