"""Multiplicative noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.bits import fill_bits, gene_bits
from sccl.augment.noise import NORMAL_QUANTILES
from sccl.augment.row import row_function

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class MultiplicativeNoise(Augmentation):
    """Multiply each gene of a cell by a random factor, as if it had been captured more or less efficiently.

    Batches differ in how well they capture each gene; a cell must be recognised in spite of it. Types stay further apart with it, and
    batches mix less. Factors are log-normal with median 1, drawn independently for each gene and cell. Zeros stay zeros.

    Parameters
    ----------
    sigma
        Standard deviation of the factor's logarithm, ≥ 0: of two factors in three the logarithm is within ``sigma`` of 0. On the
        CPU none exceeds ``exp(4.4 sigma)``.
    p
        Chance that a cell is changed, in ``[0, 1]``.

    Examples
    --------
    >>> view = MultiplicativeNoise(sigma=0.7)(torch.rand(8, 100))
    """

    sigma: float = 0.7
    p: float = 1.0

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "p")
        check_interval(self, "[0, ∞)", "sigma")

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Multiply every gene of every cell."""
        import torch

        noise_ng = torch.randn(x_ng.shape, generator=generator, device=x_ng.device)
        return x_ng * torch.exp(self.sigma * noise_ng)

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(multiply_row, (self.sigma,), is_sparse=True)


@row_function
def multiply_row(x, row):
    """Multiply one row in place: 16 bits of each gene are its noise."""
    sigma = np.float32(row.parameters[0])
    if row.nonzero.size:
        for gene in row.nonzero:
            x[gene] *= np.exp(sigma * NORMAL_QUANTILES[gene_bits(row.key, gene)])
        return True
    bits = row.bits[: (x.size + 3) // 4]
    fill_bits(row.key, bits)
    draws = bits.view(np.uint16)
    for gene in range(x.size):
        if x[gene] != 0:
            x[gene] *= np.exp(sigma * NORMAL_QUANTILES[draws[gene]])
    return True
