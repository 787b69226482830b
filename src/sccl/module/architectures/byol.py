"""BYOL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead

from sccl.inputs import check_counts
from sccl.module.architecture import Projections, apply_to_both
from sccl.module.cosine import symmetric_negative_cosine
from sccl.module.momentum import MomentumArchitecture

if TYPE_CHECKING:
    from torch import Tensor


class BYOL(MomentumArchitecture):
    """Each view predicts what a slow copy of the network makes of the other; nothing repels.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_hidden_head
        Width of the hidden layers of projector and predictor, both Linear · BatchNorm · ReLU · Linear, ≥ 1.
        Reference: 256; paper: 4096.
    n_projection
        Width of their outputs, ≥ 1. Reference: 64; paper: 256.
    momentum
        Of the target at the first step, in ``[0, 1]``; 1 at the last. Reference and paper: 0.996; paper,
        for its shorter trainings: 0.99. In a thousand steps a slower target hardly leaves its start.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Grill et al., *Bootstrap your own latent: a new approach to self-supervised learning*, NeurIPS 2020.
    """

    def __init__(
        self, n_latent: int, *, n_hidden_head: int = 256, n_projection: int = 64, momentum: float = 0.99
    ) -> None:
        check_counts(n_latent=n_latent, n_hidden_head=n_hidden_head, n_projection=n_projection)
        super().__init__(BYOLProjectionHead(n_latent, n_hidden_head, n_projection), momentum)
        self.predictor = BYOLPredictionHead(n_projection, n_hidden_head, n_projection)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor, t1_nd: Tensor, t2_nd: Tensor) -> Projections:
        """Compare predictions from the encoder with projections from the target."""
        p1_nd, p2_nd = apply_to_both(self.predictor, *apply_to_both(self.projector, h1_nd, h2_nd))
        z1_nd, z2_nd = apply_to_both(self.target_projector, t1_nd, t2_nd)
        return Projections(symmetric_negative_cosine(p1_nd, p2_nd, z1_nd, z2_nd), p1_nd, z2_nd)
