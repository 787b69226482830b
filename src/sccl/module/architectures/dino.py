"""DINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.loss import DINOLoss
from torch import nn
from torch.nn.functional import normalize

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Projections, apply_to_both
from sccl.module.momentum import MomentumArchitecture

if TYPE_CHECKING:
    from torch import Tensor


class DINO(MomentumArchitecture):
    """Each view is to be assigned to prototypes as a slow copy of the network assigns the other; nothing repels.

    The copy's assignments are sharpened by a low temperature, so that not all prototypes get the same, and centred by their
    moving average, so that no prototype gets all.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_hidden_projector
        Width of the projector's hidden layer, Linear · BatchNorm · GELU · Linear, ≥ 1. Paper: 2048, twice, without BatchNorm
        for transformers.
    n_projection
        Width of its output, which is compared with the prototypes by the cosine, ≥ 1. Paper: 256.
    n_prototypes
        How many there are, ≥ 1. Paper: 65536.
    temperature
        Divides the cosines of the network that learns, > 0. Paper: 0.1.
    target_temperature
        Divides those of its slow copy, > 0. Paper: 0.04, and 0.07 later.
    center_momentum
        How much of the average is kept at each step, in ``[0, 1]``. Paper: 0.9.
    momentum
        Of the target at the first step, in ``[0, 1]``; 1 at the last. Paper: 0.996, for longer trainings.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Caron et al., *Emerging properties in self-supervised vision transformers*, ICCV 2021.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_hidden_projector: int = 128,
        n_projection: int = 64,
        n_prototypes: int = 512,
        temperature: float = 0.1,
        target_temperature: float = 0.04,
        center_momentum: float = 0.9,
        momentum: float = 0.99,
    ) -> None:
        check_counts(
            n_latent=n_latent,
            n_hidden_projector=n_hidden_projector,
            n_projection=n_projection,
            n_prototypes=n_prototypes,
        )
        as_real(temperature, "temperature", "(0, ∞)")
        as_real(target_temperature, "target_temperature", "(0, ∞)")
        as_real(center_momentum, "center_momentum", "[0, 1]")
        projector = nn.Sequential(
            nn.Linear(n_latent, n_hidden_projector, bias=False),
            nn.BatchNorm1d(n_hidden_projector),
            nn.GELU(),
            nn.Linear(n_hidden_projector, n_projection),
            Prototypes(n_projection, n_prototypes),
        )
        super().__init__(projector, momentum)
        self.criterion = DINOLoss(
            n_prototypes,
            teacher_temp=target_temperature,
            student_temp=temperature,
            center_momentum=center_momentum,
        )

    def forward(self, h1_nd: Tensor, h2_nd: Tensor, t1_nd: Tensor, t2_nd: Tensor) -> Projections:
        """Compare assignments of the encoder's with assignments of the target's."""
        p1_nk, p2_nk = apply_to_both(self.projector, h1_nd, h2_nd)
        q1_nk, q2_nk = apply_to_both(self.target_projector, t1_nd.detach(), t2_nd.detach())
        center = self.criterion.center.clone()
        loss = self.criterion([q1_nk, q2_nk], [p1_nk, p2_nk])
        if not self.training:  # lightly's loss moves it at each call
            self.criterion.center.copy_(center)
        return Projections(loss, p1_nk, p2_nk)


class Prototypes(nn.Linear):
    """Cosines between what comes in and as many learned directions."""

    def __init__(self, n_in: int, n_prototypes: int) -> None:
        super().__init__(n_in, n_prototypes, bias=False)

    def forward(self, x_nd: Tensor) -> Tensor:
        """Return cells × prototypes."""
        return normalize(x_nd, dim=1) @ normalize(self.weight, dim=1).T
