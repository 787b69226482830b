"""SimCLR as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class SimCLR(PublishedModel):
    """SimCLR (Chen et al., ICML 2020): both views of a cell attract each other and repel all others of the batch.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection
        Width of the projector, ≥ 1.
    temperature
        Of the contrast, > 0. Paper: 0.1 to 0.5; reference and default: 0.5.

    See Also
    --------
    sccl.module.SimCLR : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.SimCLR.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.SimCLR(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.SimCLR
