"""Encoder and architecture, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scvi.module.base import BaseModuleClass

if TYPE_CHECKING:
    from torch import Tensor

    from sccl.module.architecture import Architecture, Projections
    from sccl.module.encoder import Encoder


class ContrastiveOutput(NamedTuple):
    """What training needs to know of one batch.

    Attributes
    ----------
    h_vnd
        Representations, views × cells × latent dimensions.
    projections
        What the architecture made of them, the loss among it.
    """

    h_vnd: Tensor
    projections: Projections


class ContrastiveModule(BaseModuleClass):
    """Two views in, a loss out.

    Parameters
    ----------
    encoder
        From expression to representations.
    architecture
        From representations to a loss.
    """

    def __init__(self, encoder: Encoder, architecture: Architecture) -> None:
        super().__init__()
        self.encoder = encoder
        self.architecture = architecture

    def forward(self, views_vng: Tensor) -> ContrastiveOutput:
        """Encode the two views in one pass and compare them.

        Parameters
        ----------
        views_vng
            2 × cells × genes.
        """
        h_vnd = self.encoder(views_vng.flatten(0, 1)).unflatten(0, views_vng.shape[:2])
        return ContrastiveOutput(h_vnd, self.architecture(*h_vnd))

    def represent(self, x_ng: Tensor, *, projection: bool = False) -> Tensor:
        """Return the representations, or projections, of cells × genes."""
        h_nd = self.encoder(x_ng)
        return self.architecture.project(h_nd) if projection else h_nd
