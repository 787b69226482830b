"""TiCo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightly.loss import TiCoLoss
from lightly.models.modules.heads import TiCoProjectionHead

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Projections
from sccl.module.momentum import MomentumArchitecture
from sccl.module.single import at_least_two

if TYPE_CHECKING:
    from torch import Tensor


class TiCo(MomentumArchitecture):
    """A cell's view meets its target and avoids the directions that recent cells have taken.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_hidden_projector
        Width of the projector's hidden layer, Linear · BatchNorm · ReLU · Linear, ≥ 1. Paper: 4096; here as for BYOL.
    n_projection
        Width of its output, ≥ 1. Paper: 256; here as for BYOL.
    memory
        β, how much of the covariance is kept at each step, in ``[0, 1]``. Paper: 0.9.
    covariance_weight
        ρ, the weight of avoiding those directions, ≥ 0. Paper: 8 (20 for large batches).
    momentum
        Of the target at the first step, in ``[0, 1]``; 1 at the last. Paper: 0.99.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Zhu et al., *TiCo: transformation invariance and covariance contrast for self-supervised visual representation
    learning*, 2022.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_hidden_projector: int = 256,
        n_projection: int = 64,
        memory: float = 0.9,
        covariance_weight: float = 8.0,
        momentum: float = 0.99,
    ) -> None:
        check_counts(n_latent=n_latent, n_hidden_projector=n_hidden_projector, n_projection=n_projection)
        as_real(memory, "memory", "[0, 1]")
        as_real(covariance_weight, "covariance_weight", "[0, ∞)")
        super().__init__(TiCoProjectionHead(n_latent, n_hidden_projector, n_projection), momentum)
        self.criterion = TiCoLoss(memory, covariance_weight)
        # lightly keeps the covariance as an attribute that starts as None; as a buffer it moves and is saved.
        del self.criterion.C
        self.criterion.register_buffer("C", torch.zeros(n_projection, n_projection))

    def forward(self, h1_nd: Tensor, h2_nd: Tensor, t1_nd: Tensor, t2_nd: Tensor) -> Projections:
        """Compare projections of the first view with the target's of the second."""
        z1_nd, z2_nd = self.projector(h1_nd), self.target_projector(t2_nd).detach()
        loss = self.criterion(at_least_two(z1_nd), at_least_two(z2_nd), update_covariance_matrix=self.training)
        return Projections(loss, z1_nd, z2_nd)
