"""NNCLR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.models.modules import NNCLRPredictionHead, NNCLRProjectionHead

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.ntxent import nt_xent
from sccl.module.queue import Queue

if TYPE_CHECKING:
    from torch import Tensor


class NNCLR(Architecture):
    """A cell's view is to predict the nearest neighbour of its other view, among many recent cells.

    Until the queue is full the neighbour of a cell is the cell itself; where it is larger than the number of cells, it may
    be the same cell as it was before. As in the reference the predictions repel each
    other, too; in the paper only neighbours and predictions do.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_projection
        Width of the projector, three times Linear · BatchNorm with ReLU between, ≥ 1. Reference: 64; paper: 256.
    n_hidden_predictor
        Width of the predictor's hidden layer, Linear · BatchNorm · ReLU · Linear, ≥ 1. Reference: 64; paper: 4096.
    temperature
        Of the NT-Xent loss, > 0. Reference: 0.5; paper: 0.1.
    memory_bank_size
        Number of projections in the queue, ≥ 1. Reference: 2048; paper: 98304.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Dwibedi et al., *With a little help from my friends: nearest-neighbor contrastive learning of visual
    representations*, ICCV 2021.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_projection: int = 64,
        n_hidden_predictor: int = 64,
        temperature: float = 0.5,
        memory_bank_size: int = 2048,
    ) -> None:
        super().__init__()
        check_counts(
            n_latent=n_latent,
            n_projection=n_projection,
            n_hidden_predictor=n_hidden_predictor,
            memory_bank_size=memory_bank_size,
        )
        as_real(temperature, "temperature", "(0, ∞)")
        self.temperature = temperature
        self.projector = NNCLRProjectionHead(n_latent, n_projection, n_projection)
        self.predictor = NNCLRPredictionHead(n_projection, n_hidden_predictor, n_projection)
        self.queue = Queue(memory_bank_size, n_projection)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the predictions from each view with the neighbours of the other."""
        z1_nd, z2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
        p1_nd, p2_nd = apply_to_both(self.predictor, z1_nd, z2_nd)
        neighbor1_nd, neighbor2_nd = self.queue.nearest(z1_nd), self.queue.nearest(z2_nd)
        loss = 0.5 * (nt_xent(neighbor1_nd, p2_nd, self.temperature) + nt_xent(neighbor2_nd, p1_nd, self.temperature))
        if self.training:
            self.queue.push(z1_nd)
        return Projections(loss, z1_nd, z2_nd)
