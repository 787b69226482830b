"""Additive gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from sccl.augment.base import Augmentation, Operation, check_interval
from sccl.augment.bits import fill_bits, threshold
from sccl.augment.row import row_function

if TYPE_CHECKING:
    import torch

# Normal quantiles indexed by 16 random bits: one load per gene in place of a logarithm and a cosine.
NORMAL_QUANTILES = ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)


@dataclass(frozen=True)
class GaussianNoise(Augmentation):
    """Add gaussian noise to a random part of the genes of a cell.

    Each gene is chosen independently of the others. Zeros are changed like any other value, and values may become
    negative, as in the reference.

    Parameters
    ----------
    sigma
        Standard deviation of the noise, ≥ 0, in units of log-expression. On the CPU no draw exceeds 4.4 ``sigma``.
    fraction
        Expected fraction of genes changed, in ``[0, 1]``.
    p
        Chance that a cell is changed, in ``[0, 1]``.

    References
    ----------
    CLEAR: Han et al., Briefings in Bioinformatics 2022.
    """

    sigma: float = 0.2
    fraction: float = 0.8
    p: float = 0.5

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "fraction", "p")
        check_interval(self, "[0, ∞)", "sigma")

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Add noise to every cell."""
        import torch

        chosen_ng = torch.rand(x_ng.shape, generator=generator, device=x_ng.device) < self.fraction
        noise_ng = torch.randn(x_ng.shape, generator=generator, device=x_ng.device)
        return x_ng + self.sigma * noise_ng * chosen_ng

    def operation(self) -> Operation:
        """Return the instruction of the fused pass."""
        return Operation(noise_row, (self.fraction, self.sigma))


@row_function
def noise_row(x, row):
    """Add noise to one row in place: half of a gene's 32 bits choose it, the other half are its noise."""
    limit, sigma = threshold(row.parameters[0]), np.float32(row.parameters[1])
    fill_bits(row.key, row.bits)
    draws = row.bits.view(np.uint32)
    for gene in range(x.size):
        draw = draws[gene]
        noise = NORMAL_QUANTILES[draw & np.uint32(0xFFFF)] * sigma
        x[gene] += noise if (draw >> np.uint32(16)) < limit else np.float32(0.0)
    return False
