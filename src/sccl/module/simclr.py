"""SimCLR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightly.models.modules.heads import ProjectionHead
from torch import nn

from sccl.module.architecture import Architecture, Projections
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
        Width of the projector, Linear · BatchNorm · ReLU · Linear · BatchNorm. Reference: 64.
    temperature
        Of the NT-Xent loss, > 0. Reference: 0.5.

    References
    ----------
    Chen et al., *A simple framework for contrastive learning of visual representations*, ICML 2020.
    """

    def __init__(self, n_latent: int, *, n_projection: int = 64, temperature: float = 0.5) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"`temperature` must be positive, found {temperature!r}.")
        self.temperature = temperature
        self.projector = ProjectionHead(
            [
                (n_latent, n_projection, nn.BatchNorm1d(n_projection), nn.ReLU()),
                (n_projection, n_projection, nn.BatchNorm1d(n_projection), None),
            ]
        )

    def project(self, h_nd: Tensor) -> Tensor:
        """Return the projections of representations."""
        return self.projector(h_nd)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the representations of two views."""
        z1_nd, z2_nd = self.project(torch.cat([h1_nd, h2_nd])).chunk(2)
        return Projections(nt_xent(z1_nd, z2_nd, self.temperature), z1_nd, z2_nd)
