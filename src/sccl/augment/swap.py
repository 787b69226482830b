"""Swapping of expression values within a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.keys import GAMMA, mix
from sccl.augment.row import row_function

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class InnerSwap(Augmentation):
    """Swap the values of random pairs of genes of a cell.

    The pairs do not overlap, so the row is a permutation of what it was. Zeros take part: most swaps move a value
    to a gene that was zero.

    Parameters
    ----------
    fraction
        Fraction of genes that take part, in ``[0, 1]``: ``round(fraction * n_genes / 2)`` pairs.
    p
        Chance that a cell is changed, in ``[0, 1]``.

    References
    ----------
    CLEAR: Han et al., Briefings in Bioinformatics 2022.
    """

    fraction: float = 0.1
    p: float = 0.5

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "fraction", "p")

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Swap values in every cell."""
        import torch

        n_pairs = _n_pairs(self.fraction, x_ng.shape[1])
        order_ng = torch.rand(x_ng.shape, generator=generator, device=x_ng.device).argsort(dim=1)
        left_np, right_np = order_ng[:, :n_pairs], order_ng[:, n_pairs : 2 * n_pairs]
        view_ng = x_ng.clone()
        view_ng.scatter_(1, left_np, x_ng.gather(1, right_np))
        return view_ng.scatter_(1, right_np, x_ng.gather(1, left_np))

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(swap_row, (self.fraction,), is_sparse=True)


def _n_pairs(fraction: float, n_genes: int) -> int:
    return min(round(fraction * n_genes / 2), n_genes // 2)


@row_function
def swap_row(x, row):
    """Swap values of one row in place.

    ``row.order`` holds 0, 1, 2, …: the first steps of a Fisher-Yates shuffle pick distinct genes from it, and ``undo``
    remembers them so that it holds 0, 1, 2, … again afterwards.
    """
    n_genes, order, undo = x.size, row.order, row.bits.view(np.int32)
    n_picked = 2 * min(round(row.parameters[0] * n_genes / 2), n_genes // 2)
    for i in range(n_picked):
        draw = mix(row.key + np.uint64(i) * GAMMA) >> np.uint64(32)
        j = i + np.int64((draw * np.uint64(n_genes - i)) >> np.uint64(32))
        undo[i] = j
        order[i], order[j] = order[j], order[i]
    for i in range(0, n_picked, 2):
        left, right = order[i], order[i + 1]
        x[left], x[right] = x[right], x[left]
    for i in range(n_picked - 1, -1, -1):
        j = undo[i]
        order[i], order[j] = order[j], order[i]
    return False
