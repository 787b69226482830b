"""The fused CPU pass: each row is scattered into the view once, and a short program runs on it while it is in cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from sccl.augment.crossover import CROSSOVER, crossover_row
from sccl.augment.mask import MASK, mask_row
from sccl.augment.mix import MIX, mix_row
from sccl.augment.noise import NOISE, NORMAL_QUANTILES, noise_row
from sccl.augment.positive import REPLACE
from sccl.augment.scatter import scatter_row
from sccl.augment.swap import SWAP, swap_row

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.augment.base import Operation
    from sccl.augment.plan import Step

MAX_PARAMETERS = 4


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
    n_cells = out.shape[0]
    width = max([1, *(step.partners.shape[0] for _, step in program)])
    partners = np.full((len(program), width, n_cells), -1, np.int64)
    for i, (_, step) in enumerate(program):
        partners[i, : step.partners.shape[0]] = step.partners
    parameters = np.zeros((len(program), MAX_PARAMETERS))
    for i, (operation, _) in enumerate(program):
        parameters[i, : len(operation.parameters)] = operation.parameters
    _run(
        csr.data,
        csr.indices,
        csr.indptr,
        np.empty(0, np.int64) if rows is None else rows,
        np.array([operation.code for operation, _ in program], np.int64),
        parameters,
        np.array([step.applied for _, step in program], bool).reshape(len(program), n_cells),
        np.array([step.keys for _, step in program], np.uint64).reshape(len(program), n_cells),
        partners,
        NORMAL_QUANTILES,
        out,
    )


@njit(nogil=True, cache=True)
def _run(data, indices, indptr, rows, codes, parameters, applied, keys, partners, quantiles, out):
    n_genes = out.shape[1]
    half_bits = np.empty((n_genes + 3) // 4, np.uint64)
    full_bits = np.empty((n_genes + 1) // 2, np.uint64)
    order = np.arange(n_genes, dtype=np.int32)
    undo = np.empty(n_genes, np.int32)
    other = np.empty(n_genes, np.float32)
    for i in range(out.shape[0]):
        x = out[i]
        nonzero = indices[:0]
        if rows.size:
            scatter_row(x, rows[i], data, indices, indptr)
            nonzero = indices[indptr[rows[i]] : indptr[rows[i] + 1]]
        for step in range(codes.size):
            if not applied[step, i]:
                continue
            code, key = codes[step], keys[step, i]
            strength, lent = parameters[step, 0], partners[step, :, i]
            if code == MASK:
                mask_row(x, nonzero, strength, key, half_bits)
                continue
            if code == NOISE:
                noise_row(x, strength, parameters[step, 1], key, full_bits, quantiles)
            elif code == SWAP:
                swap_row(x, strength, key, order, undo)
            elif code == CROSSOVER:
                start, stop = indptr[lent[0]], indptr[lent[0] + 1]
                crossover_row(x, nonzero, indices[start:stop], data[start:stop], strength, key, half_bits)
            elif code == MIX:
                mix_row(x, lent, data, indices, indptr, parameters[step], key, other, half_bits)
            elif code == REPLACE:
                scatter_row(x, lent[0], data, indices, indptr)
            nonzero = indices[:0]  # from here on any gene may differ from zero
