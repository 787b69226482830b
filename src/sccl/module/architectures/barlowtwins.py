"""Barlow Twins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.loss import BarlowTwinsLoss
from lightly.models.modules import BarlowTwinsProjectionHead

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.single import at_least_two

if TYPE_CHECKING:
    from torch import Tensor


class BarlowTwins(Architecture):
    """Dimensions of the two views are to correlate with their twins, and with no others.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_projection
        Width of the projector's three layers, Linear with BatchNorm · ReLU between, ≥ 1. Reference: 256; paper: 8192.
    redundancy_weight
        λ, the weight of correlations between different dimensions, ≥ 0. Reference and paper: 0.005.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Zbontar et al., *Barlow Twins: self-supervised learning via redundancy reduction*, ICML 2021.
    """

    def __init__(self, n_latent: int, *, n_projection: int = 256, redundancy_weight: float = 0.005) -> None:
        super().__init__()
        check_counts(n_latent=n_latent, n_projection=n_projection)
        as_real(redundancy_weight, "redundancy_weight", "[0, ∞)")
        self.projector = BarlowTwinsProjectionHead(n_latent, n_projection, n_projection)
        self.criterion = BarlowTwinsLoss(redundancy_weight)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Correlate the dimensions of two views."""
        z1_nd, z2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
        return Projections(self.criterion(at_least_two(z1_nd), at_least_two(z2_nd)), z1_nd, z2_nd)
