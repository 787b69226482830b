"""DCL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.loss import DCLLoss
from lightly.models.modules import SimCLRProjectionHead

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.single import at_least_two

if TYPE_CHECKING:
    from torch import Tensor


class DCL(Architecture):
    """SimCLR without the positive pair in the denominator, which makes small batches do.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_projection
        Width of the projector, Linear · BatchNorm · ReLU · Linear · BatchNorm, ≥ 1. Paper: 128; here as for SimCLR.
    temperature
        Divides the cosine similarities, > 0. Paper: 0.1 (and 0.07); here as for SimCLR.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Yeh et al., *Decoupled contrastive learning*, ECCV 2022, equation 6.
    """

    def __init__(self, n_latent: int, *, n_projection: int = 64, temperature: float = 0.5) -> None:
        super().__init__()
        check_counts(n_latent=n_latent, n_projection=n_projection)
        as_real(temperature, "temperature", "(0, ∞)")
        self.projector = SimCLRProjectionHead(n_latent, n_projection, n_projection)
        self.criterion = DCLLoss(temperature)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the representations of two views."""
        z1_nd, z2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
        return Projections(self.criterion(at_least_two(z1_nd), at_least_two(z2_nd)), z1_nd, z2_nd)
