"""SimCLR as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.clmodel import CLModel


class SimCLR(CLModel):
    """SimCLR (Chen et al., ICML 2020): both views of a cell attract each other and repel all others of the batch.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection, temperature
        See :class:`sccl.module.SimCLR`.

    Examples
    --------
    >>> sccl.SimCLR.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.SimCLR(adata, temperature=0.5)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.SimCLR
