"""The fused CPU pass: each row is scattered into the view once, and a short program runs on it while it is in cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from sccl.augment.crossover import CROSSOVER, crossover_row
from sccl.augment.keys import combine
from sccl.augment.mask import MASK, mask_row
from sccl.augment.noise import NOISE, NORMAL_QUANTILES, noise_row
from sccl.augment.swap import SWAP, swap_row

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.augment.base import Operation
    from sccl.augment.plan import Step

_ANY_GENE = np.empty(0, np.int32)


def run_fused(
    csr: csr_matrix, rows: np.ndarray | None, program: list[tuple[Operation, Step]], out: np.ndarray
) -> None:
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
    n_cells = out.shape[0]
    width = max([1, *(step.partners.shape[0] for _, step in program)])
    partners = np.full((len(program), width, n_cells), -1, np.int64)
    for i, (_, step) in enumerate(program):
        partners[i, : step.partners.shape[0]] = step.partners
    _run(
        csr.data,
        csr.indices,
        csr.indptr,
        np.empty(0, np.int64) if rows is None else rows,
        np.array([operation.code for operation, _ in program], np.int64),
        np.array([operation.strength for operation, _ in program], np.float64),
        np.array([operation.scale for operation, _ in program], np.float64),
        np.array([step.applied for _, step in program], bool).reshape(len(program), n_cells),
        np.array([step.keys for _, step in program], np.uint64).reshape(len(program), n_cells),
        partners,
        NORMAL_QUANTILES,
        out,
    )


@njit(nogil=True, cache=True)
def _run(data, indices, indptr, rows, codes, strengths, scales, applied, keys, partners, quantiles, out):
    n_genes = out.shape[1]
    half_bits = np.empty((n_genes + 3) // 4, np.uint64)
    full_bits = np.empty((n_genes + 1) // 2, np.uint64)
    order = np.arange(n_genes, dtype=np.int32)
    undo = np.empty(n_genes, np.int32)
    for i in range(out.shape[0]):
        x = out[i]
        nonzero = indices[:0]
        if rows.size:
            x[:] = np.float32(0.0)
            start, stop = indptr[rows[i]], indptr[rows[i] + 1]
            for j in range(start, stop):
                x[indices[j]] = data[j]
            nonzero = indices[start:stop]
        for step in range(codes.size):
            if not applied[step, i]:
                continue
            code, strength, key = codes[step], strengths[step], keys[step, i]
            if code == MASK:
                mask_row(x, nonzero, strength, key, half_bits)
                continue
            if code == NOISE:
                noise_row(x, strength, scales[step], key, full_bits, quantiles)
            elif code == SWAP:
                swap_row(x, strength, key, order, undo)
            elif code == CROSSOVER:
                start, stop = indptr[partners[step, 0, i]], indptr[partners[step, 0, i] + 1]
                crossover_row(x, nonzero, indices[start:stop], data[start:stop], strength, key, half_bits)
            nonzero = indices[:0]  # from here on any gene may differ from zero
