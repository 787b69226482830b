"""Random masking of genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.bits import fill_bits, gene_bits, threshold
from sccl.augment.row import row_function

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Mask(Augmentation):
    """Set a random part of the genes of a cell to zero, as dropout in sequencing does.

    Each gene is masked independently of the others. Zeros stay zeros; values that are kept do not change.

    Parameters
    ----------
    fraction
        Expected fraction of genes set to zero, in ``[0, 1]``. Resolution 2⁻¹⁶. (The reference implementation's
        ``mask_percentage`` is the fraction *kept*.)
    p
        Chance that a cell is masked, in ``[0, 1]``.

    References
    ----------
    CLEAR: Han et al., *Self-supervised contrastive learning for integrative single cell RNA-seq data analysis*,
    Briefings in Bioinformatics 2022.

    Examples
    --------
    >>> view = Mask(fraction=0.2, p=1.0)(torch.rand(8, 100))
    """

    fraction: float = 0.2
    p: float = 0.5

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "fraction", "p")

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mask every cell."""
        import torch

        chosen_ng = torch.rand(x_ng.shape, generator=generator, device=x_ng.device) < self.fraction
        return x_ng.masked_fill(chosen_ng, 0.0)

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(mask_row, (self.fraction,), is_sparse=True)


@row_function
def mask_row(x, row):
    """Mask one row in place."""
    limit = threshold(row.parameters[0])
    if row.nonzero.size:
        for gene in row.nonzero:
            if gene_bits(row.key, gene) < limit:
                x[gene] = 0.0
        return True
    bits = row.bits[: (x.size + 3) // 4]
    fill_bits(row.key, bits)
    chosen = bits.view(np.uint16)
    for gene in range(x.size):
        x[gene] = np.float32(0.0) if chosen[gene] < limit else x[gene]
    return True
