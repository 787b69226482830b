"""Encoder and architecture, put together."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from scvi.module.base import BaseModuleClass

from sccl.augment.sparse import SparseRows
from sccl.module.encoder import Encoder
from sccl.module.joint import gather
from sccl.module.readout import Readout

if TYPE_CHECKING:
    from torch import Tensor

    from sccl.module.architecture import Architecture, Projections


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
        From representations to a loss. Where it asks for one, ``target`` is a second encoder of the same views, made by
        the architecture; else it is None. ``readout`` turns representations into the embedding; no loss sees it.
    """

    #: Whether minibatches are shares of joint ones, see :mod:`sccl.module.joint`.
    is_joint = False

    def __init__(self, encoder: Encoder, architecture: Architecture) -> None:
        super().__init__()
        self.encoder = encoder
        self.architecture = architecture
        self.target = architecture.make_target(encoder)
        self.readout = Readout(encoder.n_latent)

    @property
    def takes_sparse_rows(self) -> bool:
        """Whether it can read cells as sparse rows: if all of its encoders can, and it is on the CPU."""
        encoders = [self.encoder] if self.target is None else [self.encoder, self.target]
        return all(isinstance(encoder, Encoder) for encoder in encoders) and self.device.type == "cpu"

    def forward(self, views_vng: Tensor | SparseRows) -> ContrastiveOutput:
        """Encode the two views in one pass per encoder and compare them.

        Parameters
        ----------
        views_vng
            2 × cells × genes; or sparse rows, those of the first view and then those of the second, if it
            :attr:`takes_sparse_rows`.
        """
        x_mg = views_vng if isinstance(views_vng, SparseRows) else views_vng.flatten(0, 1)
        encoders = [self.encoder] if self.target is None else [self.encoder, self.target]
        h_evnd = [self._views(encoder(x_mg)) for encoder in encoders]
        return ContrastiveOutput(h_evnd[0], self.architecture(*chain.from_iterable(h_evnd)))

    def _views(self, h_md: Tensor) -> Tensor:
        """Divide rows by views. Those of other processes belong to them: what is compared is the joint minibatch."""
        h_vnd = h_md.unflatten(0, (2, len(h_md) // 2))
        return gather(h_vnd.transpose(0, 1)).transpose(0, 1) if self.is_joint else h_vnd

    def update_target(self, *, step: int, n_steps: int) -> None:
        """Adjust the target after an optimiser step; see :meth:`Architecture.update_target`."""
        self.architecture.update_target(self.encoder, self.target, step=step, n_steps=n_steps)

    def represent(self, x_ng: Tensor | SparseRows, *, projection: bool = False, readout: bool = True) -> Tensor:
        """Return the embedding of cells × genes; or projections, or the representations that both are made of."""
        h_nd = self.encoder(x_ng)
        if projection:
            return self.architecture.project(h_nd)
        return self.readout(h_nd) if readout else h_nd
