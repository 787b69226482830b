"""SimCLR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.models.modules import SimCLRProjectionHead

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.ntxent import nt_xent

if TYPE_CHECKING:
    from torch import Tensor


class SimCLR(Architecture):
    """Both views of a cell attract each other and repel all other views of the batch.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_projection
        Width of the projector, Linear · BatchNorm · ReLU · Linear · BatchNorm, ≥ 1. Reference: 64; paper: 128.
    temperature
        Of the NT-Xent loss, > 0. Reference: 0.5; paper: 0.1 to 0.5.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Chen et al., *A simple framework for contrastive learning of visual representations*, ICML 2020.
    """

    def __init__(self, n_latent: int, *, n_projection: int = 64, temperature: float = 0.5) -> None:
        super().__init__()
        check_counts(n_latent=n_latent, n_projection=n_projection)
        as_real(temperature, "temperature", "(0, ∞)")
        self.temperature = temperature
        self.projector = SimCLRProjectionHead(n_latent, n_projection, n_projection)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the representations of two views."""
        z1_nd, z2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
        return Projections(nt_xent(z1_nd, z2_nd, self.temperature), z1_nd, z2_nd)
