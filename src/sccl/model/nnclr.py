"""NNCLR as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class NNCLR(PublishedModel):
    """NNCLR (Dwibedi et al., ICCV 2021): a view predicts the nearest neighbour, among recent cells, of the other.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection
        Width of the projector, ≥ 1.
    n_hidden_predictor
        Width of the predictor's hidden layer, ≥ 1.
    temperature
        Of the contrast, > 0. Paper: 0.1; reference and default: 0.5.
    memory_bank_size
        Number of cells in the queue, ≥ 1.

    See Also
    --------
    sccl.module.NNCLR : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.NNCLR.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.NNCLR(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.NNCLR
