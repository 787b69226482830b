"""Exchange of genes with another cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.bits import gene_bits, threshold
from sccl.augment.keys import integers
from sccl.augment.mask import mask_row
from sccl.augment.row import row_function

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CrossOver(Augmentation):
    """Replace a random part of the genes of a cell by the values of another, random cell.

    Each gene is chosen independently of the others. A zero of the other cell replaces a value like any other does,
    and a value may replace a zero.

    Parameters
    ----------
    fraction
        Expected fraction of genes replaced, in ``[0, 1]``.
    p
        Chance that a cell is changed, in ``[0, 1]``.

    References
    ----------
    CLEAR: Han et al., Briefings in Bioinformatics 2022.
    """

    fraction: float = 0.25
    p: float = 0.5

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "fraction", "p")

    @property
    def n_partners(self) -> int:
        """One."""
        return 1

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose one random other cell of the pool per cell."""
        drawn = integers(keys, pool.size)
        # A cell that drew itself takes its successor instead.
        is_self = pool[drawn] == cells
        return pool[(drawn + is_self) % pool.size][None]

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Exchange genes in every cell."""
        import torch

        chosen_ng = torch.rand(x_ng.shape, generator=generator, device=x_ng.device) < self.fraction
        return torch.where(chosen_ng, partners_png[0], x_ng)

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(crossover_row, (self.fraction,), is_sparse=True)


@row_function
def crossover_row(x, row):
    """Exchange genes of one row in place: mask it, then fill in what the other cell has where it was masked."""
    mask_row(x, row)
    limit, other = threshold(row.parameters[0]), row.lent[0]
    for j in range(row.indptr[other], row.indptr[other + 1]):
        gene = row.indices[j]
        if gene_bits(row.key, gene) < limit:
            x[gene] = row.data[j]
    return False
