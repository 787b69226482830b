"""The first layer, which multiplies the non-zeros of sparse rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sccl.augment.sparse import SparseRows
from sccl.storage.compiled import compiled

# Genes whose weights are read or written together, a cache line of float32.
_TILE = 16


class SparseLinear(nn.Linear):
    """A :class:`~torch.nn.Linear` of dense rows, or of sparse rows on the CPU: the same, to float32's precision.

    One thread makes each output from values in the order of their genes, so that it is the same bit for bit whatever else is in
    the minibatch and however many threads there are.
    """

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        """Return rows × outputs of rows × genes."""
        if not isinstance(x, SparseRows):
            return super().forward(x)
        return _SparseProduct.apply(self.weight, self.bias, x)


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_hg: Tensor, bias_h: Tensor, rows: SparseRows) -> Tensor:
        ctx.rows = rows
        weight_hg = weight_hg.detach()
        out_nh = weight_hg.new_empty(rows.shape[0], weight_hg.shape[0])
        weight_gh = weight_hg.new_empty(weight_hg.shape[::-1])
        _transpose(weight_hg.numpy(), weight_gh.numpy())
        _multiply(*rows[:4], weight_gh.numpy(), bias_h.detach().numpy(), out_nh.numpy())
        return out_nh

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_nh: Tensor) -> tuple[Tensor, Tensor, None]:
        rows: SparseRows = ctx.rows
        gradient_nh = gradient_nh.contiguous()
        weight_hg = gradient_nh.new_empty(gradient_nh.shape[1], rows.n_genes)
        _accumulate(*rows[:4], gradient_nh.numpy(), weight_hg.numpy())
        return weight_hg, gradient_nh.sum(0), None


@compiled()
def _transpose(a: np.ndarray, out: np.ndarray) -> None:
    n, m = a.shape
    for i0 in range(0, n, _TILE):
        for j in range(m):
            for i in range(i0, min(i0 + _TILE, n)):
                out[j, i] = a[i, j]


@compiled(fastmath={"contract"})
def _multiply(
    values: np.ndarray,
    genes: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    weight_gh: np.ndarray,
    bias_h: np.ndarray,
    out_nh: np.ndarray,
) -> None:
    for i in range(out_nh.shape[0]):
        out_nh[i] = bias_h
        _add_rows(out_nh[i], values, genes, starts[i], stops[i], weight_gh)


@compiled(fastmath={"contract"})
def _accumulate(
    values: np.ndarray,
    genes: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    gradient_nh: np.ndarray,
    out_hg: np.ndarray,
) -> None:
    """The gradient of the weights, gene by gene."""
    n_outputs, n_genes = out_hg.shape
    ends, at_row, value = _by_gene(values, genes, starts, stops, n_genes)
    tile = np.empty((_TILE, n_outputs), gradient_nh.dtype)
    start = 0
    for first in range(0, n_genes, _TILE):
        n_tile = min(_TILE, n_genes - first)
        for k in range(n_tile):
            tile[k] = 0
            _add_rows(tile[k], value, at_row, start, ends[first + k], gradient_nh)
            start = ends[first + k]
        for h in range(n_outputs):
            for k in range(n_tile):
                out_hg[h, first + k] = tile[k, h]


@compiled(fastmath={"contract"})
def _add_rows(
    total: np.ndarray, values: np.ndarray, numbers: np.ndarray, start: int, stop: int, matrix: np.ndarray
) -> None:
    """Add the rows of a matrix that have these numbers, times values; eight together, so that the total is rarely passed over."""
    at = start
    while at + 8 <= stop:
        v0, v1, v2, v3 = values[at], values[at + 1], values[at + 2], values[at + 3]
        v4, v5, v6, v7 = values[at + 4], values[at + 5], values[at + 6], values[at + 7]
        r0, r1, r2, r3 = (
            matrix[numbers[at + 0]],
            matrix[numbers[at + 1]],
            matrix[numbers[at + 2]],
            matrix[numbers[at + 3]],
        )
        r4, r5, r6, r7 = (
            matrix[numbers[at + 4]],
            matrix[numbers[at + 5]],
            matrix[numbers[at + 6]],
            matrix[numbers[at + 7]],
        )
        for i in range(total.size):
            total[i] += ((v0 * r0[i] + v1 * r1[i]) + (v2 * r2[i] + v3 * r3[i])) + (
                (v4 * r4[i] + v5 * r5[i]) + (v6 * r6[i] + v7 * r7[i])
            )
        at += 8
    for j in range(at, stop):
        value, row = values[j], matrix[numbers[j]]
        for i in range(total.size):
            total[i] += value * row[i]


@compiled()
def _by_gene(
    values: np.ndarray, genes: np.ndarray, starts: np.ndarray, stops: np.ndarray, n_genes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the values by gene: where each gene's end, and for each value its row and itself."""
    ends = np.zeros(n_genes, np.int64)
    n_values = 0
    for i in range(starts.size):
        n_values += stops[i] - starts[i]
        for j in range(starts[i], stops[i]):
            ends[genes[j]] += 1
    start = 0
    for gene in range(n_genes):
        start, ends[gene] = start + ends[gene], start
    at_row, value = np.empty(n_values, np.int32), np.empty(n_values, np.float32)
    for i in range(starts.size):
        for j in range(starts[i], stops[i]):
            place = ends[genes[j]]
            at_row[place], value[place] = i, values[j]
            ends[genes[j]] = place + 1
    return ends, at_row, value
