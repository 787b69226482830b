"""VICReg as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class VICReg(PublishedModel):
    """VICReg (Bardes et al., ICLR 2022): views coincide, dimensions vary, and no two of them co-vary.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_hidden_projector
        Width of the projector's hidden layer, ≥ 1.
    n_projection
        Width of its output, ≥ 1.
    invariance_weight, variance_weight, covariance_weight
        Of the three terms, ≥ 0.

    See Also
    --------
    sccl.module.VICReg : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.VICReg.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.VICReg(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.VICReg
