"""VICReg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.loss import VICRegLoss
from lightly.models.modules.heads import VICRegProjectionHead

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.single import at_least_two

if TYPE_CHECKING:
    from torch import Tensor


class VICReg(Architecture):
    """The two views of a cell coincide, while every dimension varies over cells and no two of them co-vary.

    The terms are scaled as in the authors' code: in the formulas of their paper the invariance term is a sum over
    dimensions, here their mean, and the variance term twice what it is here.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_hidden_projector
        Width of the projector's hidden layer, Linear · BatchNorm · ReLU · Linear, ≥ 1. Reference: 64; paper: 8192,
        twice.
    n_projection
        Width of its output, ≥ 1. Reference: 256; paper: 8192.
    invariance_weight, variance_weight, covariance_weight
        Of the three terms, ≥ 0. Reference: 5, 5 and 1; paper: 25, 25 and 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bardes, Ponce & LeCun, *VICReg: variance-invariance-covariance regularization for self-supervised learning*,
    ICLR 2022.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_hidden_projector: int = 64,
        n_projection: int = 256,
        invariance_weight: float = 5.0,
        variance_weight: float = 5.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_counts(n_latent=n_latent, n_hidden_projector=n_hidden_projector, n_projection=n_projection)
        as_real(invariance_weight, "invariance_weight", "[0, ∞)")
        as_real(variance_weight, "variance_weight", "[0, ∞)")
        as_real(covariance_weight, "covariance_weight", "[0, ∞)")
        self.projector = VICRegProjectionHead(n_latent, n_hidden_projector, n_projection, num_layers=2)
        self.criterion = VICRegLoss(invariance_weight, variance_weight, covariance_weight)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the representations of two views."""
        z1_nd, z2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
        return Projections(self.criterion(at_least_two(z1_nd), at_least_two(z2_nd)), z1_nd, z2_nd)
