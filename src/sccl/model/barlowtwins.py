"""Barlow Twins as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class BarlowTwins(PublishedModel):
    """Barlow Twins (Zbontar et al., ICML 2021): dimensions correlate with their twin in the other view, and no other.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection
        Width of the projector, ≥ 1.
    redundancy_weight
        Weight of correlations between different dimensions, ≥ 0.

    See Also
    --------
    sccl.module.BarlowTwins : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.BarlowTwins.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.BarlowTwins(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.BarlowTwins
